"""Intervals of scores by the bootstrap: what a score would be on other rows of the same kind (Efron 1979).

A draw of the bootstrap takes n of n rows with replacement; here it is the number of times that each row was taken, its
weight, so that a score of a draw is a weighted score. Draws depend on the number of rows alone: two models
on the same rows, and the subsets of a task that are translations of each other, are drawn alike, as they must be to be
compared or averaged. The 95 % interval goes from the 2.5th to the 97.5th percentile of the draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

Values = Mapping[str, np.ndarray]
#: Columns of n rows and weights (B, n) -> scores (B,).
Measure = Callable[[Values, np.ndarray], np.ndarray]
_BLOCK = 2_000_000  # numbers of a matrix of weights that are worked on at a time


def weights(rows: int, draws: int) -> Iterator[np.ndarray]:
    """How often each row is taken, (B, rows) float64, in blocks: the same draws whatever the blocks."""
    random = np.random.default_rng(rows)
    size = max(1, _BLOCK // max(rows, 1))
    for start in range(0, draws, size):
        count = min(size, draws - start)
        drawn = random.integers(0, rows, (count, rows)) + rows * np.arange(count)[:, None]
        yield np.bincount(drawn.ravel(), minlength=count * rows).reshape(count, rows).astype(np.float64)


def mean(column: str) -> Measure:
    """The mean of a column."""

    def measure(values: Values, taken: np.ndarray) -> np.ndarray:
        found: np.ndarray = taken @ values[column] / taken.sum(1)
        return found

    return measure


def spearman(values: Values, taken: np.ndarray) -> np.ndarray:
    """Spearman's correlation of `cosine` and `gold`: Pearson's of their ranks, ties having their mean rank."""
    return _pearson(_ranks(values["cosine"], taken), _ranks(values["gold"], taken), taken)


def pearson(values: Values, taken: np.ndarray) -> np.ndarray:
    """Pearson's correlation of `cosine` and `gold`."""
    shape = taken.shape
    return _pearson(np.broadcast_to(values["cosine"], shape), np.broadcast_to(values["gold"], shape), taken)


def average_precision(column: str) -> Measure:
    """Average precision of `label` by a column, as scikit-learn computes it: sum of (R_k - R_(k-1)) P_k."""

    def measure(values: Values, taken: np.ndarray) -> np.ndarray:
        order = np.argsort(-values[column], kind="stable")
        ends = _group_ends(values[column][order])
        counts = taken[:, order].astype(np.float64)
        hits = np.cumsum(counts * values["label"][order], 1)[:, ends]
        seen = np.cumsum(counts, 1)[:, ends]
        gained = np.diff(hits, axis=1, prepend=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            found: np.ndarray = np.where(gained > 0, gained * hits / seen, 0).sum(1) / hits[:, -1]
        return found

    return measure


def max_average_precision(values: Values, taken: np.ndarray) -> np.ndarray:
    """mteb's `max_ap`: the largest of all similarities."""
    columns = ("similarity", "cosine", "manhattan", "euclidean", "dot")
    found: np.ndarray = np.max([average_precision(name)(values, taken) for name in columns], 0)
    return found


#: Scores that are not the mean of the column of their name, by mteb's names.
MEASURES: dict[str, Measure] = {
    "spearman": spearman,
    "cosine_spearman": spearman,
    "pearson": pearson,
    "cosine_pearson": pearson,
    "max_ap": max_average_precision,
    **{f"{name}_ap": average_precision(name) for name in ("similarity", "cosine", "manhattan", "euclidean", "dot")},
}


def measure_of(metric: str, values: Values) -> Measure | None:
    """How a score is computed from rows; None where rows do not tell."""
    if metric in values:
        return mean(metric)
    needed = "gold" if metric.endswith(("spearman", "pearson")) else "label"
    return MEASURES.get(metric) if needed in values else None


def value(measure: Measure, values: Values) -> float:
    """The score of all rows; NaN where they have none."""
    rows = len(next(iter(values.values())))
    return float(measure(values, np.ones((1, rows)))[0])


def drawn(measure: Measure, values: Values, draws: int) -> np.ndarray:
    """The score of each draw: (draws,)."""
    rows = len(next(iter(values.values())))
    return np.concatenate([measure(values, taken) for taken in weights(rows, draws)])


def interval(draws: np.ndarray) -> list[float] | None:
    """95 %: 2.5th and 97.5th percentile of the draws that have a score; None where none has."""
    if not np.isfinite(draws).any():
        return None
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return [float(low), float(high)]


def _pearson(one: np.ndarray, other: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Weighted correlations of (B, n) and (B, n)."""
    total = taken.sum(1, keepdims=True)
    one = one - (taken * one).sum(1, keepdims=True) / total
    other = other - (taken * other).sum(1, keepdims=True) / total
    squares = (taken * one * one).sum(1) * (taken * other * other).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = (taken * one * other).sum(1) / np.sqrt(squares)
    return found


def _ranks(column: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Ranks (B, n) of the rows of each draw; rows that were not taken have the rank they would have."""
    order = np.argsort(column, kind="stable")
    ends = _group_ends(column[order])
    behind = np.cumsum(taken[:, order], 1)[:, ends]
    before = np.concatenate([np.zeros((len(taken), 1)), behind[:, :-1]], 1)
    middle = (before + behind + 1) / 2
    group = np.zeros(len(column), np.int64)
    group[ends[:-1] + 1] = 1
    ranks = np.empty(taken.shape)
    ranks[:, order] = middle[:, np.cumsum(group)]
    return ranks


def _group_ends(ordered: np.ndarray) -> np.ndarray:
    """The last place of each run of equal values."""
    return np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
