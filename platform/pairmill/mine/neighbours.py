"""The units of the stages *index*, *neighbours* and *recall* of a mine job (`work.py`)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.embed.vectors import matrix
from pairmill.errors import StorageError
from pairmill.mine import index, sides
from pairmill.mine.index import Choice
from pairmill.mine.sides import Side, open_side
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import Units, do_once
from pairmill.spec.mine import MineSpec


def build_shard(item: dict[str, Any]) -> dict[str, Any]:
    """Unit of index: the distinct texts of some parts. Facts: `pools`, an index for each, with the places it holds."""

    def work(units: Units) -> dict[str, Any]:
        side, spec = open_side(item["storage"], item["side"]), MineSpec.model_validate(item["spec"])
        numbers = range(item["from"], item["to"])
        whole = slice(int(side.starts[item["from"]]), int(side.starts[item["to"]]))
        places = np.flatnonzero(side.first[whole]) + whole.start
        dims, memory = side.parts[0]["dims"], spec.resources.memory_per_task
        held = {pool: places[side.pools[places] == pool] for pool in np.unique(side.pools[places]).tolist()}
        choices = {
            pool: index.choose(len(rows), dims, memory * len(rows) // len(places), spec.index)
            for pool, rows in held.items()
        }
        made = _built(side, numbers, held, choices, dims, item["threads"])
        pools = []
        for pool, rows in held.items():
            path = units.data_path(item["key"], f"-{pool}", "faiss")
            units.storage.put(path, _packed(made.pop(pool), rows))
            choice = choices[pool]
            pools.append({"name": side.names[pool], "path": path, "rows": len(rows)})
            pools[-1] |= {"choice": str(choice), "kind": choice.kind, "probes": choice.probes}
        return {"rows": len(places), "facts": {"pools": pools}}

    return do_once(item, item["prefix"], work)


def _built(
    side: Side,
    numbers: range,
    held: dict[int, np.ndarray],
    choices: dict[int, Choice],
    dims: int,
    threads: int,
) -> dict[int, Any]:
    """The index of each pool's places, ascending: first the lists are made of a sample, then all vectors added."""
    import faiss

    faiss.omp_set_num_threads(threads)
    wanted = {pool: rows[index.sample(len(rows), choices[pool])] for pool, rows in held.items()}
    seen: dict[int, list[np.ndarray]] = {pool: [np.empty((0, dims), np.float32)] for pool in held}
    if any(len(rows) for rows in wanted.values()):
        for pool, vectors in _by_pool(side, numbers, wanted):
            seen[pool].append(vectors)
    made = {pool: index.empty(choices[pool], dims, np.concatenate(seen.pop(pool))) for pool in held}
    for pool, vectors in _by_pool(side, numbers, held):
        made[pool].add(vectors)
    return made


def _by_pool(side: Side, numbers: range, wanted: dict[int, np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """Of each part the vectors of the wanted places, pool by pool."""
    for number in numbers:
        rows = side.rows(number)
        chosen = {
            pool: places[slice(*np.searchsorted(places, (rows.start, rows.stop)))] for pool, places in wanted.items()
        }
        if any(len(places) for places in chosen.values()):
            _, vectors = sides.read_vectors(side.parts[number])
            for pool, places in chosen.items():
                if len(places):
                    yield pool, np.ascontiguousarray(vectors[places - rows.start])


def _packed(made: Any, places: np.ndarray) -> bytes:
    """A faiss index and the places of its vectors, as bytes."""
    import faiss

    file = io.BytesIO()
    file.write(np.append(len(places), places).astype("<i8").tobytes())
    faiss.write_index(made, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]
    return file.getvalue()


def _unpacked(storage_uri: str, path: str, probes: int) -> tuple[Any, np.ndarray]:
    import faiss

    storage = open_storage(storage_uri)
    data = storage.get(path)
    if data is None:
        raise StorageError(f"{storage.where(path)}: the index is gone (deleted by someone?). Run the job with --fresh.")
    count = int(np.frombuffer(data, "<i8", 1)[0])
    file = io.BytesIO(data)
    file.seek(8 * (count + 1))
    made = faiss.read_index(faiss.PyCallbackIOReader(file.read))  # type: ignore[attr-defined]
    if isinstance(made, faiss.IndexIVF):
        made.nprobe = probes
    return made, np.frombuffer(data, "<i8", count, 8).copy()  # a view would hold all of `data`


#: What a process keeps open for its next units: a large index, or some small ones.
_large, _small = lru_cache(maxsize=1)(_unpacked), lru_cache(maxsize=16)(_unpacked)


def _nearest(
    storage: Storage, shards: list[list[dict[str, Any]]], pool: str, queries: np.ndarray, k: int, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cosines (q, k) and places (q, k) of the nearest texts of a pool, over all shards."""
    found = [(np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64))]
    for shard in shards:
        for held in shard:
            if held["name"] == pool:
                cached = _small if held["rows"] <= index.FLAT_ROWS else _large
                made, places = cached(storage.uri, held["path"], held["probes"])
                cosines, ids = index.search(made, queries, k, threads)
                found.append((cosines, np.where(ids >= 0, places[ids], -1)))
    return index.merge(found, k)


def find_nearest(item: dict[str, Any]) -> dict[str, Any]:
    """Unit of neighbours. Facts: `file`, with `cosines` and `places` (k of each), a row for each text of the part."""

    def work(units: Units) -> dict[str, Any]:
        side = open_side(item["storage"], item["side"])
        shards = units.storage.get_json(item["index"])
        _, vectors = sides.read_vectors(side.parts[item["number"]])
        pools, k = side.pools[side.rows(item["number"])], item["k"]
        cosines = np.full((len(vectors), k), -np.inf, np.float32)
        places = np.full((len(vectors), k), -1, np.int64)
        for pool in np.unique(pools).tolist():
            rows = np.flatnonzero(pools == pool)
            cosines[rows], places[rows] = _nearest(
                units.storage, shards, side.names[pool], vectors[rows], k, item["threads"]
            )
        path = units.data_path(item["key"])
        write_neighbours(units.storage, path, cosines, places)
        return {"rows": len(vectors), "facts": {"file": path}}

    return do_once(item, item["prefix"], work)


def write_neighbours(storage: Storage, path: str, cosines: np.ndarray, places: np.ndarray) -> None:
    columns = [
        pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1]) for values in (cosines, places)
    ]
    table = pa.table(columns, names=["cosines", "places"])
    with storage.parquet_writer(path, table.schema, plain=["cosines", "cosines.list.element"]) as writer:
        writer.write_table(table)


def read_neighbours(storage: Storage, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Cosines (n, k) float32 and places (n, k) int64 that `find_nearest` wrote."""
    with storage.open_parquet(path) as file, storage.reading(path):
        table = file.read()
    return matrix(table["cosines"]), matrix(table["places"], np.int64)


def measure_recall(item: dict[str, Any]) -> dict[str, Any]:
    """The unit of recall: a random sample of queries, against exact search."""

    def work(units: Units) -> dict[str, Any]:
        asking, others = (open_side(item["storage"], item[name]) for name in ("side", "others"))
        rows = np.sort(np.random.default_rng(0).permutation(len(asking.texts))[: item["sample"]])
        vectors, pools, k = sides.vectors_at(asking, rows), asking.pools[rows], item["k"]
        shards = units.storage.get_json(item["index"])
        found, exact = [], []
        for pool in np.unique(pools).tolist():
            queries, name = vectors[pools == pool], asking.names[pool]
            found.append(_nearest(units.storage, shards, name, queries, k, item["threads"])[1])
            exact.append(_exact(others, name, queries, k))
        share = index.recall(np.concatenate(found), np.concatenate(exact))
        return {"rows": len(rows), "facts": {"recall": round(share, 5), "k": k, "queries": len(rows)}}

    return do_once(item, item["prefix"], work)


def _exact(side: Side, name: str, queries: np.ndarray, k: int) -> np.ndarray:
    """The places (q, k) of the nearest distinct texts of a pool, by exact search of all parts."""
    import faiss

    if name not in side.names:
        return np.full((len(queries), k), -1, np.int64)
    chosen = np.flatnonzero(side.first & (side.pools == side.names.index(name)))
    found = [(np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64))]
    for number in range(len(side.parts)):
        rows = side.rows(number)
        places = chosen[slice(*np.searchsorted(chosen, (rows.start, rows.stop)))]
        if len(places):
            _, vectors = sides.read_vectors(side.parts[number])
            flat = faiss.IndexFlatIP(vectors.shape[1])
            flat.add(np.ascontiguousarray(vectors[places - rows.start]))
            cosines, ids = index.search(flat, queries, k)
            found.append((cosines, np.where(ids >= 0, places[ids], -1)))
            found = [index.merge(found, k)]
    return index.merge(found, k)[1]
