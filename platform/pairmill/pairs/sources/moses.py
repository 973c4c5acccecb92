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

import numpy as np
import pyarrow as pa

from pairmill.errors import SourceError
from pairmill.pairs.batch import Batch, Quarantined
from pairmill.pairs.sources import columns, linefiles
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile, whole
from pairmill.pairs.sources.globs import Match, expand
from pairmill.pairs.sources.lines import Damage, Lines, TooLong, cut_at_rows, cut_by_size, read_lines
from pairmill.pairs.sources.stat import joined, stat
from pairmill.spec.inputs import MosesInput


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

    data: bytes
    ends: np.ndarray  # where their line feeds are
    offset: int
    too_long: TooLong | None  # then it is the only line

    def array(self) -> pa.Array:
        """The texts. Raises ArrowInvalid where one is not UTF-8."""
        if b"\r" in self.data:
            return columns.strings(self.texts())
        return columns.line_strings(self.data, self.ends)

    def texts(self) -> list[bytes]:
        """Without the carriage return of Windows' line ends."""
        return [line[:-1] if line[-1:] == b"\r" else line for line in self.lines()]

    def lines(self) -> list[bytes]:
        return self.data.split(b"\n")[: len(self.ends)]


@dataclass
class _Side:
    uri: str
    items: Iterator[Lines | TooLong | Damage]
    data: bytes = b""
    ends: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    at: int = 0  # the next line
    offset: int = 0  # of `data`
    too_long: TooLong | None = None  # then `data` is its start
    damage: Damage | None = None

    @property
    def waiting(self) -> int:
        return len(self.ends) - self.at

    def fill(self) -> bool:
        """Whether a line is waiting; reads on where none is."""
        while not self.waiting and self.damage is None:
            item = next(self.items, None)
            if item is None:
                return False
            if isinstance(item, Damage):
                self.damage = item
                return False
            self._hold(item)
        return self.waiting > 0

    def _hold(self, item: Lines | TooLong) -> None:
        self.data, self.at, self.offset = item.data, 0, item.offset
        self.too_long = item if isinstance(item, TooLong) else None
        if self.too_long:
            self.ends = np.array([len(self.data)])
            return
        self.ends = np.flatnonzero(np.frombuffer(self.data, np.uint8) == 10)
        if not self.data.endswith(b"\n"):
            self.ends = np.append(self.ends, len(self.data))

    def take(self, count: int) -> _Taken:
        start = int(self.ends[self.at - 1]) + 1 if self.at else 0
        ends = self.ends[self.at : self.at + count]
        self.at += count
        return _Taken(self.data[start : int(ends[-1]) + 1], ends - start, self.offset + start, self.too_long)

    def rest(self) -> int:
        """How many lines are left; reads them."""
        count = 0
        while self.fill():
            count += self.waiting
            self.at = len(self.ends)
        return count


def _batch(spec: MosesInput, left: _Taken, right: _Taken, uri: str, row: int) -> Batch:
    count = len(left.ends)
    if left.too_long or right.too_long:
        return _one_by_one(spec, left, right, uri, row)
    try:
        texts = {"anchor": left.array(), "positive": right.array()}
    except pa.ArrowInvalid:
        return _one_by_one(spec, left, right, uri, row)
    return Batch(columns.table(texts, spec.langs, uri, range(row, row + count)), count)


def _one_by_one(spec: MosesInput, left: _Taken, right: _Taken, uri: str, row: int) -> Batch:
    """A batch with lines that cannot be read."""
    kept: list[int] = []
    wrong: list[Quarantined] = []
    offset = left.offset
    sides = left.texts(), right.texts()
    for index, (line, other) in enumerate(zip(left.lines(), right.lines(), strict=True)):
        long = left.too_long or right.too_long
        error = "too_long" if long else "invalid_utf8"
        detail = f"a line of {long.length} bytes is beyond the limit" if long else _undecodable(line, other)
        if detail:
            wrong.append(Quarantined(error, uri, row + index, offset, detail, line + b"\n" + other))
        else:
            kept.append(index)
        offset += len(line) + 1
    anchor, positive = (columns.strings([side[index] for index in kept]) for side in sides)
    pairs = columns.table({"anchor": anchor, "positive": positive}, spec.langs, uri, [row + index for index in kept])
    return Batch(pairs, len(left.ends), quarantine=wrong)


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
