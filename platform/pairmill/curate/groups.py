"""Groups: which rows are duplicates of each other, whatever the thresholds of the filters.

Here one task reads all shards, while their hashes fit memory; `distributed` does the same in many. Exact groups are the
rows with the same 128-bit hash; near groups are the components of verified links between rows that share a band, and of
the exact groups. The answer depends on the shards and the deduplication parameters alone, so runs that differ in
filters share it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.curate import against, shardfiles
from pairmill.curate.dedup import buckets, exact, groups, minhash
from pairmill.curate.dedup.components import Forest
from pairmill.curate.dedup.sketch import sketch, words
from pairmill.curate.shardfiles import matrix
from pairmill.runs.storage import Storage
from pairmill.runs.units import Units, digest, do_once
from pairmill.spec.curate import CurateSpec
from pairmill.spec.dedup import Dedup, Near

VERSION = 2
PREFIX = "stages/groups"
SCHEMA = pa.schema([("pair_id", pa.int64()), ("exact", pa.int64()), ("near", pa.int64())])


def memory(spec: CurateSpec, rows: int) -> int:
    """Bytes that the single tasks over all rows need: hashes, bands and sketches, and a sorted copy of one of them."""
    near = spec.dedup.near
    return 400_000_000 + rows * (112 + (8 * near.bands + 8 * words(near.slots) if near else 0))


def key(spec: CurateSpec, shards: list[dict[str, Any]]) -> str:
    near = spec.dedup.near
    meaning = {
        "version": [VERSION, groups.VERSION, buckets.VERSION, exact.VERSION, minhash.VERSION],
        "exact": spec.dedup.exact is not None,
        "near": [near.threshold, near.bands, near.rows] if near else None,
        "shards": [shard.get("key") or shard["file"] for shard in shards],
    }
    return digest(meaning)


def find_groups(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function: commit a table of all rows that are in a group of two or more.

    `exact` is the pair_id of the first row with the same exact key (its own, if no other has it), `near` that of the
    first row of the group.
    """

    def work(units: Units) -> dict[str, Any]:
        table, counts = _groups(units.storage, CurateSpec.model_validate(item["spec"]), item["shards"])
        path = units.data_path(item["key"])
        by_shard = shardfiles.write_by_shard(units.storage, path, table)
        return {"file": path, "groups": by_shard, "rows": len(table), "facts": counts}

    return do_once(item, PREFIX, work)


def _groups(storage: Storage, spec: CurateSpec, shards: list[dict[str, Any]]) -> tuple[pa.Table, dict[str, int]]:
    near = spec.dedup.near
    ids, hashes, bands, sketches, valid = _load(storage, near, shards)
    own = np.arange(len(ids))
    first = exact.first_of(hashes) if spec.dedup.exact else own
    forest, counts = Forest(len(ids)), dict[str, int]()
    forest.join(first, own)
    if near:
        chosen = valid & (first == own) if same_text(spec.dedup) else valid
        found = groups.near_groups(bands, sketches, chosen, near.threshold, near.slots)
        forest.join(found.labels, own)
        counts = {"unresolved": found.unresolved}
    labels = forest.labels()
    undecided = np.zeros(len(ids), bool)  # groups of earlier runs' rows alone are not: these stay
    undecided[labels[ids >= 0]] = True
    grouped = np.flatnonzero(_several(labels) & undecided[labels])
    columns = [ids[grouped], ids[first[grouped]], ids[labels[grouped]]]
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
    count = sum(against.rows(storage, shard) for shard in shards)
    ids, hashes, valid = np.empty(count, np.int64), np.empty((count, 2), np.uint64), np.empty(count, bool)
    bands = np.empty((count, near.bands if near else 0), np.uint64)
    sketches = np.empty((count, words(near.slots) if near else 0), np.uint64)
    at = 0
    for shard in shards:
        for first, table in against.read(storage, shard, columns):
            here = slice(at, at + len(table))
            ids[here] = shardfiles.pair_ids(shard["index"], np.arange(first, first + len(table)))
            hashes[here] = matrix(table["exact"], np.uint64)
            if near:
                signature = matrix(table["signature"], np.uint32)
                bands[here] = minhash.bands(signature, near.bands, near.rows)
                sketches[here], valid[here] = sketch(signature), minhash.has_shingles(signature)
            at += len(table)
    return ids, hashes, bands, sketches, valid
