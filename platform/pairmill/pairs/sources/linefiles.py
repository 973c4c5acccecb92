"""What formats of text files share: listing, the checks before anything is read, pieces, and the usual errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from pairmill.errors import SourceError
from pairmill.pairs.batch import Batch, Quarantined
from pairmill.pairs.sources.base import COMPRESSED_RATIO, Piece, SourceFile, whole
from pairmill.pairs.sources.columns import only_quarantine
from pairmill.pairs.sources.globs import expand
from pairmill.pairs.sources.lines import Damage, Lines, TooLong, cut_by_size
from pairmill.pairs.sources.stat import Stat, check_unchanged
from pairmill.pairs.sources.streams import Damaged, codec_of, decompressed, named_codec, raw_blocks, refuse_archives

_HEAD = 64 << 10


class Input(Protocol):
    @property
    def name(self) -> str: ...


class PathInput(Input, Protocol):
    @property
    def path(self) -> list[str]: ...


def where(spec: Input) -> str:
    """How errors name the input."""
    return f"input {spec.name!r}"


def find(spec: PathInput, utf16: bool = False) -> list[SourceFile]:
    """The files of an input that are read one by one. `utf16`: the format says its encoding itself."""
    place = where(spec)
    matches = expand(spec.path, place)
    sizes = examine_all([(match.uri, match.stat) for match in matches], place, utf16)
    return [
        SourceFile((match.uri,), match.stat.fingerprint, match.stat.size, size)
        for match, size in zip(matches, sizes, strict=True)
    ]


def examine_all(files: list[tuple[str, Stat]], place: str, utf16: bool = False) -> list[int]:
    """`examine` for many files, several at a time: in an object store each is a request."""
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda file: examine(file[0], file[1], place, utf16), files))


def examine(uri: str, stat: Stat, place: str, utf16: bool = False) -> int:
    """Estimated bytes of text. Raises SourceError for a file whose start shows that it is no UTF-8 text."""
    head = next(raw_blocks(uri, place, 0, min(_HEAD, stat.size)), b"") if stat.size else b""
    refuse_archives(uri, head, place)
    codec = codec_of(head)
    try:
        text = next(decompressed(iter([head]), codec), b"")[:2] if codec else head[:2]
    except Damaged:
        text = b""
    if text in (b"\xff\xfe", b"\xfe\xff") and not utf16:
        raise SourceError(
            f"{place}: {uri} is UTF-16 text (it starts with {text.hex(' ')}). Allowed: UTF-8. "
            f"Convert it: iconv -f UTF-16 -t UTF-8 FILE > FILE.utf8"
        )
    return stat.size * COMPRESSED_RATIO if codec else stat.size


def splittable(uri: str, place: str) -> bool:
    head = next(raw_blocks(uri, place, 0, _HEAD), b"")
    return codec_of(head) is None and named_codec(uri) is None


def split(spec: Input, file: SourceFile, shard_size: int) -> list[Piece]:
    """An uncompressed file larger than `shard_size` cut at lines; any other whole."""
    uri = file.uris[0]
    if file.size <= shard_size or not splittable(uri, where(spec)):
        return [whole(file)]
    cuts, _ = cut_by_size(uri, where(spec), shard_size)
    ends = [cut.offset for cut in cuts[1:]]
    return [
        Piece(
            file.uris,
            file.fingerprint,
            cut.offset,
            stop,
            first_row=cut.row,
            text_size=(stop or file.size) - cut.offset,
        )
        for cut, stop in zip(cuts, [*ends, None], strict=True)
    ]


def check(spec: Input, piece: Piece) -> str:
    """Raise SourceError if the piece's files have changed; return how errors name the input."""
    place = where(spec)
    check_unchanged(piece.uris, piece.fingerprint, place)
    return place


def unreadable(item: TooLong | Damage, uri: str, row: int) -> Batch:
    """The one record that a line beyond the limit, or the damaged rest of a file, counts as."""
    if isinstance(item, TooLong):
        detail = f"a line of {item.length} bytes is beyond the limit"
        return only_quarantine([Quarantined("too_long", uri, row, item.offset, detail, item.data)])
    return only_quarantine([Quarantined(item.error, uri, row, item.offset, item.detail, item.data)])


@dataclass(frozen=True)
class Numbered:
    """Lines without their `\\n`; `row` and `offset` are those of the first."""

    lines: list[bytes]
    row: int
    offset: int


def numbered(items: Iterable[Lines | TooLong | Damage], uri: str, row: int, most: int) -> Iterator[Numbered | Batch]:
    """Lines, `most` at a time, numbered from `row`; a line that cannot be read comes as a batch, its quarantine."""
    for item in items:
        if not isinstance(item, Lines):
            yield unreadable(item, uri, row)
            row += 1
            continue
        lines, offset = item.split(), item.offset
        for at in range(0, len(lines), most):
            some = lines[at : at + most]
            yield Numbered(some, row, offset)
            row += len(some)
            offset += sum(map(len, some)) + len(some)


def missing_columns(
    place: str, uri: str, missing: Iterable[str], found: list[str], kind: str, key: str = "columns"
) -> SourceError:
    """The error for columns that a file lacks, with the nearest ones it has. `key`: where the spec names them."""
    listed = list(missing)
    near = [name for lost in listed for name in difflib.get_close_matches(lost, found, 1)]
    hint = f" Nearest: {', '.join(dict.fromkeys(near))}." if near else ""
    have = ", ".join(found[:30]) + (", ..." if len(found) > 30 else "") or "none"
    lost = " and no ".join(map(repr, listed))
    example = f", such as `columns: {{anchor: {near[0] if near else 'title'}}}`" if key == "columns" else ""
    return SourceError(
        f"{place}: missing column: {uri} has no {kind} {lost}. Found: {have}.{hint} "
        f"Name the right ones under `{key}`{example}."
    )
