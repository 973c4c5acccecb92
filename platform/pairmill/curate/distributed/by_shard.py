"""Stages that bring rows back to their shards: the groups, and later the decisions, of one range's shards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.curate import decide, groups, shardfiles
from pairmill.curate.distributed.links import LABELS
from pairmill.curate.distributed.units import PREFIX, files
from pairmill.runs import exchange
from pairmill.runs.units import Units, do_once


def gather_groups(item: dict[str, Any]) -> dict[str, Any]:
    """The groups of a range's shards, as `groups.find_groups` writes them for all."""

    def work(units: Units) -> dict[str, Any]:
        near = _labels(units, item, item["labels"], "labels")
        exact = _labels(units, item, item["exact"], "exact")
        ids = np.union1d(near[0], exact[0])
        columns = [ids, ids.copy(), ids.copy()]
        columns[1][np.searchsorted(ids, exact[0])] = exact[1]
        columns[2][np.searchsorted(ids, near[0])] = near[1]
        return _write(units, item, pa.table(columns, schema=groups.SCHEMA))

    return do_once(item, PREFIX, work)


def gather_decisions(item: dict[str, Any]) -> dict[str, Any]:
    """The decisions of a range's shards, as `decide.decide` writes them for all."""

    def work(units: Units) -> dict[str, Any]:
        paths = files(units, item["at"], "walk", range(item["partitions"]), "decisions")
        table = exchange.read_all(units.storage, paths, item["number"], decide.SCHEMA)
        return _write(units, item, table.sort_by("pair_id"))

    return do_once(item, item["prefix"], work)


def _labels(units: Units, item: dict[str, Any], stages: list[tuple[str, int]], name: str) -> tuple[np.ndarray, ...]:
    paths = [path for stage, count in stages for path in files(units, item["at"], stage, range(count), name)]
    table = exchange.read_all(units.storage, paths, item["number"], LABELS)
    return np.asarray(table["id"]), np.asarray(table["label"])


def _write(units: Units, item: dict[str, Any], table: pa.Table) -> dict[str, Any]:
    path = units.data_path(item["key"])
    return {"file": path, "groups": shardfiles.write_by_shard(units.storage, path, table), "rows": len(table)}
