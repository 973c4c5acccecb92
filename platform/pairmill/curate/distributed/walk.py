"""Fourth stage: a group's rows that pass everything else come together in one partition, where `decide` walks them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pairmill.curate import decide, exclude
from pairmill.curate.distributed.units import PREFIX, files, key, range_of
from pairmill.runs import exchange
from pairmill.runs.units import Units, do_once
from pairmill.spec.curate import CurateSpec


def write_candidates(item: dict[str, Any]) -> dict[str, Any]:
    """The rows of a range that are in groups and pass every rule, with their texts, to partitions by group."""

    def work(units: Units) -> dict[str, Any]:
        spec, storage = CurateSpec.model_validate(item["spec"]), units.storage
        grouped = Units(storage, PREFIX).get(item["whole"] or key(item["groups"], "groups", item["number"]))
        assert grouped is not None, "groups are committed before candidates are sought"
        exclusions = exclude.load(item["storage"], item["exclude"])
        rows = decide.eligible(storage, spec, grouped, item["shards"], exclusions, item.get("contaminated"))
        rows = decide.without_copies_texts(rows, spec.dedup)
        path, count = units.data_path(item["key"], kind="arrow"), item["partitions"]
        exchange.write(storage, path, rows, exchange.by_hash(np.asarray(rows["near"]), count), count)
        return {"files": {"rows": [path]}, "rows": len(rows), "facts": {"bytes": rows.nbytes}}

    return do_once(item, item["prefix"], work)


def walk_partition(item: dict[str, Any]) -> dict[str, Any]:
    """The rows of a partition's groups that duplicates remove, to ranges."""

    def work(units: Units) -> dict[str, Any]:
        spec = CurateSpec.model_validate(item["spec"])
        paths = files(units, item["at"], "candidates", range(len(item["ranges"])), "rows")
        rows = exchange.read_all(units.storage, paths, item["number"], decide.rows_schema(spec.dedup.near))
        decisions = decide.walk(rows.combine_chunks(), spec.dedup)
        path = units.data_path(item["key"], kind="arrow")
        destination = range_of(np.asarray(decisions["pair_id"]), item["ranges"])
        exchange.write(units.storage, path, decisions, destination, len(item["ranges"]))
        return {"files": {"decisions": [path]}, "rows": len(decisions)}

    return do_once(item, item["prefix"], work)
