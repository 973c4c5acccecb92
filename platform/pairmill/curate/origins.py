"""The rows of a finished curate run by their origin, without their texts, in parts that fit in memory.

A row becomes its place (source and file, as one number), its record, its `pair_id`, its fate (kept or the reason) and
its languages, 26 bytes in all. Rows go to files of a folder by a hash of their origin, a file a part: rows of the same
origin of several runs are then in parts of the same number, whatever the runs' sizes and shards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.runs.record import Run

ROW = np.dtype([("place", "<i4"), ("row", "<i8"), ("id", "<i8"), ("fate", "<i2"), ("pair", "<i4")])
PLACE, LANGUAGES = ("source", "origin_file"), ("anchor_lang", "positive_lang")
KEPT = "kept"


class Codes:
    """Numbers for tuples of values, in the order in which they were met."""

    def __init__(self, *known: tuple[str | None, ...]):
        self.numbers = {values: number for number, values in enumerate(known)}

    def of(self, table: pa.Table, columns: Sequence[str]) -> np.ndarray:
        """The number of each row's values in `columns`, int64 (n,)."""
        combined = np.zeros(len(table), np.int64)
        for name in columns:
            encoded = table[name].combine_chunks().dictionary_encode("encode")
            combined = combined * max(len(encoded.dictionary), 1) + np.asarray(encoded.indices)
        _, first, inverse = np.unique(combined, return_index=True, return_inverse=True)
        values = zip(*(table[name].take(pa.array(first)).to_pylist() for name in columns), strict=True)
        numbers = [self.numbers.setdefault(value, len(self.numbers)) for value in values]
        return np.array(numbers, np.int64)[inverse]

    def values(self) -> list[tuple[str | None, ...]]:
        return list(self.numbers)


@dataclass
class Numbers:
    """What the numbers in ROW stand for: shared by all runs that are compared."""

    places: Codes = field(default_factory=Codes)
    pairs: Codes = field(default_factory=Codes)
    fates: Codes = field(default_factory=lambda: Codes((KEPT,)))


def files_of(run: Run) -> Iterator[tuple[str, dict[str, Any]]]:
    """(`kept` or `rejected`, the file's entry in the manifest) of the newest finished generation."""
    manifest = run.manifest() or {"files": {}}
    for part in (KEPT, "rejected"):
        for entry in manifest["files"].get(part, []):
            yield part, entry


def rows_of(run: Run) -> int:
    return sum(entry["rows"] for _, entry in files_of(run))


def read(run: Run, numbers: Numbers, by_id: bool) -> Iterator[np.ndarray]:
    """A run's rows as ROW, by row group."""
    for part, entry in files_of(run):
        columns = ["pair_id", *PLACE, "origin_row", *LANGUAGES, *(["reason"] if part != KEPT else [])]
        with run.storage.open_parquet(entry["path"]) as file, run.storage.reading(entry["path"]):
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=columns)
                rows = np.zeros(len(table), ROW)
                rows["id"] = table["pair_id"]
                rows["row"] = rows["id"] if by_id else table["origin_row"]
                rows["place"] = numbers.places.of(table, PLACE)
                rows["pair"] = numbers.pairs.of(table, LANGUAGES)
                rows["fate"] = numbers.fates.of(table, ["reason"]) if part != KEPT else 0
                yield rows


def mixed(place: np.ndarray, row: np.ndarray) -> np.ndarray:
    """A hash of each origin, uint64 (n,); `place` is any number of source and file."""
    bits = (row.astype(np.uint64) + place.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    bits ^= bits >> np.uint64(32)
    bits *= np.uint64(0xD6E8FEB86659FD93)
    return bits ^ (bits >> np.uint64(32))


def _file(folder: Path, side: int, part: int) -> Path:
    return folder / f"{side}-{part}"


def spill(rows: np.ndarray, folder: Path, side: int, parts: int) -> None:
    """Append the rows to the files of their parts."""
    part = (mixed(rows["place"], rows["row"]) % np.uint64(parts)).astype(np.int64)
    rows = rows[np.argsort(part, kind="stable")]
    ends = np.cumsum(np.bincount(part, minlength=parts))
    for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        if end > start:
            with _file(folder, side, number).open("ab") as file:
                file.write(rows[start:end].tobytes())


def load(folder: Path, side: int, part: int) -> np.ndarray:
    file = _file(folder, side, part)
    return np.fromfile(file, ROW) if file.exists() else np.zeros(0, ROW)
