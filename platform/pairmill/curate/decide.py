"""Decide: which of the rows in groups stay, given the filters of this run.

1. From every shard take the rows that are in a group, and of those the ones that pass all rules and no opt-out names.
2. Order each group by the spec's `keep`, ties in canonical order.
3. Visit the rows: one is an `exact_duplicate` if a row with the same exact key is already kept; else a `near_duplicate`
   if a row already kept in its group has Jaccard similarity of at least the threshold, by the texts' shingles (`verify:
   exact`) or by the signatures (`verify: estimate`); else it is kept. Where rows with the same exact key have the same
   near text too, only the first of them is compared, and the others share its fate.
So every removed row has a kept partner, and no group loses all its members. Rows of earlier runs (`dedup.against`;
their ids are negative) come first and stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate import against, exclude, groups, shardfiles, thresholds
from pairmill.curate.annotate import key_text
from pairmill.curate.decontamination import stages as decontamination
from pairmill.curate.dedup import minhash, resolve
from pairmill.runs.storage import Storage
from pairmill.runs.units import Units, do_once
from pairmill.spec.curate import CurateSpec
from pairmill.spec.dedup import Dedup, Near

VERSION = 2
PIECE = 32 << 20  # bytes
SCHEMA = pa.schema(
    [("pair_id", pa.int64()), ("reason", pa.string()), ("duplicate_of", pa.int64()), ("similarity", pa.float32())]
)


def memory(spec: CurateSpec, rows: int, text: int) -> int:
    """Bytes that the single task needs for so many rows in groups: texts (`text` bytes each) and signatures, twice."""
    return 900_000_000 + rows * (100 + 2 * (text + (4 * spec.dedup.near.slots if spec.dedup.near else 0)))


def decide(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function: commit the rows that duplicates remove, with the kept row that removes each."""

    def work(units: Units) -> dict[str, Any]:
        storage, spec = units.storage, CurateSpec.model_validate(item["spec"])
        grouped = Units(storage, groups.PREFIX).get(item["groups"])
        assert grouped is not None, "groups are committed before decide starts"
        exclusions = exclude.load(item["storage"], item["exclude"])
        rows = eligible(storage, spec, grouped, item["shards"], exclusions, item.get("contaminated"))
        table = walk(rows, spec.dedup)
        path = units.data_path(item["key"])
        return {"file": path, "groups": shardfiles.write_by_shard(storage, path, table), "rows": len(table)}

    return do_once(item, item["prefix"], work)


def walk(rows: pa.Table, dedup: Dedup) -> pa.Table:
    """The rows that duplicates remove, of rows as `eligible` gives them: whole groups, ordered by `pair_id`."""
    if dedup.near and dedup.near.keep != "first":
        rows = rows.take(keep_order(rows, dedup.near))
    ids, same, group = (np.asarray(rows[name]) for name in ("pair_id", "exact", "near"))
    position = np.arange(len(rows))
    first = first_in_order(same) if groups.same_text(dedup) else position
    partner, similarity = first.copy(), np.ones(len(rows), np.float32)
    near = dedup.near
    if near and len(rows):
        survivor = first == position
        chosen = np.flatnonzero(survivor)
        chosen = chosen[_in_groups(group[chosen])]
        for piece in _pieces(rows["text"], near.slots, chosen, group[chosen]) if len(chosen) else ():
            found = _walk(rows.take(piece), near, dedup.exact is not None, int(np.count_nonzero(ids[piece] < 0)))
            lost = ~found.kept
            partner[piece[lost]] = piece[found.partner[lost]]
            similarity[piece[lost]] = found.jaccard[lost]
        copies = ~survivor
        similarity[copies] = similarity[first[copies]]
        partner[copies] = partner[first[copies]]
    removed = np.flatnonzero((partner != position) & (ids >= 0))
    exactly = same[removed] == same[partner[removed]] if dedup.exact else np.zeros(len(removed), bool)
    reason = np.where(exactly, "exact_duplicate", "near_duplicate")
    order = np.argsort(ids[removed])
    columns = [ids[removed], reason, ids[partner[removed]], similarity[removed]]
    return pa.table([pa.array(column[order]) for column in columns], schema=SCHEMA)


def first_in_order(labels: np.ndarray) -> np.ndarray:
    """For each position the first position with the same label."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return first[inverse]


def _in_groups(labels: np.ndarray) -> np.ndarray:
    """True where a label stands more than once."""
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return counts[inverse] > 1


def _pieces(texts: pa.ChunkedArray, slots: int, rows: np.ndarray, group: np.ndarray) -> Iterator[np.ndarray]:
    """The rows (ascending) of whole groups, PIECE bytes of text at a time or one group; shingle sets take 8 times."""
    order = np.argsort(group, kind="stable")
    size = np.asarray(pc.fill_null(pc.binary_length(texts), 0))[rows[order]] + slots
    starts = np.flatnonzero(np.append(True, np.diff(group[order]) != 0))
    numbers = np.cumsum(size)[starts] // PIECE
    cuts = starts[np.flatnonzero(np.diff(numbers)) + 1]
    for piece in np.split(order, cuts):
        yield rows[np.sort(piece)]


def keep_order(rows: pa.Table, near: Near | None) -> np.ndarray:
    """The places of rows, which are ordered by `pair_id`, in the order in which the walk visits them."""
    order = pc.sort_indices(rows, [("priority", "descending"), ("pair_id", "ascending")])
    return np.asarray(order) if near and near.keep != "first" else np.arange(len(rows))


def _walk(rows: pa.Table, near: Near, exact: bool, pinned: int) -> resolve.Resolved:
    """Which rows, given in keep order, stay; the first `pinned` do. See dedup/resolve.py."""
    bands = minhash.bands(_signature(rows, near), near.bands, near.rows)
    labels, same = np.asarray(rows["near"]), np.asarray(rows["exact"]) if exact else None
    values, offsets, threshold = compared(rows, near)
    found = resolve.resolve(labels, values, offsets, bands, threshold, same, pinned)
    return found if near.verify == "exact" else found._replace(jaccard=2 * found.jaccard / (1 + found.jaccard))


def compared(rows: pa.Table, near: Near) -> tuple[np.ndarray, np.ndarray, float]:
    """What of rows is compared: a sorted set of each (values, offsets (n + 1)), and the least Jaccard similarity."""
    if near.verify == "exact":
        return *resolve.sets(rows["text"].combine_chunks()), near.threshold
    # Slots as sets {(slot, value)}: e equal slots of n give J' = e / (2n - e), so a share t = e / n is t / (2 - t).
    slots = _signature(rows, near).astype(np.uint64) | (np.arange(near.slots, dtype=np.uint64) << np.uint64(32))
    offsets = np.arange(len(rows) + 1, dtype=np.int64) * near.slots
    return slots.ravel(), offsets, near.threshold / (2 - near.threshold)


def _signature(rows: pa.Table, near: Near) -> np.ndarray:
    return shardfiles.matrix(rows["signature"].cast(pa.binary(4 * near.slots)), np.uint32)


def eligible(
    storage: Storage,
    spec: CurateSpec,
    grouped: dict[str, Any],
    shards: list[dict[str, Any]],
    exclusions: exclude.Exclusions,
    contaminated: dict[str, Any] | None = None,
) -> pa.Table:
    """Rows in groups that pass every rule, with what the walk needs of them.

    Not those that an opt-out names, or that the stage decontaminate found (`contaminated`: its unit).
    """
    rules = thresholds.active_rules(spec.filters, spec.language.min_confidence)
    near = spec.dedup.near
    parts = []
    for shard in shards:
        members = shardfiles.read_shard(storage, grouped, shard["index"])
        members = decontamination.without(members, storage, contaminated, shard["index"])
        if len(members) and "file" in shard:
            parts.append(of_earlier(shard, members, near))
        elif len(members):
            rows = _of_shard(storage, shard, members, rules, near, exclusions)
            parts.append(without_copies_texts(rows, spec.dedup))
    return pa.concat_tables(parts).combine_chunks() if parts else rows_schema(near).empty_table()


def rows_schema(near: Near | None) -> pa.Schema:
    """What the walk needs of a row: its groups, its place in keep order, its text (if compared) and signature."""
    fields = [*groups.SCHEMA, pa.field("priority", pa.float64())]
    if near:
        fields += [pa.field("text", pa.large_string()), pa.field("signature", pa.large_binary())]
    return pa.schema(fields)


def without_copies_texts(rows: pa.Table, dedup: Dedup) -> pa.Table:
    """Rows with neither text nor signature where an exact copy comes before them: the walk never looks at theirs."""
    if not dedup.near or not groups.same_text(dedup):
        return rows
    order = keep_order(rows, dedup.near)
    first = first_in_order(np.asarray(rows["exact"])[order])
    copies = np.zeros(len(rows), bool)
    copies[order] = first != np.arange(len(rows))
    for name in ("text", "signature"):
        field = rows.schema.field(name)
        blank = pc.if_else(pa.array(copies), pa.scalar(None, field.type), rows[name])
        rows = rows.set_column(rows.schema.get_field_index(name), field, blank)
    return rows


def _of_shard(
    storage: Storage,
    shard: dict[str, Any],
    members: pa.Table,
    rules: list[thresholds.ActiveRule],
    near: Near | None,
    exclusions: exclude.Exclusions,
) -> pa.Table:
    parts = []
    for part, table in read_members(storage, shard, members, rules, near):
        passes = (thresholds.apply(rules, table).first < 0) & ~exclusions.matches(table)
        parts.append(prepare(part, table, near).filter(pa.array(passes)))
    return pa.concat_tables(parts) if parts else rows_schema(near).empty_table()


def read_members(
    storage: Storage, shard: dict[str, Any], members: pa.Table, rules: list[thresholds.ActiveRule], near: Near | None
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """A shard's members of groups, some at a time, with what it takes to judge, order and compare them."""
    scores = sorted({column for rule in rules for column in rule.rule.columns})
    best = _best(near)
    columns = [*scores, "anchor", "positive", "anchor_lang", "positive_lang", "url"]
    columns += ["signature"] if near else []
    columns += [best] if best and best not in columns else []
    wanted = np.asarray(members["pair_id"])
    for first, table in shardfiles.read(storage, shard["key"], columns):
        start = shardfiles.pair_ids(shard["index"], np.array([first, first + len(table)]))
        low, high = np.searchsorted(wanted, start)
        if low < high:
            part = members.slice(low, high - low)
            yield part, table.take((np.asarray(part["pair_id"]) - start[0]).astype(np.int64))


def _best(near: Near | None) -> str | None:
    return near.keep["best"] if near and isinstance(near.keep, dict) else None


def of_earlier(shard: dict[str, Any], members: pa.Table, near: Near | None) -> pa.Table:
    """The rows of an earlier run, which kept them: before all others in every keep order."""
    table = against.members(shard, np.asarray(members["pair_id"]), near is not None)
    rows = members.append_column("priority", pa.array(np.full(len(members), np.inf)))
    return _with_texts(rows, table, near)


def prepare(members: pa.Table, table: pa.Table, near: Near | None) -> pa.Table:
    """Members of groups, read by `read_members`, as the walk wants them: `rows_schema`."""
    best = _best(near)
    if near and near.keep == "longest":
        priority = pc.add(pc.utf8_length(table["anchor"]), pc.utf8_length(table["positive"])).cast(pa.float64())
    elif best:
        priority = pc.fill_null(table[best].cast(pa.float64()), -np.inf)
    else:
        priority = pa.array(np.zeros(len(table)))
    return _with_texts(members.append_column("priority", priority), table, near)


def _with_texts(rows: pa.Table, table: pa.Table, near: Near | None) -> pa.Table:
    if near:
        text = key_text(table, near.key) if near.verify == "exact" else pa.array([""] * len(table), pa.large_string())
        rows = rows.append_column("text", text).append_column("signature", table["signature"])
    return rows.cast(rows_schema(near))
