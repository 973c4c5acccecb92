"""`groups:` rows that say the same, as a score side-table.

    texts -> clusters (k-means of a sample) -> assign (per part) -> compare (per bucket of clusters) -> write (per part)

`semantic_group` is the pair_id of the row that stands for the group, its own where it repeats none;
`semantic_duplicate_of` is that row's where the row repeats another.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.embed.vectors import matrix
from pairmill.mine import groups, sides
from pairmill.mine.scored import Made, made_scores
from pairmill.mine.sides import Side, open_side, pairs_of
from pairmill.mine.texts import seeded
from pairmill.mine.work import Work
from pairmill.pairs.scores import NONE, Column, write
from pairmill.runs import exchange
from pairmill.runs.units import Units, do_once
from pairmill.spec.mine import Groups, MineSpec

VERSION = 1
COLUMNS = (
    Column("semantic_group", "int64", None, "the first of the rows that say the same"),
    Column("semantic_duplicate_of", "int64", None, "the earlier row that says the same"),
)
SEEN = 128  # vectors that k-means sees for each cluster
MOST = 8192  # clusters by default, so that one task can hold what k-means sees
FOUND = pa.schema([("pair_id", pa.int64()), ("of", pa.int64()), ("part", pa.int64())])


def make(work: Work, parts: dict[str, list[dict[str, Any]]]) -> Made:
    """`parts` are those of the compared sides."""
    given = work.spec.groups
    assert given is not None
    one, *other = (work.side(parts[side]) for side in sides_of(given))
    base = {"other": other[0] if other else None}
    rows = sum(part["rows"] for part in work.parts[one])
    clusters = given.clusters or min(max(1, round(rows / 1000)), MOST)
    dims = parts[sides_of(given)[0]][0]["dims"] * (1 + len(other))
    buckets = max(1, math.ceil(3 * rows * dims * 4 / work.spec.resources.memory_per_task))
    item = {"prefix": work.prefix("clusters"), "key": "clusters", "side": one, "clusters": clusters, **base}
    item["threads"] = work.threads
    (centres,) = work.stage("mine: clusters", make_clusters, [item])
    items = work.items(f"assign-{buckets}", one, centres=centres["file"], buckets=buckets, **base)
    assigned = {done["key"]: done["file"] for done in work.stage("mine: assign", assign_part, items)}
    files = [assigned[item["key"]] for item in items]
    compare = {"prefix": work.prefix(f"compare-{buckets}"), "files": files, "parts": len(items)}
    items = [{**compare, "key": f"{number:06d}", "number": number} for number in range(buckets)]
    compared = sorted(done["file"] for done in work.stage("mine: compare", compare_bucket, items))
    done = work.stage("mine: write", write_part, work.items("write", one, files=compared))
    duplicates = sum(unit["duplicates"] for unit in done)
    return made_scores(COLUMNS, done, clusters=clusters, duplicates=duplicates)


def sides_of(given: Groups) -> list[str]:
    return ["anchor", "positive"] if given.side == "pair" else [given.side]


def within(given: Groups) -> str:
    """The pools of rows that may be compared."""
    return "all" if given.cross_lingual else "languages" if given.side == "pair" else given.side


def _vectors(one: Side, other: Side | None, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """pair_ids, vectors and classes of a part; of pairs both vectors in one, so that cosines are the mean of theirs."""
    ids, first = sides.read_vectors(one.parts[number])
    classes = one.pools[one.rows(number)]
    if other is None:
        return ids, first, classes
    both, left, right = pairs_of(one, other, number)
    second = sides.read_vectors(other.parts[number])[1]
    joined = np.concatenate([first[left], second[right]], axis=1) / np.float32(math.sqrt(2))
    return both, np.ascontiguousarray(joined), classes[left]


def _open(item: dict[str, Any]) -> tuple[Side, Side | None]:
    other = open_side(item["storage"], item["other"]) if item["other"] else None
    return open_side(item["storage"], item["side"]), other


def make_clusters(item: dict[str, Any]) -> dict[str, Any]:
    """The unit of clusters: the centres that k-means finds for a seeded sample of all rows."""

    def work(units: Units) -> dict[str, Any]:
        import faiss

        one, other = _open(item)
        given = MineSpec.model_validate(item["spec"]).groups
        assert given is not None
        wanted = SEEN * item["clusters"]
        order = seeded(one.pair_ids, given.seed)
        limit = np.partition(order, wanted)[wanted] if len(order) > wanted else np.uint64(2**64 - 1)
        some = []
        for number in range(len(one.parts)):
            ids, vectors, _ = _vectors(one, other, number)
            some.append(vectors[seeded(ids, given.seed) <= limit])
        seen = np.concatenate(some)
        count = min(item["clusters"], len(seen))
        points = {"min_points_per_centroid": 1, "max_points_per_centroid": SEEN}
        faiss.omp_set_num_threads(item["threads"])
        means = faiss.Kmeans(seen.shape[1], count, niter=20, seed=given.seed + 1, spherical=True, **points)
        means.train(seen)
        path = units.data_path(item["key"], kind="npy")
        units.storage.put(path, np.ascontiguousarray(means.centroids, "<f4").tobytes())
        return {"rows": len(seen), "facts": {"file": path, "dims": seen.shape[1]}}

    return do_once(item, item["prefix"], work)


def assign_part(item: dict[str, Any]) -> dict[str, Any]:
    """Unit of assign: the rows of a part, sorted by buckets of clusters."""

    def work(units: Units) -> dict[str, Any]:
        import faiss

        ids, vectors, classes = _vectors(*_open(item), item["number"])
        centres = np.frombuffer(units.storage.get(item["centres"]) or b"", "<f4").reshape(-1, vectors.shape[1])
        nearest = faiss.IndexFlatIP(vectors.shape[1])
        nearest.add(np.ascontiguousarray(centres))
        cluster = nearest.search(vectors, 1)[1][:, 0] if len(ids) else np.zeros(0, np.int64)
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
        columns = [ids, cluster, classes.astype(np.int64), np.full(len(ids), item["number"])]
        names = ["pair_id", "cluster", "class", "part", "vector"]
        table = pa.table([*(pa.array(values, pa.int64()) for values in columns), column], names=names)
        path = units.data_path(item["key"], kind="arrow")
        exchange.write(units.storage, path, table, cluster % item["buckets"], item["buckets"])
        return {"rows": len(ids), "facts": {"file": path}}

    return do_once(item, item["prefix"], work)


def compare_bucket(item: dict[str, Any]) -> dict[str, Any]:
    """Unit of compare: the rows of some clusters, in the order of their pair_ids; results go back to their parts."""

    def work(units: Units) -> dict[str, Any]:
        given = MineSpec.model_validate(item["spec"]).groups
        assert given is not None
        table = pa.Table.from_batches([exchange.read(units.storage, path, item["number"]) for path in item["files"]])
        ids, cluster, classes, part = (table[name].to_numpy() for name in ("pair_id", "cluster", "class", "part"))
        vectors = matrix(table["vector"]) if len(table) else np.empty((0, 1), np.float32)
        of = ids.copy()
        order = np.lexsort((ids, cluster))
        bounds = np.flatnonzero(np.diff(cluster[order], prepend=-1, append=np.iinfo(np.int64).max))
        for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            rows = order[start:stop]
            of[rows] = ids[rows][groups.duplicates(vectors[rows], classes[rows], given.threshold)]
        found = pa.table([pa.array(values) for values in (ids, of, part)], schema=FOUND)
        path = units.data_path(item["key"], kind="arrow")
        exchange.write(units.storage, path, found, part, item["parts"])
        return {"rows": len(ids), "facts": {"file": path}}

    return do_once(item, item["prefix"], work)


def write_part(item: dict[str, Any]) -> dict[str, Any]:
    """Unit of write: the scores of a part's rows."""

    def work(units: Units) -> dict[str, Any]:
        found = exchange.read_all(units.storage, item["files"], item["number"], FOUND).sort_by("pair_id")
        ids, of = found["pair_id"].to_numpy(), found["of"].to_numpy()
        values = {"semantic_group": of, "semantic_duplicate_of": np.where(of == ids, NONE, of)}
        file = write(units.storage, units.data_path(item["key"]), COLUMNS, ids, values)
        return {"rows": len(ids), "facts": {"file": file, "duplicates": int((of != ids).sum())}}

    return do_once(item, item["prefix"], work)
