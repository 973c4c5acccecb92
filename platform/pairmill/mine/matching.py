"""Bitext mining: which sentences of two sides are translations of each other (Artetxe & Schwenk 2019, 1811.01136).

1. Each sentence has k candidates on the other side, its nearest neighbours; each candidate a margin score.
2. forward takes the best candidate of every left sentence, backward of every right one, intersection what both take.
   max (the paper's best) goes through both lists together, best score first, and takes a pair if neither of its
   sentences is taken yet.
3. Pairs below a threshold are left out; where a part of the truth is known, the threshold with the best F1 there.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from pairmill.compiled import Kernel, compile_kernel
from pairmill.mine.margin import margin, neighbour_mean


class Neighbours(NamedTuple):
    """The k nearest of the other side for each of n sentences, the nearest first; id -1 and -inf where there are fewer.

    Ids are positions on the other side.
    """

    cosines: np.ndarray  # float32 (n, k)
    ids: np.ndarray  # int64 (n, k)


class Pairs(NamedTuple):
    """Mined pairs, best first; ties in the order of `left`, then `right`."""

    left: np.ndarray  # int64 (p,): positions
    right: np.ndarray
    scores: np.ndarray  # float32 (p,)

    def at(self, rows: np.ndarray) -> Pairs:
        return Pairs(self.left[rows], self.right[rows], self.scores[rows])


class Cut(NamedTuple):
    """A threshold, and what it gives on the pairs it was chosen on."""

    threshold: float
    precision: float
    recall: float
    f1: float


def mine(forward: Neighbours, backward: Neighbours, kind: str, retrieval: str) -> Pairs:
    """Pairs of a left side (n sentences, `forward`) and a right side (m, `backward`); scores as `margin.margin`."""
    left_mean, right_mean = neighbour_mean(forward.cosines), neighbour_mean(backward.cosines)
    there = _best(forward, left_mean, right_mean, kind)
    back = _best(backward, right_mean, left_mean, kind)
    back = Pairs(back.right, back.left, back.scores)
    if retrieval == "forward":
        return _sorted(there)
    if retrieval == "backward":
        return _sorted(back)
    width = max(len(backward.ids), 1)
    agreed = np.isin(there.left * width + there.right, back.left * width + back.right)
    if retrieval == "intersection":
        return _sorted(there.at(agreed))
    if retrieval == "max":
        both = _sorted(Pairs(*(np.concatenate(pair) for pair in zip(there, back, strict=True))))
        taken = np.zeros(len(both.left), np.uint8)
        _take()(both.left, both.right, len(forward.ids), len(backward.ids), taken)
        return both.at(taken.astype(bool))
    raise ValueError(f"{retrieval!r} is no way of retrieval: max, forward, backward or intersection")


def best_threshold(scores: np.ndarray, right: np.ndarray, total: int) -> Cut:
    """The threshold with the best F1 on pairs whose truth is known.

    `scores` (p,) are of mined pairs, `right` (p,) bool says which of them are true, `total` counts all true pairs. The
    threshold lies halfway to the next score below, so that pairs as good as the last one taken pass.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order].astype(np.float64), np.cumsum(right[order])
    taken = np.arange(1, len(ranked) + 1)
    last = np.append(ranked[1:] < ranked[:-1], True)[: len(ranked)]  # a cut may not go through equal scores
    f1 = np.where(last, 2 * hits / np.maximum(taken + total, 1), -1)
    if not len(ranked) or not hits[-1]:
        return Cut(float("inf"), 0.0, 0.0, 0.0)
    at = int(f1.argmax())
    below = ranked[at + 1] if at + 1 < len(ranked) else ranked[at]
    return Cut(float((ranked[at] + below) / 2), float(hits[at] / taken[at]), float(hits[at] / total), float(f1[at]))


def _best(found: Neighbours, own: np.ndarray, other: np.ndarray, kind: str) -> Pairs:
    """The best candidate of each sentence that has one; ties: the nearer one."""
    scores = margin(found.cosines, own[:, None], other[np.maximum(found.ids, 0)], kind)
    scores = np.where((found.ids >= 0) & np.isfinite(scores), scores, -np.inf)
    best = scores.argmax(1) if scores.shape[1] else np.zeros(len(scores), np.int64)
    rows = np.flatnonzero(np.isfinite(np.take_along_axis(scores, best[:, None], 1)[:, 0])) if scores.size else best[:0]
    return Pairs(rows.astype(np.int64), found.ids[rows, best[rows]], scores[rows, best[rows]].astype(np.float32))


def _sorted(pairs: Pairs) -> Pairs:
    return pairs.at(np.lexsort((pairs.right, pairs.left, -pairs.scores)))


@cache
def _take() -> Kernel:
    return compile_kernel(_take_greedily, "int64[] int64[] int64 int64", "uint8[::1]")


def _take_greedily(left: np.ndarray, right: np.ndarray, lefts: int, rights: int, taken: np.ndarray) -> None:
    used_left = np.zeros(lefts, np.uint8)
    used_right = np.zeros(rights, np.uint8)
    for pair in range(len(left)):
        if not used_left[left[pair]] and not used_right[right[pair]]:
            used_left[left[pair]] = used_right[right[pair]] = 1
            taken[pair] = 1
