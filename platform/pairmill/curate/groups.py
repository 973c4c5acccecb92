"""Groups: which rows are duplicates of each other, whatever the thresholds of the filters.

One task for all shards, while the band rows fit memory: exact groups by the 128-bit hash; then near groups by bands,
star links verified by sketch, and components. Where rows with the same exact key also share the text that near
deduplication compares, only the first of them takes part. The answer depends on the shards and the deduplication
parameters alone, so runs that differ in filters share it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.curate import shardfiles
from pairmill.curate.dedup import exact, groups, minhash
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import Stopwatch, Units, digest
from pairmill.spec.curate import CurateSpec, Dedup, Near

VERSION = 1
PREFIX = "stages/groups"
SCHEMA = pa.schema([("pair_id", pa.int64()), ("exact", pa.int64()), ("near", pa.int64())])


def memory(spec: CurateSpec, rows: int) -> int:
    """Bytes that the stages over all rows may need; a row's hashes, bands and sketch are held about three times."""
    near = spec.dedup.near
    return 400_000_000 + rows * 3 * (24 + (8 * near.bands + near.slots if near else 0))


def key(spec: CurateSpec, shard_keys: list[str]) -> str:
    near = spec.dedup.near
    meaning = {
        "version": [VERSION, groups.VERSION, exact.VERSION, minhash.VERSION],
        "exact": spec.dedup.exact is not None,
        "near": [near.threshold, near.bands, near.rows] if near else None,
        "shards": shard_keys,
    }
    return digest(meaning)


def find_groups(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function: commit a table of all rows that are in a group of two or more.

    `exact` is the pair_id of the first row with the same text, `near` that of the first row of the near group; a row
    that is alone in one of them names itself there.
    """
    storage, spec = open_storage(item["storage"]), CurateSpec.model_validate(item["spec"])
    units = Units(storage, PREFIX)
    done = units.get(item["key"])
    reused = done is not None
    if done is None:
        watch = Stopwatch(item["attempt"])
        table, counts = _groups(storage, spec, item["shards"])
        path = units.data_path(item["key"])
        by_shard = shardfiles.write_by_shard(storage, path, table)
        manifest = {"file": path, "groups": by_shard, "rows": len(table), "counts": counts, "record": watch.record()}
        done = units.commit(item["key"], manifest)
    return {"key": item["key"], "rows": done["rows"], "reused": reused}


def _groups(storage: Storage, spec: CurateSpec, shards: list[dict[str, Any]]) -> tuple[pa.Table, dict[str, int]]:
    ids, hashes, bands, sketches, valid = _load(storage, spec.dedup.near, shards)
    own = np.arange(len(ids))
    first = exact.first_of(hashes) if spec.dedup.exact else own
    near, counts = own, dict[str, int]()
    if spec.dedup.near:
        alone = first == own if same_text(spec.dedup) else np.ones(len(ids), bool)
        source = first if same_text(spec.dedup) else own
        found = groups.near_groups(bands[alone], sketches[alone], valid[alone], spec.dedup.near.threshold)
        near = np.flatnonzero(alone)[found.labels][(np.cumsum(alone) - 1)[source]]
        counts = {"links": found.links, "refused": found.refused, "unresolved": found.unresolved}
    grouped = np.flatnonzero(_several(near) | _several(first))
    columns = [ids[grouped], ids[first[grouped]], ids[near[grouped]]]
    return pa.table([pa.array(column) for column in columns], schema=SCHEMA), counts


def same_text(dedup: Dedup) -> bool:
    """Whether rows with the same exact key are sure to have the same text for near deduplication."""
    return dedup.exact is not None and (dedup.near is None or dedup.exact.key in ("pair", dedup.near.key))


def _several(labels: np.ndarray) -> np.ndarray:
    """True where a row's label, which is the number of a row, stands more than once."""
    return np.bincount(labels, minlength=len(labels))[labels] > 1


def _load(storage: Storage, near: Near | None, shards: list[dict[str, Any]]) -> tuple[np.ndarray, ...]:
    """(ids, exact hashes, band hashes, sketches, has shingles) of all rows, in canonical order."""
    columns = ["exact", "signature"] if near else ["exact"]
    parts: list[list[np.ndarray]] = [[] for _ in range(5)]
    for shard in shards:
        for first, table in shardfiles.read(storage, shard["key"], columns):
            parts[0].append(shardfiles.pair_ids(shard["index"], np.arange(first, first + len(table))))
            parts[1].append(matrix(table["exact"], np.uint64))
            if near:
                signature = matrix(table["signature"], np.uint32)
                parts[2].append(minhash.bands(signature, near.bands, near.rows))
                parts[3].append(minhash.sketch(signature))
                parts[4].append(minhash.has_shingles(signature))
    widths = ((), (2,), (near.bands,) if near else (0,), (near.slots,) if near else (0,), ())
    kinds = (np.int64, np.uint64, np.uint64, np.uint8, bool)
    return tuple(
        np.concatenate(part) if part else np.empty((0, *width), kind)
        for part, width, kind in zip(parts, widths, kinds, strict=True)
    )


def matrix(column: pa.ChunkedArray, kind: type) -> np.ndarray:
    """Fixed-size binary rows as a matrix of `kind`, without a copy where the column is one chunk."""
    array = column.combine_chunks()
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    width = array.type.byte_width // np.dtype(kind).itemsize
    flat: np.ndarray = np.frombuffer(array.buffers()[1], kind)
    return flat[array.offset * width : (array.offset + len(array)) * width].reshape(-1, width)
