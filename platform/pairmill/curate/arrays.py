"""What NumPy lacks for arrays of code points cut into rows by offsets (n + 1). Rows may be empty everywhere."""

from __future__ import annotations

import numpy as np


def sums(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Sum bools, integers or floats over each row: int64 or float64 (n,)."""
    kind: type[np.generic] = np.float64 if values.dtype.kind == "f" else np.int64
    total = np.zeros(len(offsets) - 1, kind)
    filled = np.diff(offsets) > 0
    if filled.any():
        if values.dtype == bool:  # twice as fast, and no row has 2^31 characters
            total[filled] = np.add.reduceat(values.view(np.int8), offsets[:-1][filled], dtype=np.int32)
        else:
            total[filled] = np.add.reduceat(values, offsets[:-1][filled], dtype=kind)
    return total


def bits(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Bitwise or of unsigned integers over each row, in their own type: (n,)."""
    total = np.zeros(len(offsets) - 1, values.dtype)
    filled = np.diff(offsets) > 0
    if filled.any():
        total[filled] = np.bitwise_or.reduceat(values, offsets[:-1][filled])
    return total


def compress(flat: np.ndarray, offsets: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values where `keep` (bool) is true, and the rows' offsets in them."""
    kept = np.zeros(len(offsets), np.int64)
    np.cumsum(sums(keep, offsets), out=kept[1:])
    return flat[keep], kept


def before(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """For each value the one before it in its row, 0 for the first."""
    shifted = np.zeros_like(values)
    shifted[1:] = values[:-1]
    shifted[offsets[:-1][np.diff(offsets) > 0]] = 0
    return shifted


def after(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """For each value the one behind it in its row, 0 for the last."""
    shifted = np.zeros_like(values)
    shifted[:-1] = values[1:]
    shifted[offsets[1:][np.diff(offsets) > 0] - 1] = 0
    return shifted


def stretches(mask: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The stretches of each row where `mask` is true: their starts, their ends, the rows' offsets in them (n + 1)."""
    starts = np.flatnonzero(mask & ~before(mask, offsets))
    ends = np.flatnonzero(mask & ~after(mask, offsets)) + 1
    return starts, ends, np.searchsorted(starts, offsets)
