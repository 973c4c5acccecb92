"""`rerank:` a cross-encoder's scores of a run's rows: a side-table, or kept rows with `scores`, for score_distillation.

rerank (per kept file)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.mine.keeping import Tally, made_kept
from pairmill.mine.reranker import reranker
from pairmill.mine.scored import Made, made_scores
from pairmill.mine.work import Work
from pairmill.pairs.kept import KeptRun
from pairmill.pairs.scores import Column, write
from pairmill.runs.storage import open_storage
from pairmill.runs.units import Units, do_once
from pairmill.spec.mine import MineSpec, Rerank

VERSION = 1
COLUMNS = (Column("rerank_score", "float32", "high", "how well a cross-encoder finds that the sides fit"),)
SCORES = pa.field("scores", pa.list_(pa.float32()))
ROWS = 1024  # scored at a time


def make(work: Work, run: KeptRun) -> Made:
    given = work.spec.rerank
    assert given is not None
    base = {"prefix": work.prefix("rerank"), "from": run.storage.uri, "run": work.run.id}
    items = [{**base, "key": f"{number:06d}", "path": file.path} for number, file in enumerate(run.files)]
    unit = keep_file if given.negatives else score_file
    done = sorted(work.stage("mine: rerank", unit, items), key=lambda found: found["key"])
    return made_kept(done) if given.negatives else made_scores(COLUMNS, done)


def score_file(item: dict[str, Any]) -> dict[str, Any]:
    """Unit of rerank: a side-table of a kept file's pairs."""

    def work(units: Units) -> dict[str, Any]:
        ids, scores = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        for table in _tables(item, ["pair_id", "anchor", "positive"]):
            ids.append(table["pair_id"].to_numpy())
            found = _scores(item, table, [[] for _ in range(len(table))])
            scores.append(np.where(_whole(table), found, np.nan).astype(np.float32))
        keys, values = np.concatenate(ids), np.concatenate(scores)
        order = np.argsort(keys)
        columns = {"rerank_score": values[order]}
        return {
            "rows": len(keys),
            "facts": {"file": write(units.storage, units.data_path(item["key"]), COLUMNS, keys[order], columns)},
        }

    return do_once(item, item["prefix"], work)


def keep_file(item: dict[str, Any]) -> dict[str, Any]:
    """Unit of rerank: the rows of a kept file that have negatives, with the scores of positive and negatives."""

    def work(units: Units) -> dict[str, Any]:
        storage = open_storage(item["from"])
        with storage.open_parquet(item["path"]) as file:
            schema = file.schema_arrow
        names = [name for name in schema.names if name != "scores"]
        schema = pa.schema([*[schema.field(name) for name in names], SCORES])
        tally, tables = Tally(), [schema.empty_table()]
        for table in _tables(item, names):
            lists = [[text for text in row or () if text and text.strip()] for row in table["negatives"].to_pylist()]
            usable = np.fromiter(map(bool, lists), bool, len(lists)) & _whole(table)
            tally.add(table, np.where(usable, "kept", "no_negatives"))
            lists = [row for row, fits in zip(lists, usable, strict=True) if fits]
            kept = table.filter(pa.array(usable))
            column = pa.array(lists, schema.field("negatives").type)
            kept = kept.set_column(kept.schema.get_field_index("negatives"), "negatives", column)
            scores = _scores(item, kept, lists)
            ends = np.append(0, np.cumsum([1 + len(row) for row in lists])).astype(np.int32)
            column = pa.ListArray.from_arrays(pa.array(ends), pa.array(scores))
            tables.append(kept.append_column(SCORES, column).cast(schema))
        return tally.written(units, item, tables)

    return do_once(item, item["prefix"], work)


def _tables(item: dict[str, Any], names: list[str]) -> Any:
    storage = open_storage(item["from"])
    with storage.open_parquet(item["path"]) as file, storage.reading(item["path"]):
        for batch in file.iter_batches(ROWS, columns=names):
            yield pa.Table.from_batches([batch]).select(names)


def _whole(table: pa.Table) -> np.ndarray:
    """Which rows (n,) have both sides."""
    return np.asarray(pc.and_(pc.is_valid(table["anchor"]), pc.is_valid(table["positive"])))


def _scores(item: dict[str, Any], table: pa.Table, negatives: list[list[str]]) -> np.ndarray:
    """The scores of each row's positive and negatives, flat."""
    given = MineSpec.model_validate(item["spec"]).rerank
    assert isinstance(given, Rerank)
    pairs = []
    rows = zip(table["anchor"].to_pylist(), table["positive"].to_pylist(), negatives, strict=True)
    for anchor, positive, others in rows:
        pairs += [(anchor or "", text or "") for text in (positive, *others)]
    return reranker(given, item["storage"], item["models"]["cross_encoder"]).score(pairs)
