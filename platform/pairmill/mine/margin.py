"""Margin scores of pairs (Artetxe & Schwenk 2019, arXiv 1811.01136, section 3, equations 2 to 4).

The cosine of two sentences says little by itself: some sentences are near to everything. The margin sets it against the
mean cosine of each side with its k nearest neighbours on the other side,

    b(x, y) = sum_{z in NN_k(x)} cos(x, z) / 2k  +  sum_{z in NN_k(y)} cos(y, z) / 2k
    absolute: cos(x, y)      distance: cos(x, y) - b(x, y)      ratio: cos(x, y) / b(x, y)
"""

from __future__ import annotations

import numpy as np


def neighbour_mean(cosines: np.ndarray) -> np.ndarray:
    """Mean (n,) of each row's cosines (n, k) with its neighbours; -inf stands where there are fewer than k."""
    found = np.isfinite(cosines)
    total = np.where(found, cosines, 0).sum(1, dtype=np.float64)
    return (total / np.maximum(found.sum(1), 1)).astype(np.float32)


def margin(cosine: np.ndarray, left: np.ndarray, right: np.ndarray, kind: str) -> np.ndarray:
    """Scores, float32, in the shape of `cosine`.

    `left` and `right` are the neighbour means of the two sides, of that shape or broadcast to it. A ratio over a mean
    that is not positive means nothing: it is NaN.
    """
    if kind == "absolute":
        return cosine.astype(np.float32)
    base = (left.astype(np.float64) + right) / 2
    if kind == "distance":
        return (cosine - base).astype(np.float32)
    if kind == "ratio":
        return np.divide(cosine, base, out=np.full(np.shape(cosine), np.nan), where=base > 0).astype(np.float32)
    raise ValueError(f"{kind!r} is no margin: ratio, distance or absolute")
