"""Groups of rows that may be near duplicates: connected components of verified links between rows that share a band.

Band by band, rows with the same band hash form buckets; in each, rows are linked as in `buckets`. Groups are the
components of all links. Links only propose: `resolve` compares the texts.
"""

from typing import NamedTuple

import numpy as np

from pairmill.curate.dedup import kernels
from pairmill.curate.dedup.buckets import Linker
from pairmill.curate.dedup.components import Forest

VERSION = 2
_BITS = 8  # of a row in the filter of `shared`: lets 1 in 9 of the rows through that are alone


class Groups(NamedTuple):
    """The groups, and what verification did."""

    labels: np.ndarray  # (n,) int64: the smallest row of the row's group; itself, if it is alone
    unresolved: int  # rows for which a crowded bucket had no room, counted in every band


def near_groups(bands: np.ndarray, sketches: np.ndarray, valid: np.ndarray, threshold: float, slots: int) -> Groups:
    """Group rows by band hashes (n, B) uint64 and sketches (n, words) uint64 of `slots` bits; rows that are not `valid`
    (n,) stay alone."""
    rows = np.flatnonzero(valid)
    forest, unresolved = Forest(len(bands)), 0
    for band in range(bands.shape[1]):
        members, hashes = shared(rows, bands[rows, band])
        linker = Linker(threshold, slots, sketches.shape[1])
        linker.feed(hashes, members, sketches[members])
        links = linker.finish()
        forest.join(links.head, links.row)
        unresolved += links.unresolved
    return Groups(forest.labels(), unresolved)


def shared(ids: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of rows in the order of their ids those whose hash is not theirs alone: ids and hashes, ordered by (hash, id).

    Before they are sorted, most of the others are told by a bit of a filter that no second row set.
    """
    found, words = np.empty(len(hashes), np.int64), 1 << (_BITS * len(hashes) // 64).bit_length()
    bits = np.zeros((2, words), np.uint64)
    found = found[: kernels.repeated()(np.ascontiguousarray(hashes), bits, found)]
    ids, hashes = ids[found], hashes[found]
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    same = hashes[1:] == hashes[:-1]
    several = np.zeros(len(hashes), bool)
    several[1:] |= same
    several[:-1] |= same
    return ids[order[several]], hashes[several]
