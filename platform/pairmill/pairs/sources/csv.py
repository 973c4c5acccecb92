"""CSV and TSV (RFC 4180): quoted fields may hold delimiters, doubled quotes and line breaks.

Python's csv reader is fed line by line, so that each record's raw bytes and offset are known:

1. A record that needs more lines than it may have (the file's end, 16 MB, or one line where `newlines_in_fields` is
   false), or goes wrong after its first line, began with a stray quote: its first line is quarantined as
   `unterminated_quote`, and reading goes on at the next line. One stray quote cannot swallow a file.
2. A record with another number of fields than the header is quarantined, never padded or cut.
3. Only files without line breaks in fields can be cut, at any line.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import pyarrow as pa

from pairmill.errors import SourceError
from pairmill.pairs.batch import Batch, Quarantined
from pairmill.pairs.sources import columns, fields, linefiles
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile, whole
from pairmill.pairs.sources.lines import Damage, Lines, TooLong, read_lines
from pairmill.pairs.sources.records import Records
from pairmill.spec.inputs import CsvInput

#: No record is longer, in bytes.
MAX_RECORD = 16 << 20


def find(spec: CsvInput) -> list[SourceFile]:
    found = linefiles.find(spec)
    for file in found:
        _names(spec, file.uris[0])
    return found


def split(spec: CsvInput, file: SourceFile, shard_size: int) -> list[Piece]:
    if not _one_line(spec):
        return [whole(file)]
    pieces = linefiles.split(spec, file, shard_size)
    shift = 1 if spec.header is True else 0
    return [
        Piece(**{**vars(piece), "first_row": piece.first_row - shift if piece.first_row else 0}) for piece in pieces
    ]


def read(spec: CsvInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    uri, row = piece.uris[0], piece.first_row
    names, found = _open(spec, piece)
    while some := list(_take(found, batch_rows)):
        yield _batch(spec, names, some, uri, row)
        row += len(some)


def records(spec: CsvInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Records]:
    """Each record as column name -> text, for builders."""
    uri, row = piece.uris[0], piece.first_row
    names, found = _open(spec, piece)
    while some := list(_take(found, batch_rows)):
        good, blank = _good(some, len(names))
        items = [(row + index, dict(zip(names, some[index].fields, strict=True))) for index in good]
        yield Records(uri, items, len(some), {"blank_line": blank} if blank else {}, _entries(some, uri, row))
        row += len(some)


def _open(spec: CsvInput, piece: Piece) -> tuple[list[str], Iterator[_Record]]:
    """The columns' names, and the records behind the header."""
    place, uri = linefiles.check(spec, piece), piece.uris[0]
    names = _names(spec, uri)
    found = _records(spec, read_lines(uri, place, piece.start, piece.stop, MAX_RECORD))
    if spec.header is True and piece.start == 0 and names is not None:
        next(found)
    return names or [], found


def _take(records: Iterator[_Record], count: int) -> Iterator[_Record]:
    """At most `count` records, and few if they are long."""
    size = 0
    for record in islice(records, count):
        yield record
        size += len(record.data)
        if size > MAX_RECORD:
            return


@dataclass
class _Record:
    offset: int
    data: bytes
    fields: list[str] = field(default_factory=list)
    error: str = ""
    detail: str = ""


def _one_line(spec: CsvInput) -> bool:
    return not spec.newlines_in_fields or spec.quote is None


def _names(spec: CsvInput, uri: str) -> list[str] | None:
    """The columns' names; None where the file breaks off before its header. Raises SourceError if some lack."""
    place = linefiles.where(spec)
    if isinstance(spec.header, list):
        names = spec.header
    elif spec.header is False:
        raise SourceError(
            f"{place}: `header: false` leaves the columns without names. Write: header: [anchor, positive]"
        )
    else:
        record = next(_records(spec, read_lines(uri, place, limit=MAX_RECORD)), None)
        if record is None or record.error in ("empty_file", "bad_compression", "truncated", "corrupt"):
            return None
        if record.error:
            raise SourceError(
                f"{place}: the header of {uri} cannot be read: {record.detail}. Correct it, or name the "
                "columns in the spec: header: [anchor, positive]"
            )
        names = record.fields
    wanted = fields.needed(spec)
    missing = [name for name in wanted if name not in names]
    if missing and (spec.builder is None or len(missing) == len(wanted)):
        raise linefiles.missing_columns(place, uri, missing, names, "column", "builder" if spec.builder else "columns")
    twice = [name for name in wanted if names.count(name) > 1]
    if twice:
        raise SourceError(
            f"{place}: {uri} has {names.count(twice[0])} columns named {twice[0]!r}. Rename one, or name "
            "the columns in the spec: header: [anchor, positive]"
        )
    return names


def _batch(spec: CsvInput, names: list[str], records: list[_Record], uri: str, row: int) -> Batch:
    good, blank = _good(records, len(names))
    used = columns.used(spec.columns)
    values = {column: _column(records, good, names.index(name)) for column, name in used.items()} if names else {}
    if not names:
        return columns.only_quarantine(_entries(records, uri, row))
    try:
        made = columns.arrays(values, spec.langs)
    except (columns.WrongValue, pa.ArrowTypeError):
        for at, detail in columns.wrong_values(values, used).items():
            records[good[at]].error, records[good[at]].detail = "wrong_type", detail
        good = [index for index in good if not records[index].error]
        made = columns.arrays(
            {column: _column(records, good, names.index(name)) for column, name in used.items()}, spec.langs
        )
    pairs = columns.table(made, spec.langs, uri, [row + index for index in good])
    return Batch(pairs, len(records), {"blank_line": blank} if blank else {}, _entries(records, uri, row))


def _good(records: list[_Record], width: int) -> tuple[list[int], int]:
    """The records that have a field for each of `width` columns, and how many are blank; the others get an error."""
    good: list[int] = []
    blank = 0
    for index, record in enumerate(records):
        if record.error:
            continue
        if len(record.fields) == width and (width > 1 or record.fields[0] or record.data.strip()):
            good.append(index)
        elif not record.data.strip():
            blank += 1
        else:
            record.error = "wrong_field_count"
            record.detail = f"{len(record.fields)} field(s) instead of {width}"
    return good, blank


def _column(records: list[_Record], good: list[int], at: int) -> list[str]:
    return [records[index].fields[at] for index in good]


def _entries(records: list[_Record], uri: str, row: int) -> list[Quarantined]:
    return [
        Quarantined(record.error, uri, row + index, record.offset, record.detail, record.data)
        for index, record in enumerate(records)
        if record.error
    ]


def _records(spec: CsvInput, items: Iterator[Lines | TooLong | Damage]) -> Iterator[_Record]:
    if csv.field_size_limit() < MAX_RECORD:
        csv.field_size_limit(MAX_RECORD)
    feed = _Feed(items, one_line=_one_line(spec))
    if spec.quote is None:
        return feed.unquoted(spec.delimiter)
    return feed.quoted(spec.delimiter, spec.quote)


class _Unterminated(Exception):
    """A record needs more lines than it may have."""


class _Feed:
    """Hands lines to the csv reader and remembers which of them the current record took."""

    def __init__(self, items: Iterator[Lines | TooLong | Damage], one_line: bool):
        self.items, self.one_line = items, one_line
        self.lines: deque[bytes] = deque()
        self.offset = 0  # of the first of `taken`
        self.taken: list[bytes] = []
        self.size = 0
        self.special: TooLong | Damage | None = None  # comes after `lines`
        self.valid = True

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if self.taken and (self.one_line or self.size > MAX_RECORD):
            raise _Unterminated
        if not self.lines and not self._fill():
            raise StopIteration
        line = self.lines.popleft()
        self.taken.append(line)
        self.size += len(line)
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.valid = False
            return line.decode("utf-8", "surrogateescape")

    def _fill(self) -> bool:
        if self.special is not None:
            return False
        item = next(self.items, None)
        if isinstance(item, Lines):
            if not self.taken:
                self.offset = item.offset
            self.lines.extend(_keep_ends(item))
            return True
        self.special = item
        return False

    def _clear(self) -> None:
        self.offset += self.size
        self.taken, self.size, self.valid = [], 0, True

    def _special(self) -> _Record | None:
        """The line that is too long, or the damage, once all lines before it are taken."""
        item, self.special = self.special, None
        if item is None:
            return None
        data = b"".join(self.taken) + item.data if isinstance(item, Damage) else item.data
        error = item.error if isinstance(item, Damage) else "too_long"
        detail = item.detail if isinstance(item, Damage) else f"a line of {item.length} bytes is beyond the limit"
        self.taken, self.size = [], 0
        return _Record(item.offset, data, error=error, detail=detail)

    def _first_line(self) -> _Record:
        """Give up on the record: its first line is unreadable, the others are read again."""
        first, *others = self.taken
        self.lines.extendleft(reversed(others))
        record = _Record(self.offset, first, error="unterminated_quote", detail="no closing quote in reach")
        self.offset += len(first)
        self.taken, self.size, self.valid = [], 0, True
        return record

    def quoted(self, delimiter: str, quote: str) -> Iterator[_Record]:
        reader = csv.reader(self, delimiter=delimiter, quotechar=quote, strict=True)
        while True:
            try:
                fields = next(reader)
            except StopIteration:
                if (record := self._special()) is None:
                    return
                yield record
                continue
            except _Unterminated:
                yield self._first_line()
                continue
            except csv.Error as error:
                ended = "unexpected end of data" in str(error)
                if ended and isinstance(self.special, Damage) and (record := self._special()):
                    yield record
                elif ended or len(self.taken) > 1:
                    yield self._first_line()
                else:
                    yield self._whole(error="malformed_csv", detail=str(error))
                continue
            yield self._whole(fields)

    def unquoted(self, delimiter: str) -> Iterator[_Record]:
        while True:
            line = next(self, None)
            if line is not None:
                yield self._whole(line.rstrip("\n").removesuffix("\r").split(delimiter))
            elif (record := self._special()) is not None:
                yield record
            else:
                return

    def _whole(self, fields: list[str] | None = None, error: str = "", detail: str = "") -> _Record:
        data = self.taken[0] if len(self.taken) == 1 else b"".join(self.taken)
        if not self.valid:
            error, detail = "invalid_utf8", "a field is not valid UTF-8"
        record = _Record(self.offset, data, fields or [], error, detail)
        self._clear()
        return record


def _keep_ends(item: Lines) -> list[bytes]:
    """The lines with their `\\n`."""
    lines = [line + b"\n" for line in item.split()]
    if not item.data.endswith(b"\n"):
        lines[-1] = lines[-1][:-1]
    return lines
