"""Count a shard's rows by the point at which each lever lets them pass, from what the stage select wrote of them."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate.sensitivity.levers import MOST_POINTS, Lever, cells, languages_of, levers, numbered, rules_of
from pairmill.runs.storage import Storage
from pairmill.runs.units import Units, do_once
from pairmill.spec.curate import CurateSpec

VERSION = 1
#: Reasons of rows that pass all rules.
DUPLICATES = ("exact_duplicate", "near_duplicate")
_BATCH = 65_536


def count_rows(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function. `item`: `files` (kept, rejected), `scored` (columns), `points` by lever, `pairs`."""

    def work(units: Units) -> dict[str, Any]:
        found = levers(rules_of(CurateSpec.model_validate(item["spec"])), item["scored"])
        return counted(units.storage, item, found)

    return do_once(item, item["prefix"], work)


def counted(storage: Storage, item: dict[str, Any], found: list[Lever]) -> dict[str, Any]:
    """The unit's manifest: `counts`, as of `pack`, of rows by lever, cell and pair of languages."""
    counts, rows = blank(len(found), len(item["pairs"])), 0
    for table, failed in _judged(storage, item["files"], found):
        rows += len(table)
        languages = languages_of(table)
        pair = numbered(item["pairs"], languages)
        for number, (lever, at) in enumerate(zip(found, item["points"], strict=True)):
            if failed is None or failed == lever.name:
                add(counts[number], cells(lever, at, table, languages), pair)
    return {"counts": pack(counts), "rows": rows}


def _judged(storage: Storage, files: dict[str, str], found: list[Lever]) -> Iterator[tuple[pa.Table, str | None]]:
    """Rows that fail no rule (None) or that one alone, with the columns that levers read."""
    columns = ["anchor_lang", "positive_lang", *sorted({column for lever in found for column in lever.columns})]
    with storage.reading(files["kept"]), storage.open_parquet(files["kept"]) as file:
        for batch in file.iter_batches(_BATCH, columns=columns):
            yield pa.Table.from_batches([batch]), None
    with storage.reading(files["rejected"]), storage.open_parquet(files["rejected"]) as file:
        for batch in file.iter_batches(_BATCH, columns=[*columns, "reason", "failed"]):
            table = pa.Table.from_batches([batch])
            yield table.filter(pc.is_in(table["reason"], pa.array(DUPLICATES))), None
            alone = table.filter(pc.equal(pc.list_value_length(table["failed"]), 1))
            for name in sorted({lever.name for lever in found} & set(pc.unique(alone["reason"]).to_pylist())):
                yield alone.filter(pc.equal(alone["reason"], name)), name


def blank(count: int, pairs: int) -> np.ndarray:
    """Counts (levers, points, pairs and all others)."""
    return np.zeros((count, MOST_POINTS, pairs + 1), np.int64)


def add(counts: np.ndarray, cell: np.ndarray, pair: np.ndarray) -> None:
    """Add rows, by cell and number of their pair, to one lever's counts (points, pairs)."""
    points, width = counts.shape
    passing = cell < points
    places = cell[passing].astype(np.int64) * width + pair[passing]
    counts += np.bincount(places, minlength=points * width).reshape(points, width)


def pack(counts: np.ndarray) -> str:
    """Integers as text: mostly zeros, they take little."""
    return base64.b64encode(zlib.compress(counts.astype("<i8").tobytes())).decode()


def unpack(text: str, shape: Sequence[int]) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), "<i8").reshape(shape)
