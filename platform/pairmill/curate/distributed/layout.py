"""How deduplication is cut into units: ranges of shards, partitions of hashes, passes over the bands. And its volume.

Every number follows from the rows and bytes of the shards and from `resources`; none of them changes which rows stay.

- A range is a run of shards whose rows fit a quarter of a task's memory with all their bands: half a million for 1 GB.
- A partition is what one task reads of all ranges. There are as many as keep a partition within a quarter of a task's
  memory on average; a crowded one is read in pieces.
- A pass takes a part of the bands. There are as many passes as `resources.spill` asks for.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import asdict, dataclass
from typing import Any

from pairmill import objects
from pairmill.curate.dedup.sketch import words
from pairmill.errors import PairmillError
from pairmill.runs.storage import Storage
from pairmill.spec.curate import CurateSpec, Resources
from pairmill.spec.dedup import Near

EXACT_BYTES = 24  # two halves of a hash, an id
LINK_BYTES = 16
#: Bytes that a walk holds for a byte of text: the text, and a 64-bit hash for each shingle.
WALK_BYTES = 10


@dataclass(frozen=True)
class Layout:
    """All units of distributed deduplication."""

    ranges: list[list[int]]  # shard numbers
    partitions: int
    passes: list[list[int]]  # band numbers
    spill: int  # bytes of exchange files at a time, predicted, until the groups are known
    row_bytes: int  # of a row's text and signature, which then go to the walk if the row is in a group
    piece: int  # rows that a unit holds at once

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def band_bytes(near: Near) -> int:
    """Bytes of one band of one row in an exchange file: hash, id, sketch."""
    return 16 + 8 * words(near.slots)


def plan(spec: CurateSpec, shards: list[tuple[int, int]], text: int) -> Layout:
    """The layout for shards, given as (number, rows) in canonical order, with so many bytes of text in all."""
    resources, near, count = spec.resources, spec.dedup.near, sum(rows for _, rows in shards)
    bands = near.bands if near else 0
    of_bands = count * band_bytes(near) if near else 0
    base = count * (EXACT_BYTES if spec.dedup.exact else 0) + count * LINK_BYTES
    passes = _passes(resources, bands, of_bands, base)
    most = math.ceil(bands / passes)
    piece = resources.memory_per_task // (4 * (band_bytes(near) if near else EXACT_BYTES))
    largest = max(most * of_bands, text * WALK_BYTES // 4)
    return Layout(
        ranges=_ranges(shards, piece // max(bands, 1)),
        partitions=resources.partitions or max(1, math.ceil(4 * largest / resources.memory_per_task)),
        passes=[list(range(start, min(start + most, bands))) for start in range(0, bands, most)] if bands else [],
        spill=most * of_bands + base,
        row_bytes=text // max(count, 1) + (4 * near.slots if near else 0),
        piece=piece,
    )


def check_disk(storage: Storage, needed: int) -> None:
    """Refuse to go on where the storage's disk has less room than exchange files take (object stores have room)."""
    if objects.is_remote(storage.uri):
        return
    free = shutil.disk_usage(objects.local_path(storage.uri)).free
    if free < needed:
        raise PairmillError(
            f"{storage.uri}: deduplication will take about {needed / 1e9:.1f} GB there at a time, and "
            f"{free / 1e9:.1f} GB are free. Free some and run the same command again, choose another storage, or set "
            "resources.spill below that: it takes the bands in several passes."
        )


def _passes(resources: Resources, bands: int, of_bands: int, base: int) -> int:
    if resources.spill is None or not bands:
        return 1
    at_once = (resources.spill - base) // max(of_bands, 1)
    if at_once < 1:
        raise PairmillError(
            f"resources.spill: {resources.spill / 1e9:.1f} GB is too little for deduplication: one band of these rows "
            f"takes {of_bands / 1e9:.1f} GB and the rest {base / 1e9:.1f} GB. "
            f"Set it to at least {(of_bands + base) / 1e9:.1f} GB."
        )
    return math.ceil(bands / at_once)


def _ranges(shards: list[tuple[int, int]], most: int) -> list[list[int]]:
    ranges: list[list[int]] = [[]]
    held = 0
    for shard, count in shards:
        if ranges[-1] and held + count > most:
            ranges.append([])
            held = 0
        ranges[-1].append(shard)
        held += count
    return ranges
