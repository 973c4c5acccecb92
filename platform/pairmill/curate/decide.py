"""Decide: which of the rows in groups stay, given the filters of this run.

1. From every shard take the rows that are in a group, and of those the ones that pass all rules and no opt-out names.
2. Order each group by the spec's `keep`, ties in canonical order.
3. Visit the rows: one is an `exact_duplicate` if a row with the same exact key is already kept; else a `near_duplicate`
   if a row already kept in its group has Jaccard similarity of at least the threshold, by the texts' shingles (`verify:
   exact`) or by the signatures (`verify: estimate`); else it is kept. Where rows with the same exact key have the same
   near text too, only the first of them is compared, and the others share its fate.
So every removed row has a kept partner, and no group loses all its members.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate import exclude, groups, shardfiles, thresholds
from pairmill.curate.annotate import key_text
from pairmill.curate.dedup import minhash, resolve
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import Stopwatch, Units
from pairmill.spec.curate import CurateSpec, Near
from pairmill.spec.rules import RULES

VERSION = 2
SCHEMA = pa.schema(
    [("pair_id", pa.int64()), ("reason", pa.string()), ("duplicate_of", pa.int64()), ("similarity", pa.float32())]
)


def decide(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function: commit the rows that duplicates remove, with the kept row that removes each."""
    storage, spec = open_storage(item["storage"]), CurateSpec.model_validate(item["spec"])
    units = Units(storage, item["prefix"])
    done = units.get(item["key"])
    reused = done is not None
    if done is None:
        watch = Stopwatch(item["attempt"])
        grouped = Units(storage, groups.PREFIX).get(item["groups"])
        assert grouped is not None, "groups are committed before decide starts"
        table = _decide(storage, spec, grouped, item["shards"], exclude.load(item["storage"], item["exclude"]))
        path = units.data_path(item["key"])
        by_shard = shardfiles.write_by_shard(storage, path, table)
        done = units.commit(
            item["key"], {"file": path, "groups": by_shard, "rows": len(table), "record": watch.record()}
        )
    return {"key": item["key"], "rows": done["rows"], "reused": reused}


def _decide(
    storage: Storage,
    spec: CurateSpec,
    grouped: dict[str, Any],
    shards: list[dict[str, Any]],
    exclusions: exclude.Exclusions,
) -> pa.Table:
    rows = _eligible(storage, spec, grouped, shards, exclusions)
    rows = rows.take(_keep_order(rows, spec.dedup.near))
    ids, same, group = (np.asarray(rows[name]) for name in ("pair_id", "exact", "near"))
    position = np.arange(len(rows))
    first = _first_in_order(same) if groups.same_text(spec.dedup) else position
    partner, similarity = first.copy(), np.ones(len(rows), np.float32)
    near = spec.dedup.near
    if near and len(rows):
        survivor = first == position
        chosen = np.flatnonzero(survivor)
        chosen = chosen[_in_groups(group[chosen]) | _in_groups(same[chosen])]
        found = _walk(rows.take(chosen), near, exact=spec.dedup.exact is not None)
        lost = ~found.kept
        partner[chosen[lost]] = chosen[found.partner[lost]]
        similarity[chosen[lost]] = found.jaccard[lost]
        copies = ~survivor
        similarity[copies] = similarity[first[copies]]
        partner[copies] = partner[first[copies]]
    removed = np.flatnonzero(partner != position)
    exactly = same[removed] == same[partner[removed]] if spec.dedup.exact else np.zeros(len(removed), bool)
    reason = np.where(exactly, "exact_duplicate", "near_duplicate")
    order = np.argsort(ids[removed])
    columns = [ids[removed], reason, ids[partner[removed]], similarity[removed]]
    return pa.table([pa.array(column[order]) for column in columns], schema=SCHEMA)


def _first_in_order(labels: np.ndarray) -> np.ndarray:
    """For each position the first position with the same label."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return first[inverse]


def _in_groups(labels: np.ndarray) -> np.ndarray:
    """True where a label stands more than once."""
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return counts[inverse] > 1


def _keep_order(rows: pa.Table, near: Near | None) -> np.ndarray:
    order = pc.sort_indices(rows, [("priority", "descending"), ("pair_id", "ascending")])
    return np.asarray(order) if near and near.keep != "first" else np.arange(len(rows))


def _walk(rows: pa.Table, near: Near, exact: bool) -> resolve.Resolved:
    """Which rows, given in keep order, stay; see dedup/resolve.py."""
    signature = groups.matrix(rows["signature"], np.uint32)
    bands = minhash.bands(signature, near.bands, near.rows)
    labels, same = np.asarray(rows["near"]), np.asarray(rows["exact"]) if exact else None
    if near.verify == "exact":
        return resolve.resolve(labels, *resolve.sets(rows["text"].combine_chunks()), bands, near.threshold, same)
    # Slots as sets {(slot, value)}: e equal slots of n give J' = e / (2n - e), so a share t = e / n is t / (2 - t).
    slots = signature.astype(np.uint64) | (np.arange(near.slots, dtype=np.uint64) << np.uint64(32))
    offsets = np.arange(len(rows) + 1, dtype=np.int64) * near.slots
    found = resolve.resolve(labels, slots.ravel(), offsets, bands, near.threshold / (2 - near.threshold), same)
    return found._replace(jaccard=2 * found.jaccard / (1 + found.jaccard))


def _eligible(
    storage: Storage,
    spec: CurateSpec,
    grouped: dict[str, Any],
    shards: list[dict[str, Any]],
    exclusions: exclude.Exclusions,
) -> pa.Table:
    """Rows in groups that pass every rule and no opt-out names, with what the walk needs of them."""
    rules = thresholds.active_rules(spec.filters, spec.language.min_confidence)
    near = spec.dedup.near
    parts = []
    for shard in shards:
        members = shardfiles.read_shard(storage, grouped, shard["index"])
        if len(members):
            parts.append(_eligible_of_shard(storage, shard, members, rules, near, exclusions))
    return pa.concat_tables(parts).combine_chunks() if parts else _rows_schema(near).empty_table()


def _rows_schema(near: Near | None) -> pa.Schema:
    fields = [*groups.SCHEMA, pa.field("priority", pa.float64())]
    if near:
        fields += [pa.field("text", pa.large_string()), pa.field("signature", pa.binary(4 * near.slots))]
    return pa.schema(fields)


def _eligible_of_shard(
    storage: Storage,
    shard: dict[str, Any],
    members: pa.Table,
    rules: list[thresholds.ActiveRule],
    near: Near | None,
    exclusions: exclude.Exclusions,
) -> pa.Table:
    scores = sorted({column for rule in rules for column in RULES[rule.name].columns})
    columns = [*scores, "anchor", "positive", "anchor_lang", "positive_lang", "url"]
    best = near.keep["best"] if near and isinstance(near.keep, dict) else None
    columns += ["signature"] if near else []
    columns += [best] if best and best not in columns else []
    wanted = np.asarray(members["pair_id"])
    parts = []
    for first, table in shardfiles.read(storage, shard["key"], columns):
        start = shardfiles.pair_ids(shard["index"], np.array([first, first + len(table)]))
        low, high = np.searchsorted(wanted, start)
        if low == high:
            continue
        part = members.slice(low, high - low)
        table = table.take((np.asarray(part["pair_id"]) - start[0]).astype(np.int64))
        passes = (thresholds.apply(rules, table).first < 0) & ~exclusions.matches(table)
        parts.append(_prepare(part, table, near, best).filter(pa.array(passes)))
    return pa.concat_tables(parts) if parts else _rows_schema(near).empty_table()


def _prepare(members: pa.Table, table: pa.Table, near: Near | None, best: str | None) -> pa.Table:
    rows = members
    if near and near.keep == "longest":
        priority = pc.add(pc.utf8_length(table["anchor"]), pc.utf8_length(table["positive"])).cast(pa.float64())
    elif best:
        priority = pc.fill_null(table[best].cast(pa.float64()), -np.inf)
    else:
        priority = pa.array(np.zeros(len(table)))
    rows = rows.append_column("priority", priority)
    if near:
        text = key_text(table, near.key) if near.verify == "exact" else pa.array([""] * len(table), pa.large_string())
        rows = rows.append_column("text", text).append_column("signature", table["signature"])
    return rows.cast(_rows_schema(near))
