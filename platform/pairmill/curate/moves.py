"""Rows of two curate runs, joined: which of them went from kept to rejected, back, or to another reason.

1. Both runs' kept and rejected files are read once, and their rows put into parts by origin (`origins`).
2. Part by part, rows of the same origin are joined in the order of their `pair_id`s: a record may hold several pairs.
   Where one run has more pairs of a record than the other, which is which is unknown: they are counted as `uneven`.
3. Of each kind of move (from one fate to another) the rows of lowest hash of the origin are kept as samples.

Runs that selected from the same run have its `pair_id`s: their rows are joined by these.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash

from pairmill.curate.origins import Codes, Numbers, load, mixed, read, rows_of, spill
from pairmill.runs.record import Run

#: Rows of both runs together that are joined at a time: about 150 MB.
PART = 2_000_000


@dataclass
class Moves:
    """What became of the rows, A first. `moved` counts (source, (languages), fate in A, fate in B), fates not the same.

    `alone` counts (side, fate) of rows that only one run has, `uneven` those of records with more pairs in one of them.
    `samples` holds for each (fate in A, fate in B) some (pair_id in A, pair_id in B).
    """

    same: int = 0
    moved: Counter[tuple[str, tuple[str | None, ...], str, str]] = field(default_factory=Counter)
    alone: Counter[tuple[int, str]] = field(default_factory=Counter)
    uneven: list[int] = field(default_factory=lambda: [0, 0])
    samples: dict[tuple[str, str], list[tuple[int, int]]] = field(default_factory=dict)


def moves(one: Run, other: Run, by_id: bool, samples: int) -> Moves:
    """Join the rows of two finished curate runs, by origin or by `pair_id`."""
    numbers = Numbers()
    runs = (one, other)
    parts = max(1, -(-sum(map(rows_of, runs)) // PART))
    with tempfile.TemporaryDirectory(prefix="pairmill-compare-") as folder:
        for side, run in enumerate(runs):
            for rows in read(run, numbers, by_id):
                spill(rows, Path(folder), side, parts)
        joined = _Joined(numbers, samples)
        for part in range(parts):
            joined.add(*(load(Path(folder), side, part) for side in range(2)))
    return joined.result()


class _Joined:
    """The sums over all parts, in numbers; `result` says what they stand for."""

    def __init__(self, numbers: Numbers, samples: int):
        self._numbers, self._size = numbers, samples
        self._sources, self._seeds = _places(numbers.places)
        self._same = 0
        self._moved: Counter[tuple[int, ...]] = Counter()
        self._alone: Counter[tuple[int, int]] = Counter()
        self._uneven = np.zeros(2, np.int64)
        self._samples: dict[tuple[int, int], list[tuple[int, int, int]]] = {}

    def add(self, one: np.ndarray, other: np.ndarray) -> None:
        left, right, alone, uneven = join(one, other)
        self._uneven += uneven
        for side, rows in enumerate(alone):
            self._alone.update({(side, fate): count for (fate,), count in _counted(rows["fate"])})
        moved = left["fate"] != right["fate"]
        self._same += len(left) - int(np.count_nonzero(moved))
        left, right = left[moved], right[moved]
        columns = (self._sources[left["place"]], left["pair"], left["fate"], right["fate"])
        for key, count in _counted(*columns):
            self._moved[key] += count
        if len(left):
            self._sample(left, right)

    def _sample(self, left: np.ndarray, right: np.ndarray) -> None:
        ranks = mixed(self._seeds[left["place"]], left["row"])
        order = np.lexsort((left["id"], ranks, right["fate"], left["fate"]))
        left, right, ranks = left[order], right[order], ranks[order]
        starts = np.flatnonzero(_differs(left["fate"]) | _differs(right["fate"])).tolist()
        for start, end in zip(starts, [*starts[1:], len(left)], strict=True):
            some = slice(start, min(end, start + self._size))
            kind = int(left["fate"][start]), int(right["fate"][start])
            found = zip(ranks[some].tolist(), left["id"][some].tolist(), right["id"][some].tolist(), strict=True)
            self._samples[kind] = sorted([*self._samples.get(kind, []), *found])[: self._size]

    def result(self) -> Moves:
        fates = [str(fate) for (fate,) in self._numbers.fates.values()]
        pairs = self._numbers.pairs.values()
        sources = sorted({str(source) for source, _ in self._numbers.places.values()})
        moved = {(sources[s], pairs[p], fates[a], fates[b]): rows for (s, p, a, b), rows in self._moved.items()}
        return Moves(
            self._same,
            Counter(moved),
            Counter({(side, fates[fate]): rows for (side, fate), rows in self._alone.items()}),
            self._uneven.tolist(),
            {(fates[a], fates[b]): [(x, y) for _, x, y in rows] for (a, b), rows in self._samples.items()},
        )


def _places(places: Codes) -> tuple[np.ndarray, np.ndarray]:
    """By place: the number of its source among all sources in order, and a hash of source and file, for ranks."""
    names = [(str(source), str(file)) for source, file in places.values()]
    sources = {name: number for number, name in enumerate(sorted({source for source, _ in names}))}
    seeds = [xxhash.xxh3_64_intdigest("\0".join(name).encode("utf-8", "replace")) for name in names]
    return np.array([sources[source] for source, _ in names], np.int64), np.array(seeds, np.uint64)


def _differs(column: np.ndarray) -> np.ndarray:
    """Where a value is not that of the row before; the first row always."""
    first = np.ones(min(len(column), 1), bool)
    return np.concatenate([first, column[1:] != column[:-1]])


def _counted(*columns: np.ndarray) -> Iterator[tuple[tuple[int, ...], int]]:
    """The distinct rows of integer columns, with how often each stands there."""
    table = pa.table({str(number): np.asarray(column, np.int64) for number, column in enumerate(columns)})
    counts = table.group_by(table.column_names).aggregate([([], "count_all")])
    keys = zip(*(counts[name].to_pylist() for name in table.column_names), strict=True)
    return zip(keys, counts["count_all"].to_pylist(), strict=True)


def join(
    one: np.ndarray, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Rows (ROW) of A and B by origin: those joined, side by side; those of one side alone; how many uneven ones."""
    both = np.concatenate([one, other])
    side = np.repeat(np.array([0, 1]), [len(one), len(other)])
    order = np.lexsort((both["id"], side, both["row"], both["place"]))
    both, side = both[order], side[order]
    first = _differs(both["row"]) | _differs(both["place"])
    group = np.cumsum(first) - 1
    count = np.stack([np.bincount(group[side == number], minlength=int(first.sum())) for number in range(2)])
    mine = count[:, group]
    even = mine[0] == mine[1]
    left = np.flatnonzero(even & (side == 0))
    right = left + mine[0][left]
    alone = (both[(mine[1] == 0)], both[(mine[0] == 0)])
    uneven = ~even & (mine[0] > 0) & (mine[1] > 0)
    return both[left], both[right], alone, np.bincount(side[uneven], minlength=2)
