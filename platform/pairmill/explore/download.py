"""The rows that fit, as a file: CSV, JSON lines or Parquet, written as the query finds them, some rows at a time.

A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula and runs it, so in CSV such texts, and
those that begin with a tab or a carriage return, get a `'` before them (OWASP, CSV injection). Numbers stay numbers.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from pairmill.explore.contents import Contents
from pairmill.explore.database import Database, Question
from pairmill.explore.filters import Filters, check

ROWS = 4096
_FORMULA = "^[=+\\-@\\t\\r\uff1d\uff0b\uff0d\uff20]"


def download(database: Database, asked: Question, contents: Contents, filters: Filters, form: str) -> Iterator[bytes]:
    """The bytes of the file. `form`: of FORMS. Raises SpecError where the filters do not fit, before the first byte."""
    part = check(filters, contents)
    condition, parameters = filters.condition(part)
    if not part.paths:
        return FORMS[form][0]([pa.RecordBatch.from_pylist([], pa.schema(list(part.columns.items())))])
    places = [database.place(path) for path in part.paths]
    sql = f"SELECT * FROM read_parquet(?) WHERE {condition}"
    return FORMS[form][0](asked.batches(sql, [places, *parameters], ROWS))


def _csv(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    for number, batch in enumerate(batches):
        sink = io.BytesIO()
        table = pa.table([_cell(column) for column in batch.columns], names=batch.schema.names)
        pyarrow.csv.write_csv(table, sink, pyarrow.csv.WriteOptions(include_header=number == 0))
        yield sink.getvalue()


def _cell(column: pa.Array) -> pa.Array:
    """A column as CSV writes it: lists as JSON, bytes as text, formulas made harmless."""
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        column = pa.array([None if v is None else orjson.dumps(v).decode() for v in column.to_pylist()], pa.string())
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        column = pa.array(
            [None if v is None else v.decode("utf-8", "replace") for v in column.to_pylist()], pa.string()
        )
    elif not pa.types.is_string(kind) and not pa.types.is_large_string(kind):
        return column
    texts = column.cast(pa.large_string())
    risky = pc.match_substring_regex(texts, _FORMULA)
    quoted = pc.binary_join_element_wise(pa.scalar("'", pa.large_string()), texts, pa.scalar("", pa.large_string()))
    return pc.if_else(risky, quoted, texts)


def _jsonl(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    for batch in map(_shortest, batches):
        rows = (orjson.dumps(_plain(row), option=orjson.OPT_APPEND_NEWLINE) for row in batch.to_pylist())
        yield b"".join(rows)


def _shortest(batch: pa.RecordBatch) -> pa.RecordBatch:
    """With single-precision numbers as people write them: 0.8, not 0.800000011920929."""
    columns = [
        column.cast(pa.string()).cast(pa.float64()) if pa.types.is_float32(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value for name, value in row.items()
    }


def _parquet(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    sink, writer = _Chunks(), None
    for batch in batches:
        if writer is None:
            writer = pq.ParquetWriter(pa.PythonFile(sink, mode="w"), batch.schema, compression="zstd")
        writer.write_batch(batch)
        yield sink.take()
    if writer is not None:
        writer.close()
        yield sink.take()


class _Chunks(io.RawIOBase):
    """What was written since the last look."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def tell(self) -> int:
        return self._written

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


#: By name: how it is written, and its media type.
FORMS: dict[str, tuple[Callable[[Iterable[pa.RecordBatch]], Iterator[bytes]], str]] = {
    "csv": (_csv, "text/csv; charset=utf-8"),
    "jsonl": (_jsonl, "application/x-ndjson"),
    "parquet": (_parquet, "application/vnd.apache.parquet"),
}
