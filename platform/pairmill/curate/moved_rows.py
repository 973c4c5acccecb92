"""A few rows of finished runs by their `pair_id`, with their texts: only the row groups that hold them are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairmill.curate.origins import KEPT, files_of
from pairmill.curate.samples import COLUMNS, DECIDED, TEXT
from pairmill.curate.shardfiles import SHARD_BITS
from pairmill.runs.record import Run

Json = dict[str, Any]


def sampled(
    runs: tuple[Run, Run], chosen: Mapping[tuple[str, str], Sequence[tuple[int, int]]]
) -> dict[tuple[str, str], list[Json]]:
    """For each kind of move the rows {a, b} that its `pair_id`s name: what both runs hold of them."""
    rows = []
    for side, run in enumerate(runs):
        wanted: dict[str, list[int]] = {KEPT: [], "rejected": []}
        for kind, ids in chosen.items():
            wanted[KEPT if kind[side] == KEPT else "rejected"] += [pair[side] for pair in ids]
        rows.append({part: rows_of_ids(run, part, ids) for part, ids in wanted.items()})
    return {
        kind: [
            {
                name: rows[side][KEPT if kind[side] == KEPT else "rejected"][pair[side]]
                for side, name in enumerate(("a", "b"))
            }
            for pair in ids
        ]
        for kind, ids in chosen.items()
    }


def rows_of_ids(run: Run, part: str, ids: Iterable[int]) -> dict[int, Json]:
    """Rows of `kept` or `rejected` by id, their texts cut at TEXT characters (null where the run keeps none)."""
    wanted = np.unique(np.fromiter(ids, np.int64))
    columns = COLUMNS + (DECIDED if part != KEPT else [])
    found: dict[int, Json] = {}
    for of, entry in files_of(run):
        here = wanted if entry.get("shard") is None else wanted[wanted >> SHARD_BITS == entry["shard"]]
        if of == part and len(here):
            with run.storage.open_parquet(entry["path"]) as file, run.storage.reading(entry["path"]):
                for group in range(file.num_row_groups):
                    if some := _between(here, file, group):
                        table = file.read_row_group(group, columns=columns)
                        rows = table.filter(pc.is_in(table["pair_id"], pa.array(some))).to_pylist()
                        found |= {row["pair_id"]: _cut(row) for row in rows}
    return found


def _between(ids: np.ndarray, file: pq.ParquetFile, group: int) -> list[int]:
    """Those of the sorted `ids` that the row group may hold."""
    position = file.schema_arrow.get_field_index("pair_id")
    about = file.metadata.row_group(group).column(position).statistics
    if about is None or not about.has_min_max:
        return ids.tolist()
    return ids[(ids >= about.min) & (ids <= about.max)].tolist()


def _cut(row: Json) -> Json:
    for side in ("anchor", "positive"):
        text = row[side]
        row[f"{side}_chars"] = None if text is None else len(text)
        row[side] = None if text is None else text[:TEXT]
    return row
