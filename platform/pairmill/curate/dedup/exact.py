"""Exact duplicates: 128-bit hashes (xxh3) of the UTF-8 bytes, and the first row of every set of equal hashes.

Two different texts among 10^9 share a 128-bit hash with a probability of about 10^-21.
"""

import numpy as np
import pyarrow as pa

from pairmill.curate.codepoints import byte_offsets
from pairmill.curate.dedup import kernels

VERSION = 1


def hash128(column: pa.Array) -> np.ndarray:
    """Hash the bytes of a string or large_string array without nulls: (n, 2) uint64, high half first."""
    data, rows = byte_offsets(column)
    return _hash(np.frombuffer(data, np.uint8), rows)


def pair_hash(anchor: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Combine the hashes (n, 2) of two sides, in that order, to the pair's: (n, 2) uint64."""
    both = np.hstack([anchor, positive]).astype("<u8").view(np.uint8)
    return _hash(both.ravel(), np.arange(len(both) + 1) * 32)


def _hash(data: np.ndarray, rows: np.ndarray) -> np.ndarray:
    from pairmill.curate.dedup.xxh3 import HASH128

    out = np.empty((len(rows) - 1, 2), np.uint64)
    HASH128(data, rows, out)
    return out


def first_of(hashes: np.ndarray) -> np.ndarray:
    """Return for each row (n, 2) the index (int64) of the first row with the same hash: itself, if it is the first."""
    first = np.empty(len(hashes), np.int64)
    table = np.full(1 << (2 * len(hashes)).bit_length(), -1, np.int64)
    kernels.firsts()(np.ascontiguousarray(hashes), table, first)
    return first
