"""What a report says of duplicates: how many groups there are and how large, between which inputs rows were removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.curate.shardfiles import SHARD_BITS

LARGEST, MEMBERS, PAIRS = 10, 5, 50
#: First sizes of the bins; the last one is open.
SIZES = [2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100, 200, 500, *[k * 10**e for e in range(3, 9) for k in (1, 2, 5)]]


def facts(members: pa.Table, decisions: pa.Table, places: Places) -> dict[str, Any]:
    """Of whole groups (`groups.SCHEMA`) and of what `decide` removed of them; as plain JSON, for `merged`."""
    ids, exact, near = (np.asarray(members[name]) for name in ("pair_id", "exact", "near"))
    _, first, copies = np.unique(exact, return_index=True, return_counts=True)
    heads, group, size = np.unique(near, return_inverse=True, return_counts=True)
    texts = np.bincount(group[first], minlength=len(heads))  # rows with one exact label are in one group
    bins = np.searchsorted(SIZES, size, "right") - 1
    top = np.lexsort((heads, -size))[:LARGEST]
    return {
        "exact": [int((copies > 1).sum()), int(copies[copies > 1].sum())],
        "near": [int((texts > 1).sum()), int(size[texts > 1].sum())],
        "sizes": {str(SIZES[number]): int(count) for number, count in enumerate(np.bincount(bins)) if count},
        "largest": [_group(ids[group == g], decisions) for g in top.tolist()],
        "pairs": [[*pair, rows] for pair, rows in sorted(places.pairs(decisions).items())],
    }


def _group(ids: np.ndarray, decisions: pa.Table) -> dict[str, Any]:
    """A group's size, first members of this run, and the row that stays for most of it (None: all fail a rule)."""
    ids = np.sort(ids)
    mine = np.isin(np.asarray(decisions["pair_id"]), ids)
    partners, rows = np.unique(np.asarray(decisions["duplicate_of"])[mine], return_counts=True)
    kept = int(partners[np.argmax(rows)]) if len(rows) else None
    return {"size": len(ids), "kept": kept, "members": ids[ids >= 0][:MEMBERS].tolist()}


class Places:
    """Which input a row is of, by its id; rows of earlier runs by the run's name.

    `inputs`: [first shard, input] ascending, shards of an input being neighbours; `earlier`: of `against.load`.
    """

    def __init__(self, inputs: Sequence[Sequence[Any]], earlier: Sequence[dict[str, Any]]):
        self._first = np.array([first for first, _ in inputs])
        self._names = [*[name for _, name in inputs], *[f"run {shard['run']}" for shard in earlier]]
        self._earlier = {shard["index"]: len(inputs) + at for at, shard in enumerate(earlier)}

    def pairs(self, decisions: pa.Table) -> dict[tuple[str, str], int]:
        """How many rows of one input were removed for one of another, or of the same."""
        own, partner = (self._numbers(np.asarray(decisions[name])) for name in ("pair_id", "duplicate_of"))
        count = len(self._names)
        found: Counter[tuple[str, str]] = Counter()
        for both, rows in zip(*np.unique(own * count + partner, return_counts=True), strict=True):
            found[self._names[int(both) // count], self._names[int(both) % count]] += int(rows)
        return found

    def _numbers(self, ids: np.ndarray) -> np.ndarray:
        shards, inverse = np.unique(ids >> SHARD_BITS, return_inverse=True)
        of = [self._earlier[s] if s < 0 else int(np.searchsorted(self._first, s, "right")) - 1 for s in shards.tolist()]
        numbers: np.ndarray = np.array(of, np.int64)[inverse]
        return numbers


def merged(parts: Sequence[dict[str, Any]], share: float) -> dict[str, Any]:
    """The summary's `duplicates`, `largest` still without texts. `share`: of the groups that the parts are."""
    exact, near = (np.sum([part[kind] for part in parts], axis=0).tolist() for kind in ("exact", "near"))
    sizes: Counter[int] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for part in parts:
        sizes.update({int(size): groups for size, groups in part["sizes"].items()})
        for own, other, rows in part["pairs"]:
            pairs[own, other] += rows
    within = sum(rows for (own, other), rows in pairs.items() if own == other)
    ends = dict(zip(SIZES, [first - 1 for first in SIZES[1:]], strict=False))
    groups = sorted((group for part in parts for group in part["largest"]), key=lambda g: (-g["size"], g["members"]))
    return {
        "exact": {"groups": exact[0], "rows": exact[1]},
        "near": {"groups": near[0], "rows": near[1]},
        "sizes": [[first, ends.get(first, groups[0]["size"]), count] for first, count in sorted(sizes.items())],
        "largest": groups[:LARGEST],
        "within": within,
        "across": pairs.total() - within,
        "pairs": [[own, other, rows] for (own, other), rows in pairs.most_common(PAIRS)],
        "share": round(share, 4),
    }
