"""Which rows of near groups are kept: a walk in keep order that compares shingle sets exactly.

1. Rows are visited in keep order. A row is removed if a row already kept in its group has an exact Jaccard similarity
   of at least the threshold; its partner is the first such row. Otherwise it is kept.
2. So every removed row has a kept partner, chains never remove unlike rows, and every group keeps its first row.
3. Rows with the same exact label are duplicates whatever their sets: of these, too, a row is removed if one is kept.
4. In huge groups (more than `HUGE` rows) a row is compared only with those kept rows that share a band with it.

The walk is a compiled loop over lists of kept rows, one for each small group and one for each band bucket of a huge
one, so that a star of a million copies and a chain of ten thousand rows both take about one comparison a row. Sets of
which one is so much smaller that the threshold is out of reach are not compared. Jaccard similarities are those of sets
of 64-bit shingle hashes: exact up to collisions.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pairmill.curate.dedup import kernels
from pairmill.curate.dedup.folding import tables
from pairmill.curate.dedup.shingles import MULTIPLIERS, SIZE, Ragged, checked, replace, shingles

VERSION = 1
HUGE = 256


class Resolved(NamedTuple):
    """What becomes of each row."""

    kept: np.ndarray  # (m,) bool
    partner: np.ndarray  # (m,) int64: the kept row that removes it, -1 for kept rows
    jaccard: np.ndarray  # (m,) float32: its similarity with the partner, 0 for kept rows


def sets(column: pa.Array) -> Ragged:
    """Return the shingle set of each text: sorted hashes (uint64), joined, and int64 row offsets (n + 1)."""
    from pairmill.curate.dedup.signing import SETS

    data, offsets = checked(column)
    *arrays, longest = tables()
    values = np.empty(offsets[-1] - offsets[0], np.uint64)
    ends, slow = np.empty(len(offsets), np.int64), np.empty(len(offsets), np.int64)
    slow = slow[: SETS(data, offsets, *arrays, longest, SIZE, MULTIPLIERS, values, ends, slow)]
    values = values[: ends[-1]]
    if not len(slow):
        return values, ends
    hashes, bounds = shingles(column.take(pa.array(slow)))
    return replace(values, ends, slow, [np.unique(row) for row in np.split(hashes, bounds[1:-1])])


def resolve(
    group: np.ndarray,
    values: np.ndarray,
    offsets: np.ndarray,
    bands: np.ndarray,
    threshold: float,
    exact: np.ndarray | None = None,
    pinned: int = 0,
) -> Resolved:
    """Walk rows that are sorted in keep order.

    `group` (m,) int64 holds their near group, (`values`, `offsets`) their shingle sets as of `sets`, `bands` (m, B)
    uint64 their band hashes, `threshold` is in (0, 1], `exact` (m,) int64 their exact labels (none: no two share one).
    The first `pinned` rows stay, whatever they resemble.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"near.threshold: {threshold} is not in (0, 1]. Typical: 0.7-0.9.")
    m = len(group)
    result = Resolved(np.zeros(m, bool), np.full(m, -1, np.int64), np.zeros(m, np.float32))
    labels = np.arange(m) if exact is None else np.unique(exact, return_inverse=True)[1]
    holder = np.full(m, -1, np.int64)
    _, number, size = np.unique(group, return_inverse=True, return_counts=True)
    huge = size[number] > HUGE
    for rows, keys in ((np.flatnonzero(~huge), number[~huge, None]), (np.flatnonzero(huge), bands[huge])):
        if len(rows):
            buckets = _number(number[rows], keys)
            given = rows, buckets, int(buckets.max()) + 1, values, offsets, threshold, labels, pinned
            kernels.walk()(*given, *result, holder)
    return result


def _number(group: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Number the different (group, key) from 0; keys (m, B)."""
    groups, flat = np.repeat(group, keys.shape[1]), keys.ravel()
    order = np.lexsort((flat, groups))
    numbers = np.zeros(len(flat), np.int64)
    new = (flat[order][1:] != flat[order][:-1]) | (groups[order][1:] != groups[order][:-1])
    numbers[order[1:]] = np.cumsum(new)
    return numbers.reshape(keys.shape)
