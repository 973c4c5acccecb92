"""From the duplicates of a sample to those of all rows.

A sample that has each row with probability q sees m of a class of c like rows with probability
P(m | c) = C(c, m) q^m (1 - q)^(c - m). f_m, the number of classes of which it sees m, is therefore about Poisson with
mean sum_c N_c P(m | c), and the N_c are sought: how many classes of each size there are. They are found by expectation
maximisation (Richardson-Lucy), from a power law on; classes seen more than `FREQUENT` times have about m / q rows each.
Rows of no class of two or more are the rest. Two like rows are both in the sample with probability q^2 only, so a
sample of few rows of many says little: the interval, from Poisson draws of the f_m, says how little. The rows must be
spread over the data as copies are.

The idea is that of estimating the number of unseen species (Good and Toulmin 1956; Efron and Thisted 1976).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FREQUENT = 12
LARGEST = 0.75  # of FREQUENT: what the largest class that is sought would be seen on average
_ROUNDS = 400
_DRAWS = 40


@dataclass(frozen=True)
class Sizes:
    """Classes of like rows: `counts` (k,) of them have `sizes` (k,) rows each; sizes are at least 1."""

    sizes: np.ndarray
    counts: np.ndarray

    @property
    def rows(self) -> float:
        return float(self.sizes @ self.counts)

    @property
    def classes(self) -> float:
        return float(self.counts.sum())

    @property
    def removed_share(self) -> float:
        """Of all rows, those that are not the first of their class."""
        return 1 - self.classes / max(self.rows, 1e-9)

    @property
    def grouped_share(self) -> float:
        """Of all rows, those that are like another one."""
        several = self.sizes > 1
        return float(self.sizes[several] @ self.counts[several]) / max(self.rows, 1e-9)

    def repeated_share(self, parts: int) -> float:
        """Of all rows, those with a like row before them in the same of `parts` equal parts of the data."""
        seen = parts * -np.expm1(self.sizes * np.log1p(-1 / parts)) if parts > 1 else np.ones_like(self.sizes)
        return float((self.sizes - seen) @ self.counts) / max(self.rows, 1e-9)


def multiplicities(labels: np.ndarray) -> np.ndarray:
    """f (m,): f[i] classes of a sample have i + 1 rows; `labels` (n,) says which class each row is of."""
    if not len(labels):
        return np.zeros(1)
    return np.bincount(np.unique(labels, return_counts=True)[1])[1:].astype(float)


def extrapolate(seen: np.ndarray, rate: float, rows: float) -> Sizes:
    """The classes among `rows` rows, of which a sample with probability `rate` saw `seen` (see `multiplicities`)."""
    if rate >= 1:
        sizes = np.arange(1, len(seen) + 1)
        return _with_rest(sizes[1:].astype(float), seen[1:], rows)
    rare, often = np.zeros(FREQUENT), seen[FREQUENT:]
    rare[: len(seen)] = seen[:FREQUENT]
    grid = np.unique(np.round(np.geomspace(2, max(3.0, LARGEST * FREQUENT / rate), 60)))
    counts = _deconvolved(rare, grid, rate)
    large = (FREQUENT + 1 + np.arange(len(often))) / rate
    return _with_rest(np.concatenate([grid, large]), np.concatenate([counts, often]), rows)


def interval(seen: np.ndarray, rate: float, rows: float, seed: int = 0) -> tuple[tuple[float, float], ...]:
    """Low and high (5th and 95th of a hundred) of `removed_share` and `grouped_share`."""
    random = np.random.default_rng(seed)
    drawn = [np.append(random.poisson(seen[:FREQUENT]), seen[FREQUENT:]) for _ in range(_DRAWS)]
    found = [extrapolate(some, rate, rows) for some in drawn]
    values = [[sizes.removed_share for sizes in found], [sizes.grouped_share for sizes in found]]
    return tuple((float(np.quantile(value, 0.05)), float(np.quantile(value, 0.95))) for value in values)


def _with_rest(sizes: np.ndarray, counts: np.ndarray, rows: float) -> Sizes:
    """With rows that are like no other; classes are scaled down where they hold more rows than there are."""
    held = float(sizes @ counts)
    scale = min(1.0, rows / held) if held else 1.0
    return Sizes(np.append(1.0, sizes), np.append(max(rows - held, 0.0), scale * counts))


def _deconvolved(seen: np.ndarray, grid: np.ndarray, rate: float) -> np.ndarray:
    """The most likely N_c (k,) of the sizes in `grid` for f_m, m >= 2, as far as the rounds go from a power law."""
    from scipy.stats import binom

    if not seen[1:].any():
        return np.zeros(len(grid))
    chance = binom.pmf(np.arange(2, len(seen) + 1)[:, None], grid[None, :], rate)  # (m, k)
    weight = np.maximum(binom.sf(1, grid, rate), 1e-300)
    counts = grid**-3.0
    counts *= seen[1:].sum() / (chance @ counts).sum()
    for _ in range(_ROUNDS):
        counts = counts * (chance.T @ (seen[1:] / np.maximum(chance @ counts, 1e-300))) / weight
    return np.asarray(counts)
