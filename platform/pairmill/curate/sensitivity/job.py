"""The last stages of a curate job: what other thresholds would keep, and what its groups of duplicates are like."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pairmill.curate import decide, duplicates, shardfiles
from pairmill.curate.result import Collected
from pairmill.curate.sensitivity import groups, levers, rows
from pairmill.curate.sensitivity.curves import curves, name
from pairmill.curate.sensitivity.levers import Lever
from pairmill.curate.statistics import Statistics
from pairmill.runs import engine
from pairmill.runs.engine import Resources, WorkFunction
from pairmill.runs.record import Run
from pairmill.runs.units import digest
from pairmill.spec.curate import CurateSpec

PAIRS = 20  # of languages, those with most rows; the others are counted together
#: Parts of the groups that are walked at most; of more than these the first stand for all.
MOST_PARTS = 16
MEMORY = 4_000_000_000
_TEXT = 2_000
Stage = Callable[[str, WorkFunction, list[dict[str, Any]], Resources], list[dict[str, Any]]]


@dataclass
class Grouped:
    """The groups of a run, and where they and the decisions are."""

    shards: list[dict[str, Any]]  # `{"index", "key"}`, those of earlier runs first
    text: int  # bytes of a row, on average
    keys: dict[str, list[int]] = field(default_factory=dict)  # of the committed groups, with the shards in each
    rows: int = 0  # in groups
    decided: dict[int, dict[str, Any]] = field(default_factory=dict)  # by shard


def tell(
    stage: Stage,
    run: Run,
    spec: CurateSpec,
    plan: Sequence[dict[str, Any]],
    collected: Collected,
    grouped: Grouped | None,
    resources: Resources,
) -> dict[str, Any]:
    """The summary's `sensitivity`, if the spec wants it, and `duplicates`, if there are groups."""
    found, shared = planned(levers.rules_of(spec), collected.statistics, collected.languages, spec.report.sensitivity)
    told: dict[str, Any] = {}
    removed, known = rows.blank(len(found), len(shared["pairs"])), every(shared)
    if grouped and grouped.rows:
        done, share = _walked(stage, run, spec, plan, shared, grouped, resources)
        removed = sum((rows.unpack(unit["counts"], removed.shape) for unit in done), removed)
        lines = zip(*(unit["known"] for unit in done), strict=True)
        known = [[all(point) for point in zip(*line, strict=True)] for line in lines]
        seen = [unit["duplicates"] for unit in done if unit["duplicates"]]
        told |= {"duplicates": _with_texts(run, plan, duplicates.merged(seen, share))} if seen else {}
    if found:
        files = {
            f"{shard['index']:06d}": {part: collected.files[part][at]["path"] for part in ("kept", "rejected")}
            for at, shard in enumerate(plan)
        }
        passing = count(stage, rows.count_rows, run, files, shared, resources)
        kept = sum(counts.kept for counts in collected.counts.values())
        told["sensitivity"] = curves(found, shared["points"], shared["pairs"], passing, removed, known, kept)
    return told


def planned(
    rules: levers.Rules, statistics: Statistics, languages: Mapping[tuple[str, str], Counter[str]], wanted: bool = True
) -> tuple[list[Lever], dict[str, Any]]:
    """The levers (none unless `wanted`), and what units are told: `scored`, `points` by lever, `pairs`."""
    found = levers.levers(rules, statistics.columns) if wanted else []
    values = [np.concatenate([statistics.sampled(column) for column in lever.columns]) for lever in found]
    points = [levers.points(lever, given) for lever, given in zip(found, values, strict=True)]
    most = sorted(languages, key=lambda pair: (-languages[pair].total(), pair))[:PAIRS]
    return found, {"scored": statistics.columns, "points": points, "pairs": [list(pair) for pair in most]}


def every(shared: dict[str, Any]) -> list[list[bool]]:
    """All points are known."""
    return [[True] * len(at) for at in shared["points"]]


def _key(kind: str, number: str, shared: dict[str, Any]) -> str:
    return f"{kind}-{number}-{digest([rows.VERSION, groups.VERSION, shared], 12)}"


def count(
    stage: Stage,
    work: WorkFunction,
    run: Run,
    files: Mapping[str, Mapping[str, str]],
    shared: dict[str, Any],
    resources: Resources,
) -> np.ndarray:
    """Rows that pass all rules, by lever, point at which they begin to, and pair of languages.

    `files`: `kept` and `rejected` of each unit of the stage select. `work` counts those of one, as `rows.count_rows`.
    """
    units = run.units("sensitivity")
    keys = [_key("rows", unit, shared) for unit in files]
    written = zip(files.values(), keys, strict=True)
    items = [{**shared, "files": dict(own), "key": key, "prefix": units.prefix} for own, key in written]
    stage("sensitivity: rows", work, items, resources)
    counts = rows.blank(len(shared["points"]), len(shared["pairs"]))
    for key in keys:
        counts += rows.unpack((units.get(key) or {})["counts"], counts.shape)
    return counts


def _walked(
    stage: Stage,
    run: Run,
    spec: CurateSpec,
    plan: Sequence[dict[str, Any]],
    shared: dict[str, Any],
    grouped: Grouped,
    resources: Resources,
) -> tuple[list[dict[str, Any]], float]:
    """The manifests of the parts of the groups that were walked, and which share of all parts they are."""
    units = run.units("sensitivity")
    parts, each = _parts(spec, grouped, resources)
    base = {**shared, **_where(grouped, plan), "parts": parts, "prefix": units.prefix}
    keys = [_key(f"groups-{parts}", f"{number:06d}", shared) for number in range(min(parts, MOST_PARTS))]
    items = [{**base, "number": number, "key": key} for number, key in enumerate(keys)]
    stage("sensitivity: groups", groups.walk_groups, items, each)
    return [units.get(key) or {} for key in keys], len(keys) / parts


def _parts(spec: CurateSpec, grouped: Grouped, resources: Resources) -> tuple[int, Resources]:
    """Into how many parts the groups are cut, and what the task of one reserves: never more than a node has."""
    offered = engine.largest_memory()
    memory = max(resources.memory, min(MEMORY, offered))
    fixed = decide.memory(spec, 0, grouped.text)
    a_row = max(decide.memory(spec, 1, grouped.text) - fixed, 1)
    most = max((memory - fixed) // a_row, 100_000)
    parts = math.ceil(grouped.rows / most)
    needed = decide.memory(spec, min(grouped.rows, most), grouped.text)
    return parts, Resources(resources.cpus, max(resources.memory, min(needed, offered)))


def _where(grouped: Grouped, plan: Sequence[dict[str, Any]]) -> dict[str, Any]:
    first = {shard["input"]: shard["index"] for shard in reversed(plan)}
    return {
        "shards": grouped.shards,
        "groups": grouped.keys,
        "decided": {str(index): place for index, place in grouped.decided.items()},
        "inputs": sorted([index, given] for given, index in first.items()),
    }


def _with_texts(run: Run, plan: Sequence[dict[str, Any]], found: dict[str, Any]) -> dict[str, Any]:
    """`duplicates` with the texts of its largest groups."""
    keys, inputs = ({shard["index"]: shard[name] for shard in plan} for name in ("key", "input"))
    wanted = {number for group in found["largest"] for number in [group["kept"], *group["members"]]}
    ids = sorted(number for number in wanted if number is not None and number >= 0)
    columns = ["anchor", "positive", "anchor_lang", "positive_lang"]
    texts = shardfiles.rows_at(run.storage, keys, ids, columns)
    found["largest"] = [
        {
            "size": group["size"],
            "kept_text": _text(texts[group["kept"]]) if group["kept"] in texts else None,
            "language": _language([texts[number] for number in [group["kept"], *group["members"]] if number in texts]),
            "members": [
                {"source": inputs[number >> shardfiles.SHARD_BITS], "text": _text(texts[number])}
                for number in group["members"]
            ],
        }
        for group in found["largest"]
    ]
    return found


def _text(row: dict[str, Any]) -> str:
    return f"{row['anchor'][:_TEXT]}\n{row['positive'][:_TEXT]}"


def _language(members: list[dict[str, Any]]) -> str | None:
    return name([members[0]["anchor_lang"], members[0]["positive_lang"]]) if members else None
