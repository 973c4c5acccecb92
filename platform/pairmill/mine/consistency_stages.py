"""`consistency:` the rank of each pair's positive among random passages, as a score side-table.

texts -> pool (per source or pair of languages: a seeded sample of distinct passages) -> rank (per part)
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from pairmill.embed.vectors import matrix, table
from pairmill.mine import consistency, sides
from pairmill.mine.scored import Made, made_scores
from pairmill.mine.sides import open_side, pairs_of
from pairmill.mine.texts import seeded
from pairmill.mine.work import Work
from pairmill.pairs.scores import NONE, Column, write
from pairmill.runs.storage import open_storage
from pairmill.runs.units import Units, digest, do_once
from pairmill.spec.mine import MineSpec

VERSION = 1
COLUMNS = (Column("consistency_rank", "int64", "low", "rank of the positive among random passages, for its anchor"),)


def make(work: Work, parts: dict[str, list[dict[str, Any]]]) -> Made:
    """`parts` are those of both sides."""
    given = work.spec.consistency
    assert given is not None
    anchor, positive = (work.side(parts[side]) for side in ("anchor", "positive"))
    base = {"prefix": work.prefix("pool"), "side": positive}
    items = [{**base, "key": digest(name), "pool": name} for name in work.pools[positive]]
    pools = {done["pool"]: done["file"] for done in work.stage("mine: pool", draw_pool, items)}
    where = f"{work.prefix('pool')}/pools-{digest(pools)}.json"
    work.storage.put_json(where, pools)
    done = work.stage("mine: rank", rank_part, work.items("rank", anchor, positive=positive, pools=where))
    counts = np.sum([unit["histogram"] for unit in done], axis=0, dtype=np.int64)
    consistent = sum(unit["consistent"] for unit in done)
    return made_scores(COLUMNS, done, classes=list(consistency.CLASSES), ranks=counts.tolist(), consistent=consistent)


def draw_pool(item: dict[str, Any]) -> dict[str, Any]:
    """Unit of pool: the distinct passages whose seeded number is smallest, and their vectors. Facts: `pool`, `file`."""

    def work(units: Units) -> dict[str, Any]:
        side = open_side(item["storage"], item["side"])
        given = MineSpec.model_validate(item["spec"]).consistency
        assert given is not None
        rows = np.flatnonzero(side.first & (side.pools == side.names.index(item["pool"])))
        order = np.argsort(seeded(side.texts[rows], given.seed), kind="stable")
        rows = np.sort(rows[order[: given.pool]])
        order = np.argsort(side.texts[rows])
        path = units.data_path(item["key"])
        found = table(side.texts[rows][order], sides.vectors_at(side, rows)[order], "float32")
        with units.storage.parquet_writer(path, found.schema, plain=["vector", "vector.list.element"]) as writer:
            writer.write_table(found)
        return {"rows": len(rows), "facts": {"pool": item["pool"], "file": path}}

    return do_once(item, item["prefix"], work)


@lru_cache(maxsize=1)
def _pool(storage_uri: str, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Text ids (m,), ascending, and vectors (m, d) of a pool."""
    storage = open_storage(storage_uri)
    with storage.open_parquet(path) as file, storage.reading(path):
        found = file.read()
    return found["pair_id"].to_numpy(), matrix(found["vector"])


def rank_part(item: dict[str, Any]) -> dict[str, Any]:
    """Unit of rank: a part's pairs."""

    def work(units: Units) -> dict[str, Any]:
        number = item["number"]
        anchors, positives = (open_side(item["storage"], item[name]) for name in ("side", "positive"))
        given = MineSpec.model_validate(item["spec"]).consistency
        assert given is not None
        ids, left, right = pairs_of(anchors, positives, number)
        queries = sides.read_vectors(anchors.parts[number])[1][left]
        passages = sides.read_vectors(positives.parts[number])[1][right]
        texts = positives.texts[positives.rows(number)][right]
        pools = positives.pools[positives.rows(number)][right]
        found = np.full(len(ids), NONE, np.int64)
        files = units.storage.get_json(item["pools"])
        for pool in np.unique(pools).tolist():
            rows = np.flatnonzero(pools == pool)
            known, vectors = _pool(item["storage"], files[positives.names[pool]])
            found[rows] = consistency.ranks(queries[rows], passages[rows], vectors, texts[rows], known)
        file = write(units.storage, units.data_path(item["key"]), COLUMNS, ids, {"consistency_rank": found})
        counts = {"histogram": consistency.histogram(found), "consistent": int((found <= given.k).sum())}
        return {"rows": len(ids), "facts": {"file": file, **counts}}

    return do_once(item, item["prefix"], work)
