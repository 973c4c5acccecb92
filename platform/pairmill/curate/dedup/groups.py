"""Groups of rows that may be near duplicates: connected components of verified links between rows that share a band.

1. Band by band, rows with the same band hash form buckets.
2. In each bucket the first row (in canonical order) is the head of a star: the others are linked to it if their
   sketches estimate a Jaccard similarity of at least threshold - margin. Those that fail form the bucket's next star,
   for a bounded number of rounds; all buckets of a band do the same round at once. What is still unlinked then
   (`unresolved`) stays unlinked in this band.
3. Groups are the components of all links.

The margin lets pairs through that the estimate puts too low: its standard deviation at S slots is sqrt(J (1 - J) / S),
0.035 at J = 0.8 and 128 slots, so that a margin of 0.12 is 3.4 standard deviations and loses 1 pair in 3,000. Links
only propose: `resolve` compares the texts.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pairmill.curate.dedup.minhash import estimate

VERSION = 1
MARGIN = 0.12
ROUNDS = 32

_PAIRS_AT_ONCE = 1 << 16


class Groups(NamedTuple):
    """The groups, and what verification did."""

    labels: np.ndarray  # (n,) int64: the smallest row of the row's group; itself, if it is alone
    links: int  # different links verified
    refused: int  # comparisons that failed, counted in every band
    unresolved: int  # rows left over in buckets after the last round, counted in every band


def near_groups(
    bands: np.ndarray,
    sketches: np.ndarray,
    valid: np.ndarray,
    threshold: float,
    *,
    margin: float = MARGIN,
    rounds: int = ROUNDS,
) -> Groups:
    """Group rows by band hashes (n, B) uint64 and sketches (n, S) uint8; rows that are not `valid` (n,) stay alone."""
    rows = np.flatnonzero(valid)
    links = np.empty(0, np.int64)
    refused = unresolved = 0
    for band in range(bands.shape[1]):
        members, bucket = _buckets(rows, bands[rows, band])
        linked = [links]
        for _ in range(rounds):
            if not len(members):
                break
            heads, others, bucket = _stars(members, bucket)
            near = _near(sketches, heads, others, threshold - margin)
            linked.append(heads[near] * len(bands) + others[near])
            refused += int(np.count_nonzero(~near))
            members, bucket = _of_two_or_more(others[~near], bucket[~near])
        unresolved += len(members)
        links = np.unique(np.concatenate(linked))
    return Groups(_components(links, len(bands)), len(links), refused, unresolved)


def _buckets(rows: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of buckets of two or more, ordered by bucket and row, and the number of each one's bucket."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    bucket = np.zeros(len(rows), np.int64)
    np.cumsum(ordered[1:] != ordered[:-1], out=bucket[1:])
    return _of_two_or_more(rows[order], bucket)


def _of_two_or_more(members: np.ndarray, bucket: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    same = bucket[1:] == bucket[:-1]
    shared = np.zeros(len(members), bool)
    shared[1:] |= same
    shared[:-1] |= same
    return members[shared], bucket[shared]


def _stars(members: np.ndarray, bucket: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all members but each bucket's first, with that first one as their head and with their bucket."""
    is_head = np.ones(len(members), bool)
    is_head[1:] = bucket[1:] != bucket[:-1]
    heads = members[is_head][np.cumsum(is_head) - 1]
    return heads[~is_head], members[~is_head], bucket[~is_head]


def _near(sketches: np.ndarray, left: np.ndarray, right: np.ndarray, least: float) -> np.ndarray:
    near = np.empty(len(left), bool)
    for part in _slices(len(left), _PAIRS_AT_ONCE):
        near[part] = estimate(sketches[left[part]], sketches[right[part]]) >= least
    return near


def _slices(length: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, length, size))


def _components(links: np.ndarray, n: int) -> np.ndarray:
    """Label the components of links (left * n + right) by their smallest row."""
    labels = np.arange(n)
    if not len(links):
        return labels
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = (np.ones(len(links), np.int8), (links // n, links % n))
    _, component = connected_components(coo_matrix(edges, shape=(n, n)), directed=False)
    smallest = np.empty(component.max() + 1, np.int64)
    smallest[component[::-1]] = labels[::-1]
    return smallest[component]
