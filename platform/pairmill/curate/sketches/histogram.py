"""Histograms with the same edges for every score, so that any two can be added, and coarser ones to look at.

Edges are the hundredths from -2 to 2 and, beyond, the numbers of two significant digits up to 10^9. What people see has
at most `MOST_BINS` bins between some of these edges: counts in it are exact.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from pairmill.compiled import Kernel, compile_kernel

MOST_BINS = 60
_DECADES = 9
_ALL = list(range(10, 100))
#: From fine to coarse: every how many hundredths an edge is seen below 2, and which of 10 .. 99 are seen beyond: bins
#: grow about as their edges do. _ALL is for values of one decade.
_LEVELS: list[tuple[int, list[int]]] = [
    (1, _ALL),
    (2, _ALL),
    (5, _ALL),
    (10, [*range(10, 20), *range(20, 40, 2), *range(40, 100, 5)]),
    (10, [10, 12, 14, 16, 18, 20, 25, 30, 35, 40, 50, 60, 70, 80, 90]),
    (20, [10, 12, 15, 20, 25, 30, 40, 50, 60, 80]),
    (50, [10, 15, 20, 30, 50, 70]),
    (50, [10, 20, 50]),
    (100, [10]),
]


def _edges() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(edges, the two digits of those beyond 2 or 0, hundredths of those up to 2), ascending."""
    tens = [(digits, power) for power in range(-1, _DECADES - 1) for digits in range(10, 100)]
    beyond = [(digits, power) for digits, power in tens if digits * 10.0**power > 2]
    large = np.array([float(f"{digits}e{power}") for digits, power in beyond] + [10.0**_DECADES])
    of_large = np.array([digits for digits, _ in beyond] + [10])
    small = np.arange(-200, 201)
    edges = np.concatenate([-large[::-1], small / 100, large])
    digits = np.concatenate([of_large[::-1], np.zeros(len(small), int), of_large])
    hundredths = np.concatenate([np.zeros(len(large), int), small, np.zeros(len(large), int)])
    return edges, digits, hundredths


EDGES, _DIGITS, _HUNDREDTHS = _edges()
CELLS = len(EDGES) - 1


class Histogram:
    """Counts of all values and of those of kept rows by cell; how many are missing (NaN); the least and the largest."""

    def __init__(self) -> None:
        self.counts = np.zeros((CELLS, 2), np.int64)
        self.nulls = 0
        self.extent = np.array([np.inf, -np.inf])

    @property
    def values(self) -> int:
        return int(self.counts[:, 0].sum())

    def add(self, values: np.ndarray, kept: np.ndarray) -> None:
        """Count values (n,), NaN where there is none; `kept` (n,) bool."""
        numbers = np.ascontiguousarray(values, np.float64)
        self.nulls += count()(numbers, kept, EDGES, self.counts, self.extent)

    def merge(self, other: dict[str, Any]) -> None:
        """Add what `to_json` gave."""
        self.nulls += other["nulls"]
        if other["cells"]:
            self.counts[other["cells"], 0] += other["all"]
            self.counts[other["cells"], 1] += other["kept"]
            self.extent = np.array([min(self.extent[0], other["min"]), max(self.extent[1], other["max"])])

    def to_json(self) -> dict[str, Any]:
        cells = np.flatnonzero(self.counts[:, 0])
        low, high = self.extent.tolist() if len(cells) else (None, None)
        every, kept = self.counts[cells].T.tolist()
        return {"cells": cells.tolist(), "all": every, "kept": kept, "nulls": self.nulls, "min": low, "max": high}

    def seen(self, integers: bool) -> dict[str, Any]:
        """What a reader sees: `{values, nulls, min, max, edges: [m + 1], counts: {all: [m], kept: [m]}}`.

        Bins are [edge, next edge), the last one with its end. `integers`: all values are, and so are the edges.
        """
        low, high = (float(f"{end:.6g}") if np.isfinite(end) else None for end in self.extent)
        edges, counts = self._bins(integers) if self.values else (np.empty(0), np.empty((0, 2), np.int64))
        by_fate = {"all": counts[:, 0].tolist(), "kept": counts[:, 1].tolist()}
        facts = {"values": self.values, "nulls": self.nulls, "min": low, "max": high}
        return {**facts, "edges": edges.tolist(), "counts": by_fate}

    def _bins(self, integers: bool) -> tuple[np.ndarray, np.ndarray]:
        cells = np.flatnonzero(self.counts[:, 0])
        first, last = int(cells[0]), int(cells[-1])
        closed = not integers and last > first and self.extent[1] == EDGES[last]  # nothing lies inside the last cell
        fine = _one_decade(*self.extent)
        for level in range(0 if fine else 3, len(_LEVELS)):
            places = _family(level, integers)
            start = places[np.searchsorted(places, first, "right") - 1]
            stop = places[np.searchsorted(places, last if closed else last + 1, "left")]
            chosen = places[(places >= start) & (places <= stop)]
            if len(chosen) - 1 <= MOST_BINS:
                break
        counts = np.add.reduceat(self.counts[:stop], chosen[:-1], axis=0)
        if stop == last:
            counts[-1] += self.counts[last]
        return EDGES[chosen], counts


def _one_decade(low: float, high: float) -> bool:
    """Whether linear bins suit values between these: up to 2, or from a power of ten to the next."""
    if max(-low, high) <= 2:
        return True
    sizes = abs(low), abs(high)
    return bool(low * high > 0 and np.floor(np.log10(min(sizes))) == np.ceil(np.log10(max(sizes))) - 1)


@cache
def _family(level: int, integers: bool) -> np.ndarray:
    """The places in EDGES that are seen at a level, the ends and 0 among them."""
    step, digits = _LEVELS[level]
    small = np.abs(EDGES) <= 2
    seen = np.where(small, _HUNDREDTHS % step == 0, np.isin(_DIGITS, digits))
    if integers:
        seen &= np.floor(EDGES) == EDGES
    seen[[0, -1]] = True
    return np.flatnonzero(seen)


@cache
def count() -> Kernel:
    """Return count(values, kept, edges, counts, extent): adds to `counts` and `extent`, gives the number of NaN."""
    return compile_kernel(_count, "float64[] boolean[] float64[]", "int64[:,::1] float64[::1]", "int64")


def _count(values, kept, edges, counts, extent):  # type: ignore[no-untyped-def]
    last, cell, nulls = edges.size - 2, 0, 0
    for i in range(values.size):
        value = values[i]
        if np.isnan(value):
            nulls += 1
            continue
        if not edges[cell] <= value < edges[cell + 1]:  # else as the value before
            cell, above = 0, last
            while cell < above:
                middle = (cell + above + 1) // 2
                if edges[middle] <= value:
                    cell = middle
                else:
                    above = middle - 1
        counts[cell, 0] += 1
        counts[cell, 1] += kept[i]
        extent[0] = min(extent[0], value)
        extent[1] = max(extent[1], value)
    return nulls
