"""Exact duplicates: 128-bit hashes (xxh3) of the UTF-8 bytes, and the first row of every set of equal hashes.

Two different texts among 10^9 share a 128-bit hash with a probability of about 10^-21.
"""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import xxhash

from pairmill.curate.codepoints import byte_offsets

VERSION = 1


def hash128(column: pa.Array) -> np.ndarray:
    """Hash the bytes of a string or large_string array without nulls: (n, 2) uint64, high half first."""
    data, rows = byte_offsets(column)
    ends = rows.tolist()
    return _digests([data[start:stop] for start, stop in pairwise(ends)])


def pair_hash(anchor: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Combine the hashes (n, 2) of two sides, in that order, to the pair's: (n, 2) uint64."""
    both = memoryview(np.hstack([anchor, positive]).astype("<u8").tobytes())
    return _digests([both[start : start + 32] for start in range(0, len(both), 32)])


def _digests(texts: list[memoryview]) -> np.ndarray:
    joined = b"".join(map(xxhash.xxh3_128_digest, texts))
    return np.frombuffer(joined, ">u8").astype(np.uint64).reshape(-1, 2)


def first_of(hashes: np.ndarray) -> np.ndarray:
    """Return for each row (n, 2) the index (int64) of the first row with the same hash: itself, if it is the first."""
    order = np.lexsort((hashes[:, 1], hashes[:, 0]))
    by_hash = hashes[order]
    new = np.ones(len(order), bool)
    new[1:] = (by_hash[1:] != by_hash[:-1]).any(axis=1)
    first = np.empty(len(order), np.int64)
    first[order] = order[np.flatnonzero(new)[np.cumsum(new) - 1]]
    return first
