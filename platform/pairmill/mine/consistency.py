"""The consistency filter of E5 (Wang et al. 2022, arXiv 2212.03533, section 3).

A pair is kept if its passage ranks in the top k for its query among itself and a pool of random passages; the rank is
found by a model trained on the unfiltered pairs. Here the rank itself is the score, so that k can be chosen later.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Queries and passages whose similarities are computed at once: 32 MB.
QUERIES, PASSAGES = 512, 16_384
#: Similarities that differ by less are equal: float32 sums of 4,096 products differ so with the order of addition.
TIE = 1e-6
#: Upper ends of the classes of the histogram of ranks.
CLASSES = (1, 2, 3, 5, 10, 20, 50, 100, 1000, 10_000, 100_000)


def ranks(
    queries: np.ndarray, positives: np.ndarray, pool: np.ndarray, own: np.ndarray, pool_texts: np.ndarray
) -> np.ndarray:
    """Rank (n,) int64, 1 the best, of each query's passage among itself and the pool.

    `queries`, `positives` (n, d) and `pool` (m, d) are unit vectors; `own` (n,) and `pool_texts` (m,), ascending and
    distinct, identify the texts: a pooled passage with the positive's own text is no rival. Rivals as similar as the
    positive do not push it down.
    """
    found = np.ones(len(queries), np.int64)
    at = np.searchsorted(pool_texts, own)
    pooled = at < len(pool_texts)
    pooled[pooled] = pool_texts[at[pooled]] == own[pooled]
    reach = np.einsum("qd,qd->q", queries, positives) + np.float32(TIE)
    for start in range(0, len(queries), QUERIES):
        rows = slice(start, start + QUERIES)
        for first in range(0, len(pool), PASSAGES):
            similar = queries[rows] @ pool[first : first + PASSAGES].T
            better = similar > reach[rows, None]
            inside = pooled[rows] & (at[rows] >= first) & (at[rows] < first + PASSAGES)
            better[inside, at[rows][inside] - first] = False
            found[rows] += np.count_nonzero(better, axis=1)
    return found


def histogram(found: np.ndarray, classes: Sequence[int] = CLASSES) -> list[int]:
    """How many ranks are at most each of `classes` and above the one before; the last count is of those beyond."""
    at = np.searchsorted(np.asarray(classes), found, side="left")
    return np.bincount(at, minlength=len(classes) + 1).tolist()
