"""The manifest of prepared data: what the plan, the reader and the report need to know.

    groups, holdout    [{name, entry, pair, rows, files: [{path, first_batch, rows}], tokens, longest, mean}]
    entries            {name: {rows_in, used, held_out, dropped: {reason: rows}, labels, origins}}
    tokenizer, max_length

A group's rows are those of its files, one after the other; in a file they begin at a row batch and fill batches of
`bucket.ROWS`, but for the last. `tokens`, `longest` and `mean` are by column. In each entry rows_in = used + held_out
+ sum(dropped); the `label` of a row is a place in `labels`, its `origin` one in `origins`. A pretraining entry counts
texts so, and `sequences` likewise: {made, used, held_out, dropped}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from pairmill.runs.storage import Storage
from pairmill.spec.data import DataEntry
from pairmill.train.prepared.bucket import ROWS, WHOLE

Manifest = dict[str, Any]


def of_entry(
    storage: Storage, entry: DataEntry, packed: bool, rows: list[dict[str, Any]], buckets: list[dict[str, Any]]
) -> dict[str, Any]:
    """An entry's part, from the manifests of its units. Raises RuntimeError where the counts do not balance."""
    parts = [part for unit in buckets for part in unit["facts"]["groups"]]
    train = [part for part in parts if part["split"] == "train"]
    used = _limited(storage, train, entry.limit)
    held = [part for part in parts if part["split"] == "holdout"]
    before, after = Counter[str](), Counter[str](limit=sum(p["rows"] for p in train) - sum(p["rows"] for p in used))
    for unit in rows:
        before.update(unit["facts"]["dropped"])
    for unit in buckets:
        after.update(unit["facts"]["dropped"])
    sequences = _balance(sum(unit["rows"] for unit in rows), used, held, after)
    counts = sequences
    rows_in = sum(unit["facts"]["rows_in"] for unit in rows)
    if packed:
        texts = sum(unit["facts"]["texts"] for unit in rows)
        counts = {"rows_in": rows_in, "used": texts, "held_out": 0, "dropped": _some(before)}
        counts["sequences"] = {"made": sequences.pop("rows_in"), **sequences}
    else:
        counts = {**sequences, "rows_in": rows_in, "dropped": _some(before + after)}
    if rows_in != counts["used"] + counts["held_out"] + sum(counts["dropped"].values()):
        raise RuntimeError(f"prepared rows of {entry.name} do not balance: {counts}")
    return {"counts": counts, "groups": _groups(used), "holdout": _groups(held)}


def whole(results: Sequence[dict[str, Any] | None], tokenizer: str, max_length: int) -> Manifest:
    """The manifest of all entries, from their parts."""
    made: Manifest = {"groups": [], "holdout": [], "entries": {}, "tokenizer": tokenizer, "max_length": max_length}
    for result in results:
        assert result is not None, "all entries are committed"
        entry = result["name"]
        made["entries"][entry] = {**result["counts"], "labels": result["labels"], "origins": result["origins"]}
        for split in ("groups", "holdout"):
            named = [{"name": _name(entry, group["pair"]), "entry": entry, **group} for group in result[split]]
            made[split] += named
    return made


def _name(entry: str, pair: str) -> str:
    return entry if pair == WHOLE else f"{entry}/{pair}"


def _balance(
    made: int, used: list[dict[str, Any]], held: list[dict[str, Any]], dropped: Counter[str]
) -> dict[str, Any]:
    counts = {"used": sum(part["rows"] for part in used), "held_out": sum(part["rows"] for part in held)}
    if made != sum(counts.values()) + dropped.total():
        raise RuntimeError(f"shuffled rows do not balance: {made} came, {counts}, dropped {_some(dropped)}")
    return {"rows_in": made, **counts, "dropped": _some(dropped)}


def _some(counts: Counter[str]) -> dict[str, int]:
    return {reason: rows for reason, rows in sorted(counts.items()) if rows}


def _limited(storage: Storage, parts: list[dict[str, Any]], limit: int | None) -> list[dict[str, Any]]:
    """The first `limit` rows by order, over all groups: whole buckets, then a part of one."""
    if limit is None:
        return parts
    kept: list[dict[str, Any]] = []
    for path in dict.fromkeys(part["path"] for part in parts):
        here = [part for part in parts if part["path"] == path]
        room = limit - sum(part["rows"] for part in kept)
        if sum(part["rows"] for part in here) > room:
            here = _first(storage, here, room)
        kept += [part for part in here if part["rows"]]
    return kept


def _first(storage: Storage, parts: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The first `count` rows of a bucket's groups, with the token counts in proportion."""
    if count <= 0:
        return []
    orders = [_orders(storage, part) for part in parts]
    numbers = np.repeat(np.arange(len(parts)), [len(order) for order in orders])
    first = np.argsort(np.concatenate(orders), kind="stable")[:count]
    rows = np.bincount(numbers[first], minlength=len(parts)).tolist()
    return [
        {**part, "rows": n, "tokens": {name: value * n // part["rows"] for name, value in part["tokens"].items()}}
        for part, n in zip(parts, rows, strict=True)
    ]


def _orders(storage: Storage, part: dict[str, Any]) -> np.ndarray:
    with storage.reading(part["path"]):
        file = storage.open_arrow(part["path"])
        batches = range(part["first_batch"], part["first_batch"] + -(-part["rows"] // ROWS))
        return np.concatenate([np.asarray(file.get_batch(number)["order"]) for number in batches])


def _groups(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts of the buckets, in order, brought together by language pair."""
    groups = []
    for pair in sorted({part["pair"] for part in parts}):
        mine = [part for part in parts if part["pair"] == pair]
        rows, tokens = sum(part["rows"] for part in mine), Counter[str]()
        for part in mine:
            tokens.update(part["tokens"])
        longest = {name: max(part["longest"][name] for part in mine) for name in mine[0]["longest"]}
        files = [{name: part[name] for name in ("path", "first_batch", "rows")} for part in mine]
        mean = {name: round(value / rows, 2) for name, value in tokens.items()}
        groups.append(
            {"pair": pair, "rows": rows, "files": files, "tokens": dict(tokens), "longest": longest, "mean": mean}
        )
    return groups
