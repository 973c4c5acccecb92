"""Exact duplicates: the first row of every set of equal hashes (`pairs/hashing.py`)."""

import numpy as np

from pairmill.curate.dedup import kernels

VERSION = 1


def first_of(hashes: np.ndarray) -> np.ndarray:
    """Return for each row (n, 2) the index (int64) of the first row with the same hash: itself, if it is the first."""
    first = np.empty(len(hashes), np.int64)
    table = np.full(1 << (2 * len(hashes)).bit_length(), -1, np.int64)
    kernels.firsts()(np.ascontiguousarray(hashes), table, first)
    return first
