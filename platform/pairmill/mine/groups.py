"""Duplicates of meaning (SemDeDup, Abbas et al. 2023, arXiv 2303.09540).

1. k-means parts the vectors, so that only rows of one cluster are compared.
2. In a cluster, rows are walked in their order: a row whose cosine with a row already kept reaches the threshold
   repeats the first such row; else it is kept itself. So every duplicate has a kept partner, and chains delete no
   unlike rows (the paper compares with removed rows too).

Rows of different languages are compared only where that is asked for.
"""

from __future__ import annotations

import numpy as np

BLOCK = 1024


def duplicates(vectors: np.ndarray, classes: np.ndarray, threshold: float) -> np.ndarray:
    """For each row (n,) int64 the position of the kept row that it repeats, or its own.

    `vectors` (n, d) are unit vectors in the order of the walk; only rows of one class (n,) are compared.
    """
    found = np.arange(len(vectors))
    for name in np.unique(classes).tolist():
        rows = np.flatnonzero(classes == name)
        found[rows] = rows[_walk(vectors[rows], threshold)]
    return found


def _walk(vectors: np.ndarray, threshold: float) -> np.ndarray:
    found = np.arange(len(vectors))
    kept = np.zeros(0, np.int64)
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        own = found[start : start + BLOCK]
        for first in range(0, len(kept), BLOCK):
            near = block @ vectors[kept[first : first + BLOCK]].T >= threshold
            new = near.any(1) & (own == np.arange(start, start + len(block)))
            own[new] = kept[first + near[new].argmax(1)]
        near = block @ block.T >= threshold
        for row in range(len(block)):
            if own[row] == start + row:
                later = near[row, row + 1 :] & (own[row + 1 :] == np.arange(start + row + 1, start + len(block)))
                own[row + 1 :][later] = start + row
        kept = np.append(kept, start + np.flatnonzero(own == np.arange(start, start + len(block))))
    return found
