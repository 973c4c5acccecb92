"""Third stage: components of all links, in one task or in rounds over partitions; see `dedup.components`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.curate.dedup.components import large_star, of_links, small_star
from pairmill.curate.distributed.links import LABELS
from pairmill.curate.distributed.units import LINKS, PREFIX, files, range_of
from pairmill.runs import exchange
from pairmill.runs.units import Units, do_once

Star = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
#: Bytes that the single task needs for a link: both ends, sorted and numbered.
BYTES_PER_LINK = 100
_MIX = np.uint64(0xC2B2AE3D27D4EB4F)


def single(item: dict[str, Any]) -> dict[str, Any]:
    """The single task: labels of all ids that have a link, to ranges."""

    def work(units: Units) -> dict[str, Any]:
        links = exchange.read_every(units.storage, _sources(units, item), LINKS)
        return _write_labels(units, item, *of_links(np.asarray(links["row"]), np.asarray(links["head"])))

    return do_once(item, PREFIX, work)


def small(item: dict[str, Any]) -> dict[str, Any]:
    """A partition's links from larger to smaller ids, through small-star; written in both directions."""

    def work(units: Units) -> dict[str, Any]:
        u, v = small_star(*_distinct(units, item))
        return _write_links(units, item, np.concatenate([u, v]), np.concatenate([v, u]))

    return do_once(item, PREFIX, work)


def large(item: dict[str, Any]) -> dict[str, Any]:
    """A partition's links in both directions, through large-star. `facts`: count and check sum of what it read."""

    def work(units: Units) -> dict[str, Any]:
        u, v = _distinct(units, item)
        down = u > v
        mixed = (u[down].astype(np.uint64) * _MIX) ^ v[down].astype(np.uint64)
        check = int(((mixed ^ (mixed >> np.uint64(31))) * _MIX).sum(dtype=np.uint64))
        manifest = _write_links(units, item, *large_star(u, v))
        return {**manifest, "facts": {"links": int(down.sum()), "check": check}}

    return do_once(item, PREFIX, work)


def labels(item: dict[str, Any]) -> dict[str, Any]:
    """After the last round: a partition's links are labels, and go to ranges."""

    def work(units: Units) -> dict[str, Any]:
        u, v = _distinct(units, item)
        down = u > v
        roots = np.unique(v[down])
        return _write_labels(units, item, np.append(u[down], roots), np.append(v[down], roots))

    return do_once(item, PREFIX, work)


def _sources(units: Units, item: dict[str, Any]) -> list[str]:
    """The files of links to read: `from` is a list of (stage, number of units)."""
    return [path for stage, count in item["from"] for path in files(units, item["at"], stage, range(count), "links")]


def _distinct(units: Units, item: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    table = exchange.read_all(units.storage, _sources(units, item), item["number"], LINKS)
    u, v = np.asarray(table["row"]), np.asarray(table["head"])
    order = np.lexsort((v, u))
    u, v = u[order], v[order]
    new = np.ones(len(u), bool)
    new[1:] = (u[1:] != u[:-1]) | (v[1:] != v[:-1])
    return u[new], v[new]


def _write_links(units: Units, item: dict[str, Any], u: np.ndarray, v: np.ndarray) -> dict[str, Any]:
    path = units.data_path(item["key"], kind="arrow")
    count = item["partitions"]
    exchange.write(units.storage, path, pa.table([u, v], schema=LINKS), exchange.by_hash(u, count), count)
    return {"files": {"links": [path]}, "rows": len(u)}


def _write_labels(units: Units, item: dict[str, Any], ids: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    path = units.data_path(item["key"], kind="arrow")
    table = pa.table([ids, label], schema=LABELS)
    exchange.write(units.storage, path, table, range_of(ids, item["ranges"]), len(item["ranges"]))
    return {"files": {"labels": [path]}, "rows": len(ids)}
