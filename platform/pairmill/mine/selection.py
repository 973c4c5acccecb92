"""Which of an anchor's nearest texts are its hard negatives.

1. Related texts are none: the positive's own text, and texts that share an anchor with it anywhere in the rows (so also
   every other positive of an equal anchor). Nor is a text that says what the anchor says.
2. The others are ranked, the nearest first, and a range of ranks is taken.
3. Of these, texts as near as the positive are probably answers that nobody marked: left out by an absolute or a
   relative margin to the positive's cosine (NV-Retriever, arXiv 2407.15831, section 3).
4. `count` of those left are drawn, by a seed, or the nearest are taken.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from pairmill.compiled import Kernel, compile_kernel


class Relations:
    """Which texts share an anchor, by the ids of the anchors and positives (n,) of all rows."""

    def __init__(self, anchors: np.ndarray, positives: np.ndarray):
        order = np.lexsort((anchors, positives))
        anchors, positives = anchors[order], positives[order]
        new = np.r_[True, (anchors[1:] != anchors[:-1]) | (positives[1:] != positives[:-1])] if len(order) else order
        self._anchors = np.ascontiguousarray(anchors[new], np.int64)
        self._known, starts = np.unique(positives[new], return_index=True)
        self._starts = np.append(starts, len(self._anchors)).astype(np.int64)

    def related(self, positives: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """Which candidates (q, k) are related to the positive (q,) of their row; both are ids of texts."""
        out = candidates == positives[:, None]
        own, theirs = self._place(positives), self._place(candidates)
        _share()(own, np.ascontiguousarray(theirs), self._starts, self._anchors, out)
        return out

    def _place(self, texts: np.ndarray) -> np.ndarray:
        if not len(self._known):
            return np.full(texts.shape, -1, np.int64)
        at = np.minimum(np.searchsorted(self._known, texts), len(self._known) - 1)
        return np.where(self._known[at] == texts, at, -1).astype(np.int64)


def eligible(
    cosines: np.ndarray,
    related: np.ndarray,
    positive: np.ndarray,
    rank: tuple[int, int],
    absolute: float | None,
    relative: float | None,
) -> np.ndarray:
    """Which candidates may be drawn (q, k).

    `cosines` (q, k) descend, -inf where there is no candidate; `positive` (q,) is the positive's own cosine.
    """
    others = np.isfinite(cosines) & ~related
    place = np.cumsum(others, axis=1)
    found = others & (place >= rank[0]) & (place <= rank[1])
    if absolute is not None:
        found &= cosines < positive[:, None] - np.float32(absolute)
    if relative is not None:
        found &= cosines < positive[:, None] * np.float32(relative)
    return found


def draw(found: np.ndarray, keys: np.ndarray, count: int) -> np.ndarray:
    """The columns (q, count) of the eligible candidates with the smallest keys (q, k) uint64, in order; else -1."""
    last = np.uint64(2**64 - 1)
    order = np.argsort(np.where(found, np.minimum(keys, last - np.uint64(1)), last), axis=1, kind="stable")[:, :count]
    order = np.where(np.take_along_axis(found, order, 1), order, -1)
    return np.pad(order, ((0, 0), (0, max(0, count - order.shape[1]))), constant_values=-1)


@cache
def _share() -> Kernel:
    return compile_kernel(_share_loop, "int64[] int64[][] int64[] int64[]", "boolean[:,::1]")


def _share_loop(own: np.ndarray, theirs: np.ndarray, starts: np.ndarray, anchors: np.ndarray, out: np.ndarray) -> None:
    for row in range(theirs.shape[0]):
        if own[row] < 0:
            continue
        for column in range(theirs.shape[1]):
            if theirs[row, column] < 0 or out[row, column]:
                continue
            one, one_end = starts[own[row]], starts[own[row] + 1]
            other, other_end = starts[theirs[row, column]], starts[theirs[row, column] + 1]
            while one < one_end and other < other_end:
                if anchors[one] == anchors[other]:
                    out[row, column] = True
                    break
                if anchors[one] < anchors[other]:
                    one += 1
                else:
                    other += 1
