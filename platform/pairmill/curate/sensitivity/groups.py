"""Count what duplicates remove at each point of each lever, from the rows of a part of the groups.

A part is the groups whose label has a certain hash. Rows of its groups that fail one rule at most are read with scores,
languages and texts, once for all levers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate import against, decide, duplicates, exclude, shardfiles, thresholds
from pairmill.curate import groups as grouping
from pairmill.curate.decontamination import stages as decontamination
from pairmill.curate.dedup.resolve import HUGE
from pairmill.curate.sensitivity import kernels
from pairmill.curate.sensitivity.levers import NEVER, Lever, cells, languages_of, levers, numbered, rules_of
from pairmill.curate.sensitivity.rows import blank, pack
from pairmill.runs import exchange
from pairmill.runs.units import Units, do_once
from pairmill.spec.curate import CurateSpec
from pairmill.spec.dedup import Dedup, Near

VERSION = 1
#: Rows of huge groups that a unit walks at most, over all levers; beyond, curves have fewer points.
MOST_WALKED = 5_000_000
_DECIDED = ["pair_id", "duplicate_of"]


@dataclass
class Rows:
    """Rows of groups (n), in the order of their ids: `table` as the walk wants it, cells (levers, n), pairs (n)."""

    table: pa.Table
    cells: np.ndarray
    pair: np.ndarray


def walk_groups(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function. `item`: `shards` (earlier ones first), `groups` (key: shard numbers), `decided` by
    shard, `inputs` (see duplicates.Places), `number` of `parts`; `scored`, `points` and `pairs` as `rows` has them."""

    def work(units: Units) -> dict[str, Any]:
        spec = CurateSpec.model_validate(item["spec"])
        found = levers(rules_of(spec), item["scored"]) if item["points"] else []
        members, decisions = _members(units, item)
        places = duplicates.Places(item["inputs"], against.load(units.storage, item["against"]))
        facts = duplicates.facts(pa.concat_tables(members.values()), decisions, places) if members else None
        counts, known = blank(len(found), len(item["pairs"])), [[True] * len(at) for at in item["points"]]
        if found and members:
            rows = _read(units, spec, item, members, found)
            known = removals(rows, spec.dedup, [len(at) for at in item["points"]], _steps(found, item), counts)
        read = sum(map(len, members.values()))
        return {"counts": pack(counts), "known": known, "duplicates": facts, "rows": read}

    return do_once(item, item["prefix"], work)


def _steps(found: list[Lever], item: dict[str, Any]) -> list[int]:
    """The point of each lever that is the run's own threshold."""
    return [at.index(lever.at) for lever, at in zip(found, item["points"], strict=True)]


def _members(units: Units, item: dict[str, Any]) -> tuple[dict[int, pa.Table], pa.Table]:
    """This part's members of groups by shard (grouping.SCHEMA), and what was decided of them."""
    key_of = {shard: key for key, shards in item["groups"].items() for shard in shards}
    manifests = {key: Units(units.storage, grouping.PREFIX).get(key) for key in item["groups"]}
    members, decisions = {}, [decide.SCHEMA.empty_table().select(_DECIDED)]
    for shard in item["shards"]:
        grouped = manifests[key_of[shard["index"]]]
        assert grouped is not None, "groups are committed before this stage starts"
        table = shardfiles.read_shard(units.storage, grouped, shard["index"])
        mine = exchange.by_hash(np.asarray(table["near"]), item["parts"]) == item["number"]
        if not mine.any():
            continue
        members[shard["index"]] = table.filter(pa.array(mine))
        place = item["decided"].get(str(shard["index"]))
        found = Units(units.storage, place["prefix"]).get(place["key"]) if place else None
        if found is not None:
            decided = shardfiles.read_shard(units.storage, found, shard["index"]).select(_DECIDED)
            own = np.isin(np.asarray(decided["pair_id"]), np.asarray(members[shard["index"]]["pair_id"]))
            decisions.append(decided.filter(pa.array(own)))
    return members, pa.concat_tables(decisions)


def _read(
    units: Units, spec: CurateSpec, item: dict[str, Any], members: dict[int, pa.Table], found: list[Lever]
) -> Rows:
    parts = []
    for shard in item["shards"]:
        rows = members.get(shard["index"])
        if rows is None:
            continue
        if "file" in shard:
            table = decide.of_earlier(shard, rows, spec.dedup.near)
            parts.append(Rows(table, np.zeros((len(found), len(rows)), np.uint8), np.zeros(len(rows), np.int64)))
        else:
            rows = decontamination.without(rows, units.storage, item.get("contaminated"), shard["index"])
            parts += _of_shard(units, spec, item, shard, rows, found)
    table = pa.concat_tables([decide.rows_schema(spec.dedup.near).empty_table(), *[part.table for part in parts]])
    none = np.zeros((len(found), 0), np.uint8), np.zeros(0, np.int64)
    return Rows(
        table.combine_chunks(),
        np.concatenate([none[0], *[part.cells for part in parts]], axis=1),
        np.concatenate([none[1], *[part.pair for part in parts]]),
    )


def _of_shard(
    units: Units, spec: CurateSpec, item: dict[str, Any], shard: dict[str, Any], rows: pa.Table, found: list[Lever]
) -> list[Rows]:
    """The rows of a shard that pass some point of some lever."""
    rules = rules_of(spec)(None)
    exclusions = exclude.load(item["storage"], item["exclude"])
    parts = []
    for members, table in decide.read_members(units.storage, shard, rows, rules, spec.dedup.near):
        failing = thresholds.apply(rules, table).failing
        languages = languages_of(table)
        points = np.full((len(found), len(table)), NEVER, np.uint8)
        for number, (lever, at) in enumerate(zip(found, item["points"], strict=True)):
            others = failing & ~np.uint64(1 << lever.number) != 0
            points[number] = np.where(others, NEVER, cells(lever, at, table, languages))
        chosen = (points != NEVER).any(axis=0) & ~exclusions.matches(table)
        prepared = decide.prepare(members, table, spec.dedup.near).filter(pa.array(chosen))
        parts.append(Rows(prepared, points[:, chosen], numbered(item["pairs"], languages)[chosen]))
    return parts


def removals(rows: Rows, dedup: Dedup, points: list[int], current: list[int], counts: np.ndarray) -> list[list[bool]]:
    """Add to `counts` (levers, points, pairs) what duplicates remove at each point beyond the one before.

    Returns for each lever which of its `points` are known: all, unless huge groups make it too much; `current` is.
    """
    ordered = _Ordered.of(rows, dedup)
    scratch = np.zeros(len(rows.table), bool)
    for number, count in enumerate(points):
        cell = np.ascontiguousarray(rows.cells[number][ordered.order])
        given = ordered.starts, ordered.own, ordered.label, ordered.pinned, cell, rows.pair[ordered.order]
        kernels.removed()(*given, ordered.width, ordered.corner, ordered.alike, count, scratch, counts[number])
    huge = np.sort(ordered.order[np.repeat(ordered.width == 0, np.diff(ordered.starts))])
    part = Rows(rows.table.take(pa.array(huge)), rows.cells[:, huge], rows.pair[huge])
    return [_huge(part, dedup, n, points[n], current[n], counts[n], len(points)) for n in range(len(points))]


def _huge(rows: Rows, dedup: Dedup, lever: int, points: int, current: int, counts: np.ndarray, of: int) -> list[bool]:
    """The same for one lever and the rows of huge groups, by the walk itself. Reads nothing where there are none."""
    cell = rows.cells[lever]
    joins = [point for point in range(points) if (cell == point).any()]
    affordable = max(1, MOST_WALKED // max(len(cell) * of, 1))
    walked = set(joins)
    if len(joins) > affordable:
        now = max((point for point in joins if point <= current), default=joins[0])
        nearest = sorted(joins, key=lambda point: abs(joins.index(point) - joins.index(now)))
        walked = set(nearest[:affordable])
    known, before, fresh = [], np.zeros(counts.shape[1], np.int64), True
    for point in range(points):
        fresh = point in walked if point in joins else fresh
        known.append(fresh)
        if point in walked:
            taken = np.flatnonzero(cell <= point)
            gone = decide.walk(rows.table.take(pa.array(taken)), dedup)["pair_id"]
            of_pair = rows.pair[taken][np.isin(np.asarray(rows.table["pair_id"])[taken], np.asarray(gone))]
            now_removed = np.bincount(of_pair, minlength=len(before))
            counts[point] += now_removed - before
            before = now_removed
    return known


@dataclass
class _Ordered:
    """Rows by group, in keep order within each; see kernels.removed."""

    order: np.ndarray  # (n,) places in the rows
    starts: np.ndarray  # (groups + 1,)
    own: np.ndarray
    label: np.ndarray
    pinned: np.ndarray
    width: np.ndarray  # (groups,) texts, 0 for huge groups
    corner: np.ndarray  # (groups + 1,) where each group's square in `alike` begins
    alike: np.ndarray

    @classmethod
    def of(cls, rows: Rows, dedup: Dedup) -> _Ordered:
        table, near = rows.table, dedup.near
        order = decide.keep_order(table, near)
        group = np.unique(np.asarray(table["near"]), return_inverse=True)[1][order]
        order, group = order[np.argsort(group, kind="stable")], np.sort(group)
        starts = np.append(np.flatnonzero(np.diff(group, prepend=-1)), len(group))
        ids, exact = (np.asarray(table[name])[order] for name in ("pair_id", "exact"))
        rows_alone = np.arange(len(order))
        label = _numbers(exact if dedup.exact else rows_alone, starts)
        text = exact if grouping.same_text(dedup) else rows_alone
        own = _numbers(text, starts)
        width = np.maximum.reduceat(own, starts[:-1]) + 1 if len(order) else np.zeros(0, np.int64)
        width = np.where(width > HUGE, 0, width)
        corner = np.append(0, np.cumsum(width**2))
        alike = np.zeros(int(corner[-1]), bool)
        if near and len(order):
            leads = np.flatnonzero(decide.first_in_order(text) == rows_alone)
            first = np.searchsorted(leads, starts)
            _compare(table.take(pa.array(order[leads])), near, first, np.where(width > 1, corner[:-1], -1), alike)
        return cls(order, starts, own, label, ids < 0, width, corner, alike)


def _numbers(labels: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Labels (n,), none in two groups, as numbers within the group in the order of their first rows."""
    first = decide.first_in_order(labels)
    leads = np.cumsum(first == np.arange(len(labels))) - 1
    sizes = np.diff(starts)
    found: np.ndarray = leads[first] - np.repeat(leads[starts[:-1]], sizes)
    return found


def _compare(texts: pa.Table, near: Near, first: np.ndarray, corner: np.ndarray, alike: np.ndarray) -> None:
    """Fill the groups' squares in `alike`, which begin at `corner` (-1: none); group g has the texts first[g] ..."""
    size = np.append(0, np.cumsum(np.asarray(pc.binary_length(texts["text"])) + near.slots))
    piece = size[first[1:]] // decide.PIECE
    for groups in np.split(np.arange(len(corner)), np.flatnonzero(np.diff(piece)) + 1):
        wanted = groups[corner[groups] >= 0]
        if len(wanted):
            rows = np.concatenate([np.arange(first[g], first[g + 1]) for g in wanted.tolist()])
            values, offsets, threshold = decide.compared(texts.take(pa.array(rows)), near)
            starts = np.append(0, np.cumsum(np.diff(first)[wanted]))
            kernels.alike()(values, offsets, starts, corner[wanted], threshold, alike)
