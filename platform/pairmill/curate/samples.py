"""Samples of kept and rejected rows, a few per reason.

A row's rank is a hash of its origin, so the sample is the same whatever the shards, and the samples of parts merge into
that of the whole: keep the lowest ranks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

TEXT = 4_000
COLUMNS = ["pair_id", "anchor", "positive", "anchor_lang", "positive_lang", "source", "origin_file", "origin_row"]
DECIDED = ["reason", "failed", "value", "threshold", "duplicate_of", "duplicate_run"]


class Samples:
    """The `size` rows of lowest rank for "kept" and for each reason."""

    def __init__(self, size: int):
        self._size = size
        self._rows: dict[str, list[tuple[int, dict[str, Any]]]] = {}

    def add(self, kept: pa.Table, rejected: pa.Table) -> np.ndarray:
        """Offer rows; return which of `rejected` were taken for now."""
        taken = np.zeros(len(rejected), bool)
        self._offer("kept", kept.select(COLUMNS), ranks(kept))
        order, reasons = ranks(rejected), rejected["reason"].combine_chunks()
        for reason in pc.unique(reasons).to_pylist():
            where = np.flatnonzero(np.asarray(pc.equal(reasons, reason)))
            chosen = self._offer(reason, rejected.select(COLUMNS + DECIDED).take(where), order[where])
            taken[where[chosen]] = True
        return taken

    def merge(self, other: dict[str, list[Any]]) -> None:
        for name, rows in other.items():
            self._keep(name, [(rank, row) for rank, row in rows])

    def to_json(self) -> dict[str, list[Any]]:
        return {name: [list(pair) for pair in rows] for name, rows in self._rows.items()}

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        return {name: [row for _, row in rows] for name, rows in self._rows.items()}

    def _offer(self, name: str, table: pa.Table, ranks: np.ndarray) -> np.ndarray:
        held = self._rows.get(name, [])
        limit = held[-1][0] if len(held) >= self._size and held else (1 << 63) - 1
        chosen = np.argsort(ranks, kind="stable")[: self._size]
        chosen = chosen[ranks[chosen] < limit]
        if len(chosen):
            rows = [_cut(row) for row in table.take(chosen).to_pylist()]
            self._keep(name, list(zip(ranks[chosen].tolist(), rows, strict=True)))
        return chosen

    def _keep(self, name: str, rows: list[tuple[int, dict[str, Any]]]) -> None:
        merged = [*self._rows.get(name, []), *rows]
        merged.sort(key=lambda pair: (pair[0], pair[1]["pair_id"]))
        self._rows[name] = merged[: self._size]


def ranks(table: pa.Table) -> np.ndarray:
    """A hash of each row's origin as a non-negative int64."""
    if not len(table):
        return np.empty(0, np.int64)
    files = table["origin_file"].combine_chunks().dictionary_encode()
    names = [xxhash.xxh3_64_intdigest((name or "").encode()) for name in files.dictionary.to_pylist()]
    seed = np.array(names, np.uint64)[np.asarray(files.indices)]
    mixed = (np.asarray(table["origin_row"]).astype(np.uint64) + seed) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(32)
    return ((mixed * np.uint64(0xD6E8FEB86659FD93)) >> np.uint64(1)).astype(np.int64)


def _cut(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its full lengths, and its texts cut at TEXT characters."""
    for side in ("anchor", "positive"):
        row[f"{side}_chars"] = len(row[side])
        row[side] = row[side][:TEXT]
    return row
