"""Second stage: a partition of hashes, with all rows that share one, becomes links and exact labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.curate.dedup import exact
from pairmill.curate.dedup.buckets import Linker
from pairmill.curate.dedup.components import of_links
from pairmill.curate.dedup.groups import shared
from pairmill.curate.dedup.sketch import words
from pairmill.curate.distributed.units import LINKS, PREFIX, files, pieces, range_of
from pairmill.curate.shardfiles import matrix
from pairmill.runs import exchange
from pairmill.runs.units import Units, do_once
from pairmill.spec.curate import CurateSpec
from pairmill.spec.dedup import Near

LABELS = pa.schema([("id", pa.int64()), ("label", pa.int64())])


def link_partition(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function: exchange files `links` (to partitions by id) and `exact` labels (to ranges)."""
    return do_once(item, PREFIX, lambda units: _link(units, CurateSpec.model_validate(item["spec"]), item))


def _link(units: Units, spec: CurateSpec, item: dict[str, Any]) -> dict[str, Any]:
    rows, heads, unresolved = np.empty(0, np.int64), np.empty(0, np.int64), 0
    written: dict[str, list[str]] = {}
    if spec.dedup.near and item["bands"]:
        rows, heads, unresolved = _near_links(units, spec.dedup.near, item)
    if spec.dedup.exact and item["first_pass"]:
        copies, first = _exact_links(units, item)
        rows, heads = np.concatenate([rows, copies]), np.concatenate([heads, first])
        firsts = np.unique(first)
        labels = pa.table([np.concatenate([copies, firsts]), np.concatenate([first, firsts])], schema=LABELS)
        written["exact"] = [units.data_path(item["key"], "-exact", "arrow")]
        destination = range_of(np.asarray(labels["id"]), item["ranges"])
        exchange.write(units.storage, written["exact"][0], labels, destination, len(item["ranges"]))
    if len(rows):
        written["links"] = [units.data_path(item["key"], "-links", "arrow")]
        table = pa.table([rows, heads], schema=LINKS)
        exchange.write(
            units.storage, written["links"][0], table, exchange.by_hash(rows, item["partitions"]), item["partitions"]
        )
    return {"files": written, "rows": len(rows), "facts": {"unresolved": unresolved}}


def _near_links(units: Units, near: Near, item: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, int]:
    """Links from each id that has one to the first of its component within this partition."""
    paths = files(units, item["at"], item["from"], range(len(item["ranges"])), "bands")
    linker = Linker(near.threshold, near.slots, words(near.slots))
    for piece in pieces(units.storage, paths, item["number"], item["piece"]):
        hashes, rows = np.asarray(piece["hash"]), np.arange(len(piece))
        if hashes.size and hashes.min() != hashes.max():
            rows, hashes = shared(rows, hashes)
        linker.feed(hashes, np.asarray(piece["id"])[rows], matrix(piece["sketch"], np.uint64)[rows])
    links = linker.finish()
    ids, roots = of_links(links.row, links.head)
    linked = ids != roots
    return ids[linked], roots[linked], links.unresolved


def _exact_links(units: Units, item: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Every row that is not the first with its exact hash, and the row that is."""
    paths = files(units, item["at"], item["from"], range(len(item["ranges"])), "exact")
    copies, firsts = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    carried: dict[tuple[int, int], int] = {}  # first rows of a hash that comes in several pieces
    for piece in pieces(units.storage, paths, item["number"], item["piece"]):
        ids, high, low = (np.asarray(piece[name]) for name in ("id", "high", "low"))
        if not len(ids):
            continue
        first = ids[exact.first_of(np.column_stack([high, low]))]
        if high.min() == high.max():
            for value in np.unique(low).tolist():
                here = low == np.uint64(value)
                first[here] = carried.setdefault((int(high[0]), value), int(first[here][0]))
        copies.append(ids[first != ids])
        firsts.append(first[first != ids])
    return np.concatenate(copies), np.concatenate(firsts)
