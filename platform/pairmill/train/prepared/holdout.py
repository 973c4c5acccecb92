"""Second stage, one unit: which rows are held out of training, and which texts with them.

Candidates go by the hash of their texts, entry by entry; one that shares a text with a row already chosen is passed
over, so that each held-out text occurs once. All rows of all entries with one of these texts then leave the training.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.runs import exchange
from pairmill.runs.storage import Storage
from pairmill.runs.units import Units, do_once
from pairmill.train.prepared.shard import CANDIDATES, SPARE

CHOSEN = pa.schema([("entry", pa.string()), ("order", pa.uint64()), ("place", pa.uint64())])
TEXTS = pa.schema([("text", pa.int64())])


def choose(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function. `entries`: name, holdout and candidate files of those that hold out rows."""

    def work(units: Units) -> dict[str, Any]:
        taken, chosen = set[int](), list[pa.Table]()
        for entry in item["entries"]:
            candidates = exchange.read_every(units.storage, entry["candidates"], CANDIDATES).combine_chunks()
            rows = _choose(candidates, entry["holdout"], taken)
            names = pa.repeat(pa.scalar(entry["name"], pa.string()), len(rows))
            picked = candidates.take(pa.array(rows, pa.int64()))
            chosen.append(pa.table([names, picked["order"], picked["place"]], schema=CHOSEN))
        table = pa.concat_tables(chosen).combine_chunks()
        paths = {name: units.data_path(item["key"], f"-{name}", "arrow") for name in ("chosen", "texts")}
        texts = pa.table([pa.array(sorted(taken), pa.int64())], schema=TEXTS)
        for name, content in (("chosen", table), ("texts", texts)):
            with units.storage.arrow_writer(paths[name], content.schema) as writer:
                writer.write_table(content)
        return {"files": paths, "rows": len(table), "facts": {"files": paths}}

    return do_once(item, item["prefix"], work)


def _choose(candidates: pa.Table, holdout: float, taken: set[int]) -> np.ndarray:
    """Row numbers of the candidates that are held out; their texts are added to `taken`."""
    hashes, order, place, one, other = (np.asarray(column.combine_chunks()) for column in candidates.columns)
    ranked = np.lexsort((place, order, hashes))
    ranked = ranked[np.unique(hashes[ranked], return_index=True)[1]]  # of rows with the same texts, one
    most = len(ranked) if holdout < 1 else int(holdout)
    ranked = ranked if holdout < 1 else ranked[: SPARE * most]
    chosen: list[int] = []
    for row, texts in zip(ranked.tolist(), zip(one[ranked].tolist(), other[ranked].tolist(), strict=True), strict=True):
        if len(chosen) == most:
            break
        if taken.isdisjoint(texts):
            chosen.append(row)
            taken.update(texts)
    return np.array(chosen, np.int64)


def read(storage: Storage, paths: dict[str, str] | None, entry: str) -> tuple[np.ndarray, np.ndarray]:
    """(order, place) uint64 (n, 2) of the entry's held-out rows, and all held-out texts, int64 ascending."""
    if paths is None:
        return np.empty((0, 2), np.uint64), np.empty(0, np.int64)
    chosen = exchange.read_every(storage, [paths["chosen"]], CHOSEN).combine_chunks()
    mine = chosen.filter(pc.equal(chosen["entry"], entry)).combine_chunks()
    texts = exchange.read_every(storage, [paths["texts"]], TEXTS).combine_chunks()
    rows = np.column_stack([np.asarray(mine[name].combine_chunks()) for name in ("order", "place")])
    return rows.astype(np.uint64), np.asarray(texts["text"].combine_chunks())
