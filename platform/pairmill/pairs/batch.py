"""What a source hands on: parsed pairs, and an account of every record that did not become one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

#: Bytes of an unreadable record that quarantine keeps.
QUARANTINE_BYTES = 1 << 16


@dataclass(frozen=True)
class Quarantined:
    """A record (or a whole file) that could not be read."""

    error: str  # short code, the ledger's key: malformed_json, invalid_utf8, truncated, ...
    origin_file: str
    origin_row: int | None  # 0-based record, where known
    offset: int | None  # byte offset in the (decompressed) file, where known
    detail: str  # what the parser said
    data: bytes = b""  # the record's bytes, cut at QUARANTINE_BYTES


class WrongRecord(ValueError):
    """A record is not what the builder's dump format says; its text goes to quarantine as `wrong_record`."""


@dataclass(frozen=True)
class Batch:
    """Some consecutive records of an input. `pairs` has the schema PARSED."""

    pairs: pa.Table
    records: int
    no_pair: dict[str, int] = field(default_factory=dict)
    quarantine: list[Quarantined] = field(default_factory=list)

    @property
    def parsed(self) -> int:
        """Records that became one pair or more: counted from the pairs, so that the ledger can notice a lost record."""
        return pc.count_distinct(self.pairs["origin_row"]).as_py() if len(self.pairs) else 0


QUARANTINE = pa.schema(
    [
        ("error", pa.string()),
        ("origin_file", pa.string()),
        ("origin_row", pa.int64()),
        ("offset", pa.int64()),
        ("detail", pa.string()),
        ("data", pa.large_binary()),
    ]
)


def quarantine_table(entries: list[Quarantined]) -> pa.Table:
    """The entries as a table with the schema QUARANTINE; lone surrogates in `detail` become U+FFFD."""
    rows = [
        {
            "error": entry.error,
            "origin_file": entry.origin_file,
            "origin_row": entry.origin_row,
            "offset": entry.offset,
            "detail": entry.detail.encode("utf-8", "replace").decode(),
            "data": entry.data[:QUARANTINE_BYTES],
        }
        for entry in entries
    ]
    return pa.Table.from_pylist(rows, schema=QUARANTINE)


def regrouped(tables: Iterable[pa.Table], rows: int, size: int) -> Iterator[pa.Table]:
    """Join consecutive tables until they hold `rows` rows or `size` bytes; empty ones vanish."""
    waiting: list[pa.Table] = []
    have = bytes_ = 0
    for table in tables:
        if len(table):
            waiting.append(table)
            have, bytes_ = have + len(table), bytes_ + table.nbytes
        if have >= rows or bytes_ >= size:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting, have, bytes_ = [], 0, 0
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()
