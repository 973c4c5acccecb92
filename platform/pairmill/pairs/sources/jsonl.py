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

from pairmill.pairs.batch import Batch, Quarantined
from pairmill.pairs.sources import fields, linefiles
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile
from pairmill.pairs.sources.lines import read_lines
from pairmill.pairs.sources.records import Records
from pairmill.spec.inputs import JsonlInput

find = linefiles.find


def split(spec: JsonlInput, file: SourceFile, shard_size: int) -> list[Piece]:
    return linefiles.split(spec, file, shard_size)


def read(spec: JsonlInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    where = linefiles.check(spec, piece)
    uri = piece.uris[0]
    watch = fields.Watch(spec, where, uri, piece.start == 0, piece.stop is None)
    for some in linefiles.numbered(read_lines(uri, where, piece.start, piece.stop), uri, piece.first_row, batch_rows):
        yield some if isinstance(some, Batch) else _batch(spec, watch, uri, some.lines, some.offset, some.row)
    watch.end()


def records(spec: JsonlInput, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Records]:
    """The objects as they are, for builders."""
    where = linefiles.check(spec, piece)
    uri = piece.uris[0]
    watch = fields.Watch(spec, where, uri, piece.start == 0, piece.stop is None)
    for some in linefiles.numbered(read_lines(uri, where, piece.start, piece.stop), uri, piece.first_row, batch_rows):
        if isinstance(some, Batch):
            yield Records(uri, [], 1, quarantine=some.quarantine)
            continue
        parsed = _parse(some.lines)
        watch.look(parsed.records)
        items = [(some.row + index, record) for index, record in zip(parsed.kept, parsed.records, strict=True)]
        blank = {"blank_line": parsed.blank} if parsed.blank else {}
        wrong = _entries(parsed.wrong, some.lines, uri, some.offset, some.row)
        yield Records(uri, items, len(some.lines), blank, wrong)
    watch.end()


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
        if not line.strip():
            parsed.blank += 1
            continue
        try:
            record = loads(line)
        except orjson.JSONDecodeError as error:
            parsed.wrong[index] = _diagnosis(line, str(error))
            continue
        if type(record) is dict:
            parsed.records.append(record)
            parsed.kept.append(index)
        else:
            parsed.wrong[index] = ("not_an_object", f"a JSON {type(record).__name__} instead of an object")
    return parsed


def _batch(spec: JsonlInput, watch: fields.Watch, uri: str, lines: list[bytes], offset: int, row: int) -> Batch:
    parsed = _parse(lines)
    watch.look(parsed.records)
    whole = len(parsed.kept) == len(lines)
    rows = range(row, row + len(lines)) if whole else [row + index for index in parsed.kept]
    pairs, found = fields.pairs(spec, parsed.records, rows, uri)
    wrong = parsed.wrong | {parsed.kept[index]: ("wrong_type", detail) for index, detail in found.items()}
    entries = _entries(wrong, lines, uri, offset, row) if wrong else []
    return Batch(pairs, len(lines), {"blank_line": parsed.blank} if parsed.blank else {}, entries)


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
