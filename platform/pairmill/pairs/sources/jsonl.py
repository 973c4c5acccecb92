"""JSON Lines: one object per physical line.

A blank line is a record without a pair, so that records are what `wc -l` counts (plus an unterminated last line).
Plain files larger than a shard are cut at lines after an index pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import orjson
import pyarrow as pa

from pairmill.pairs.batch import Batch, Quarantined
from pairmill.pairs.sources import columns, linefiles
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile
from pairmill.pairs.sources.lines import Lines, read_lines
from pairmill.spec.curate import JsonlInput

#: A field that the first so many objects of a file all lack is missing from the file.
MISSING_AFTER = 1000

find = linefiles.find


def split(spec: JsonlInput, file: SourceFile, shard_size: int) -> list[Piece]:
    return linefiles.split(spec, file, shard_size)



def read(spec: JsonlInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    where = linefiles.check(spec, piece)
    uri, row = piece.uris[0], piece.first_row
    fields = _Fields(columns.used(spec.columns), where, uri, piece)
    for item in read_lines(uri, where, piece.start, piece.stop):
        if not isinstance(item, Lines):
            yield linefiles.unreadable(item, uri, row)
            row += 1
            continue
        lines = item.split()
        offset = item.offset
        for at in range(0, len(lines), batch_rows):
            some = lines[at : at + batch_rows]
            yield _batch(spec, fields, uri, some, offset, row)
            row += len(some)
            offset += sum(map(len, some)) + len(some)
    fields.end()


@dataclass
class _Parsed:
    """Some lines: the objects among them, and what the others are."""

    records: list[dict[str, Any]]
    kept: list[int]  # the line of each record
    wrong: dict[int, tuple[str, str]] = field(default_factory=dict)  # line -> code and detail
    blank: int = 0


def _parse(lines: list[bytes]) -> _Parsed:
    loads = orjson.loads
    try:
        records = [loads(line) for line in lines]
        if set(map(type, records)) == {dict}:
            return _Parsed(records, list(range(len(lines))))
    except orjson.JSONDecodeError:
        pass
    parsed = _Parsed([], [])
    for index, line in enumerate(lines):
        try:
            record = loads(line)
        except orjson.JSONDecodeError as error:
            if line.strip():
                parsed.wrong[index] = _diagnosis(line, str(error))
            else:
                parsed.blank += 1
            continue
        if type(record) is dict:
            parsed.records.append(record)
            parsed.kept.append(index)
        else:
            parsed.wrong[index] = ("not_an_object", f"a JSON {type(record).__name__} instead of an object")
    return parsed


def _batch(spec: JsonlInput, fields: _Fields, uri: str, lines: list[bytes], offset: int, row: int) -> Batch:
    parsed = _parse(lines)
    records, kept, wrong = parsed.records, parsed.kept, parsed.wrong
    fields.look(records)
    values = {column: _values(records, name) for column, name in fields.names.items()}
    try:
        made = columns.arrays(values, spec.langs)
    except (columns.WrongValue, pa.ArrowTypeError):
        found = columns.wrong_values(values, fields.names)
        wrong.update((kept[index], ("wrong_type", detail)) for index, detail in found.items())
        good = [index for index in range(len(kept)) if index not in found]
        kept = [kept[index] for index in good]
        made = columns.arrays(
            {column: [items[index] for index in good] for column, items in values.items()}, spec.langs
        )
    rows = range(row, row + len(lines)) if len(kept) == len(lines) else [row + index for index in kept]
    pairs = columns.table(made, spec.langs, uri, rows)
    entries = _entries(wrong, lines, uri, offset, row) if wrong else []
    return Batch(pairs, len(lines), {"blank_line": parsed.blank} if parsed.blank else {}, entries)


def _values(records: list[dict[str, Any]], name: str) -> list[Any]:
    """Each record's field. A key that is the whole dotted name comes before the path it spells."""
    try:
        return [record[name] for record in records]
    except KeyError:
        values = [record.get(name) for record in records]
    if "." in name:
        path = name.split(".")
        pairs = zip(records, values, strict=True)
        values = [_follow(record, path) if value is None else value for record, value in pairs]
    return values


def _follow(record: Any, path: list[str]) -> Any:
    for key in path:
        record = record.get(key) if type(record) is dict else None
    return record


def _has(record: Any, name: str) -> bool:
    if name in record:
        return True
    *path, last = name.split(".")
    inner = _follow(record, path)
    return type(inner) is dict and last in inner


def _diagnosis(line: bytes, message: str) -> tuple[str, str]:
    """The quarantine's code and detail of a line that orjson refuses."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return "invalid_utf8", str(error)
    return ("invalid_unicode" if "surrogate" in message else "malformed_json"), message


def _entries(
    wrong: dict[int, tuple[str, str]], lines: list[bytes], uri: str, offset: int, row: int
) -> list[Quarantined]:
    starts = list(accumulate((len(line) + 1 for line in lines), initial=offset))
    return [
        Quarantined(error, uri, row + index, starts[index], detail, lines[index])
        for index, (error, detail) in sorted(wrong.items())
    ]


class _Fields:
    """Watches the start of a file for fields that no record has."""

    def __init__(self, names: dict[str, str], where: str, uri: str, piece: Piece):
        self.names, self.where, self.uri = names, where, uri
        self.unseen = set(names.values()) if piece.start == 0 else set()
        self.whole = piece.stop is None
        self.seen: dict[str, None] = {}
        self.objects = 0

    def look(self, records: list[dict[str, Any]]) -> None:
        if not self.unseen:
            return
        for record in records:
            self.objects += 1
            self.seen.update(dict.fromkeys(record) if len(self.seen) < 100 else {})
            self.unseen = {name for name in self.unseen if not _has(record, name)}
            if not self.unseen:
                return
            if self.objects >= MISSING_AFTER:
                self._refuse()

    def end(self) -> None:
        if self.unseen and self.objects and self.whole:
            self._refuse()

    def _refuse(self) -> None:
        raise linefiles.missing_columns(self.where, self.uri, sorted(self.unseen), list(self.seen), "field")
