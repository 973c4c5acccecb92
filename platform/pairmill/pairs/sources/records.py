"""Records as builders take them: what a format hands on where an input names a builder.

A format that builders can read has a function `records(spec, piece, batch_rows) -> Iterator[Records]` beside its
`read`. Every record of the piece is an item, a counted `no_pair`, or in quarantine.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pairmill.pairs.batch import QUARANTINE_BYTES, Quarantined

#: Bytes of records, about, after which a batch is handed on even if it has few rows.
BATCH_BYTES = 8 << 20


@dataclass(frozen=True)
class Records:
    """Some consecutive records of a file."""

    uri: str  # the rows' origin_file
    items: list[tuple[int, dict[str, Any]]]  # origin_row and the record's fields, in order
    count: int  # records in all: items, no_pair and quarantine
    no_pair: dict[str, int] = field(default_factory=dict)
    quarantine: list[Quarantined] = field(default_factory=list)


class Gathered:
    """Records as they come, until they are a batch. `row` is the origin_row of the next one."""

    def __init__(self, uri: str, batch_rows: int, row: int = 0):
        self.uri, self.batch_rows, self.row = uri, batch_rows, row
        self._clear()

    def _clear(self) -> None:
        self.count = self.size = 0
        self.items: list[tuple[int, dict[str, Any]]] = []
        self.reasons: Counter[str] = Counter()
        self.wrong: list[Quarantined] = []

    def item(self, record: dict[str, Any], size: int) -> None:
        self.items.append((self.row, record))
        self._next(size)

    def no_pair(self, reason: str) -> None:
        self.reasons[reason] += 1
        self._next(0)

    def quarantined(self, error: str, offset: int | None, detail: str, data: bytes) -> None:
        data = data[:QUARANTINE_BYTES]
        self.wrong.append(Quarantined(error, self.uri, self.row, offset, detail, data))
        self._next(len(data))

    def _next(self, size: int) -> None:
        self.row += 1
        self.count += 1
        self.size += size

    @property
    def full(self) -> bool:
        return self.count >= self.batch_rows or self.size >= BATCH_BYTES

    def take(self) -> Records:
        some = Records(self.uri, self.items, self.count, dict(self.reasons), self.wrong)
        self._clear()
        return some
