"""128-bit hashes (xxh3) of texts and pairs, by their UTF-8 bytes.

Two different texts among 10^9 share a 128-bit hash with a probability of about 10^-21.
"""

import numpy as np
import pyarrow as pa

from pairmill.pairs.strings import byte_offsets


def hash128(column: pa.Array) -> np.ndarray:
    """Hash the bytes of a string or large_string array without nulls: (n, 2) uint64, high half first."""
    data, rows = byte_offsets(column)
    return _hash(np.frombuffer(data, np.uint8), rows)


def pair_hash(anchor: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Combine the hashes (n, 2) of two sides, in that order, to the pair's: (n, 2) uint64."""
    both = np.hstack([anchor, positive]).astype("<u8").view(np.uint8)
    return _hash(both.ravel(), np.arange(len(both) + 1) * 32)


def _hash(data: np.ndarray, rows: np.ndarray) -> np.ndarray:
    from pairmill.pairs.xxh3 import HASH128

    out = np.empty((len(rows) - 1, 2), np.uint64)
    HASH128(data, rows, out)
    return out
