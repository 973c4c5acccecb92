"""Moses: two line-aligned files, one text per line; the path's brace names the two sides, anchor first.

1. Both alternatives of the brace are expanded, and files pair up where all wildcards stand for the same text.
2. Large pairs of plain files are cut at the same line numbers of both, so that `origin_row` is exact.
3. Both sides are read in step. A line that is no UTF-8, on either side, is one unreadable record.
4. Sides of different length are an error, unless one is damaged: then its readable prefix is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from pairmill.errors import SourceError
from pairmill.pairs.batch import Batch, Quarantined
from pairmill.pairs.sources import columns, linefiles
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile, whole
from pairmill.pairs.sources.globs import Match, expand
from pairmill.pairs.sources.lines import Damage, Lines, TooLong, cut_at_rows, cut_by_size, read_lines
from pairmill.pairs.sources.stat import joined, stat
from pairmill.spec.curate import MosesInput


def find(spec: MosesInput) -> list[SourceFile]:
    place = linefiles.where(spec)
    pairs = [pair for pattern in spec.path for pair in _pair_up(pattern, place)]
    unique = {(a.uri, b.uri): (a, b) for a, b in pairs}
    found = []
    for uris in sorted(unique):
        stats = [match.stat for match in unique[uris]]
        sizes = linefiles.examine_all(list(zip(uris, stats, strict=True)), place)
        found.append(SourceFile(uris, joined(stats), sum(stat.size for stat in stats), sum(sizes)))
    return found


def _pair_up(pattern: str, place: str) -> Iterator[tuple[Match, Match]]:
    choices = [choice for choice in re.sub(r".*\{(.*)\}.*", r"\1", pattern, flags=re.DOTALL).split(",") if choice]
    before, after = pattern.partition("{")[0], pattern.partition("}")[2]
    sides = [expand([before + choice + after], place) for choice in choices]
    keyed = [{match.captures: match for match in side} for side in sides]
    for mine, other, choice in ((keyed[0], keyed[1], choices[1]), (keyed[1], keyed[0], choices[0])):
        alone = sorted(match.uri for captures, match in mine.items() if captures not in other)
        if alone:
            raise SourceError(
                f"{place}: {alone[0]!r} has no other side ({len(alone)} such file(s)): no file of {pattern!r} "
                f"matches it with {choice!r} in place of the brace. Add the other side, or make the pattern narrower."
            )
    for captures in sorted(keyed[0]):
        yield keyed[0][captures], keyed[1][captures]


def split(spec: MosesInput, file: SourceFile, shard_size: int) -> list[Piece]:
    place = linefiles.where(spec)
    if file.size <= shard_size or not all(linefiles.splittable(uri, place) for uri in file.uris):
        return [whole(file)]
    anchor, positive = file.uris
    sizes = [stat(uri, place).size for uri in file.uris]
    cuts, lines = cut_by_size(anchor, place, max(1, shard_size * sizes[0] // sum(sizes)))
    others, other_lines = cut_at_rows(positive, place, [cut.row for cut in cuts])
    if lines != other_lines:
        raise _unequal(place, anchor, lines, positive, other_lines)
    ends = zip([*cuts[1:], None], [*others[1:], None], strict=True)
    return [
        Piece(
            file.uris,
            file.fingerprint,
            start=cut.offset,
            stop=end.offset if end else None,
            starts=(other.offset,),
            stops=(other_end.offset,) if other_end else (),
            first_row=cut.row,
            text_size=file.text_size // len(cuts),
        )
        for cut, other, (end, other_end) in zip(cuts, others, ends, strict=True)
    ]


def resumable(spec: MosesInput, piece: Piece) -> bool:
    return linefiles.is_compressed(piece)


def read(spec: MosesInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    place = linefiles.check(spec, piece)
    second_start = piece.starts[0] if piece.starts else 0
    second_stop = piece.stops[0] if piece.stops else None
    left = _Side(piece.uris[0], read_lines(piece.uris[0], place, piece.start, piece.stop))
    right = _Side(piece.uris[1], read_lines(piece.uris[1], place, second_start, second_stop))
    row = piece.first_row
    while left.fill() and right.fill():
        count = min(left.waiting, right.waiting, batch_rows)
        yield _batch(spec, left.take(count), right.take(count), left.uri, row)
        row += count
    left.fill()
    right.fill()
    yield from _ending(place, left, right, row)


@dataclass
class _Taken:
    """Some consecutive lines of a side."""

    offset: int
    lines: list[bytes]
    too_long: dict[int, TooLong]

    def texts(self) -> list[bytes]:
        """Without the carriage return of Windows' line ends."""
        return [line[:-1] if line[-1:] == b"\r" else line for line in self.lines]


@dataclass
class _Side:
    uri: str
    items: Iterator[Lines | TooLong | Damage]
    lines: list[bytes] = field(default_factory=list)
    at: int = 0
    offset: int = 0
    too_long: TooLong | None = None  # then `lines` is this one
    damage: Damage | None = None

    @property
    def waiting(self) -> int:
        return len(self.lines) - self.at

    def fill(self) -> bool:
        """Whether a line is waiting; reads on where none is."""
        while not self.waiting and self.damage is None:
            item = next(self.items, None)
            if item is None:
                return False
            if isinstance(item, Damage):
                self.damage = item
                return False
            self.lines = item.split() if isinstance(item, Lines) else [item.data]
            self.too_long = item if isinstance(item, TooLong) else None
            self.at, self.offset = 0, item.offset
        return self.waiting > 0

    def take(self, count: int) -> _Taken:
        lines = self.lines[self.at : self.at + count]
        taken = _Taken(self.offset, lines, {0: self.too_long} if self.too_long else {})
        self.at += count
        self.offset += sum(map(len, lines)) + len(lines)
        return taken

    def rest(self) -> int:
        """How many lines are left; reads them."""
        count = 0
        while self.fill():
            count += self.waiting
            self.at = len(self.lines)
        return count


def _batch(spec: MosesInput, left: _Taken, right: _Taken, uri: str, row: int) -> Batch:
    count = len(left.lines)
    sides = left.texts(), right.texts()
    wrong: dict[int, tuple[str, str]] = {}
    for taken in (left, right):
        for index, line in taken.too_long.items():
            wrong[index] = ("too_long", f"a line of {line.length} bytes is beyond the limit")
    try:
        if wrong:
            raise pa.ArrowInvalid
        texts = [_strings(side) for side in sides]
        rows: list[int] | range = range(row, row + count)
    except pa.ArrowInvalid:
        for index in range(count):
            if index not in wrong and (detail := _undecodable(sides[0][index], sides[1][index])):
                wrong[index] = ("invalid_utf8", detail)
        texts = [_strings([line for index, line in enumerate(side) if index not in wrong]) for side in sides]
        rows = [row + index for index in range(count) if index not in wrong]
    pairs = columns.table({"anchor": texts[0], "positive": texts[1]}, spec.langs, uri, rows)
    entries = [
        Quarantined(
            error, uri, row + index, left.offset + sum(len(line) + 1 for line in left.lines[:index]), detail,
            left.lines[index] + b"\n" + right.lines[index],
        )
        for index, (error, detail) in sorted(wrong.items())
    ]  # fmt: skip
    return Batch(pairs, count, quarantine=entries)


def _strings(lines: list[bytes]) -> pa.Array:
    return pa.array(lines, pa.large_binary()).cast(pa.large_string())


def _undecodable(*sides: bytes) -> str:
    for name, line in zip(("anchor", "positive"), sides, strict=True):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            return f"{name}: {error}"
    return ""


def _ending(place: str, left: _Side, right: _Side, row: int) -> Iterator[Batch]:
    """Nothing after equal ends; an entry per damaged file; else the error of unequal lengths."""
    more = left.rest(), right.rest()
    for shorter, extra in ((left, more[1]), (right, more[0])):
        empty = shorter.damage is not None and shorter.damage.error == "empty_file"
        if extra and (shorter.damage is None or empty):
            counts = (row, row + extra) if shorter is left else (row + extra, row)
            raise _unequal(place, left.uri, counts[0], right.uri, counts[1])
    for side, other, extra in ((left, right, more[1]), (right, left, more[0])):
        if side.damage is not None:
            lost = f"; {extra} more line(s) of {other.uri} have no other side" if extra else ""
            damage = side.damage
            entry = Quarantined(damage.error, side.uri, row, damage.offset, damage.detail + lost, damage.data)
            yield columns.only_quarantine([entry])


def _unequal(place: str, anchor: str, lines: int, positive: str, other_lines: int) -> SourceError:
    return SourceError(
        f"{place}: the two sides differ in length: {anchor} has {lines} lines, {positive} has {other_lines}. "
        f"Line-aligned files need the same number of lines: from line {min(lines, other_lines) + 1} on (or before, "
        "where a line was lost) texts would be paired wrongly. Get both files anew from the same release."
    )
