"""First stage: the hashes of a range's rows, on their way to the partition that has all rows with the same hash.

Rows of the range with the same bands and sketch are linked here, and only the first of them goes on: a boilerplate text
costs its partition one row for each chunk that has it, not one for each copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.curate import against, shardfiles
from pairmill.curate.dedup import buckets, minhash
from pairmill.curate.dedup.sketch import sketch, words
from pairmill.curate.distributed.units import LINKS, PREFIX
from pairmill.curate.shardfiles import matrix
from pairmill.runs import exchange
from pairmill.runs.storage import Storage
from pairmill.runs.units import Units, do_once
from pairmill.spec.curate import CurateSpec
from pairmill.spec.dedup import Near

EXACT = pa.schema([("high", pa.uint64()), ("low", pa.uint64()), ("id", pa.int64())])
_ODD = np.uint64(0x9E3779B97F4A7C15)


def schema(near: Near) -> pa.Schema:
    return pa.schema([("hash", pa.uint64()), ("id", pa.int64()), ("sketch", pa.binary(8 * words(near.slots)))])


def write_bands(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function: exchange files of a range's band rows, exact hashes and links among its own rows."""
    return do_once(item, PREFIX, lambda units: _write(units, CurateSpec.model_validate(item["spec"]), item))


def _write(units: Units, spec: CurateSpec, item: dict[str, Any]) -> dict[str, Any]:
    near, exact = spec.dedup.near if item["bands"] else None, spec.dedup.exact and item["first_pass"]
    files: dict[str, list[str]] = {"bands": [], "exact": [], "links": []}
    rows = size = linked = 0

    def write(name: str, table: pa.Table, destination: np.ndarray) -> None:
        nonlocal size
        path = units.data_path(item["key"], f"-{name}", "arrow")
        exchange.write(units.storage, path, table, destination, item["partitions"])
        files[name].append(path)
        size += table.nbytes

    for ids, hashes, signature in _chunks(units.storage, near, item):
        rows += len(ids)
        if exact:
            table = pa.table([hashes[:, 0].copy(), hashes[:, 1].copy(), ids], schema=EXACT)
            write("exact", table, exchange.by_prefix(hashes[:, 0], item["partitions"]))
        if near:
            bands, links = _bands(near, ids, signature, item["bands"])
            write("bands", bands, exchange.by_prefix(np.asarray(bands["hash"]), item["partitions"]))
            if len(links) and item["first_pass"]:
                linked += len(links)
                write("links", links, exchange.by_hash(np.asarray(links["row"]), item["partitions"]))
    return {"files": files, "rows": rows, "facts": {"bytes": size, "links": linked}}


def _chunks(
    storage: Storage, near: Near | None, item: dict[str, Any]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(ids, exact hashes (n, 2), signatures (n, slots)) of the range's rows, as many as make one piece."""
    most = max(1, item["piece"] // max(len(item["bands"]), 1))
    held: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for shard in item["shards"]:
        for first, table in against.read(storage, shard, ["exact", "signature"] if near else ["exact"]):
            ids = shardfiles.pair_ids(shard["index"], np.arange(first, first + len(table)))
            signature = matrix(table["signature"], np.uint32) if near else np.empty((len(ids), 0), np.uint32)
            held.append((ids, matrix(table["exact"], np.uint64), signature))
            if sum(len(part[0]) for part in held) >= most:
                yield _joined(held)
                held = []
    if held:
        yield _joined(held)


def _joined(parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ids, hashes, signatures = (np.concatenate(list(column)) for column in zip(*parts, strict=True))
    return ids, hashes, signatures


def _bands(near: Near, ids: np.ndarray, signature: np.ndarray, chosen: list[int]) -> tuple[pa.Table, pa.Table]:
    """The band rows of rows that differ, and links from the others to them."""
    valid = np.flatnonzero(minhash.has_shingles(signature))
    ids, signature = ids[valid], signature[valid]
    hashes, sketches = minhash.bands(signature, near.bands, near.rows), sketch(signature)
    together = np.zeros(len(ids), np.uint64)
    for band in range(near.bands):
        together = (together ^ hashes[:, band]) * _ODD
    first, copies = buckets.first_alike(together, ids, sketches)
    alone = np.flatnonzero(first == np.arange(len(ids)))
    count = len(chosen)
    flat = np.repeat(sketches[alone], count, axis=0)
    columns = [
        pa.array(hashes[alone][:, chosen].ravel()),
        pa.array(np.repeat(ids[alone], count)),
        pa.FixedSizeBinaryArray.from_buffers(pa.binary(8 * flat.shape[1]), len(flat), [None, pa.py_buffer(flat)]),
    ]
    links = pa.table([ids[copies], ids[first[copies]]], schema=LINKS)
    return pa.table(columns, schema=schema(near)), links
