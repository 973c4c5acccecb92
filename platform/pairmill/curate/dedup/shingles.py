"""Texts as sets of character 5-grams, hashed to 64 bits.

1. Fold: NFKC, lower case, every run of white space and punctuation becomes one space (nothing is stripped).
2. Shingles: all runs of 5 code points of the folded text. A folded text of 1 to 4 code points is one shingle, itself,
   so that short texts are compared whole; the empty text has none.
3. Hash: a polynomial over the code points modulo 2^64, rolled along the text, and a mixer (for a short text with its
   length). Different shingles share a hash about once in 2^64 pairs.

Folding works on the code points of a few hundred rows at once, through the tables of `folding`. Only rows in which
neighbouring code points really interact (`signing`) are folded in plain Python.
"""

import unicodedata
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from pairmill.curate.dedup.folding import fold_text, tables
from pairmill.pairs.strings import byte_offsets

VERSION = 1
UNICODE = unicodedata.unidata_version
SIZE = 5

_BATCH_BYTES = 1 << 18

MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xFF51AFD7ED558CCD], np.uint64)
Ragged = tuple[np.ndarray, np.ndarray]


def batches(column: pa.Array, size: int = _BATCH_BYTES) -> Iterator[pa.Array]:
    """Yield slices of a text column of about `size` bytes (at least one row), so that temporaries stay in cache."""
    _, ends = byte_offsets(column)
    start = 0
    while start < len(column):
        stop = int(np.searchsorted(ends, ends[start] + size, side="right")) - 1
        stop = min(max(stop, start + 1), len(column))
        yield column.slice(start, stop - start)
        start = stop


def fold(column: pa.Array) -> Ragged:
    """Fold a text column: its code points (uint32), joined, and int64 row offsets (n + 1)."""
    return join([fold_batch(batch) for batch in batches(column)], np.uint32)


def shingles(column: pa.Array, size: int = SIZE) -> Ragged:
    """Hash the shingles of a text column: uint64 hashes by position, repeats included, and int64 row offsets."""
    return join([hash_grams(*fold_batch(batch), size) for batch in batches(column)], np.uint64)


def slow_share(column: pa.Array) -> float:
    """Return the share of rows that are folded in plain Python."""
    return sum(len(_fold_by_table(batch)[2]) for batch in batches(column)) / max(len(column), 1)


def join(parts: list[Ragged], dtype: type[np.generic]) -> Ragged:
    """Join ragged arrays, given as (values, row offsets), into one."""
    if len(parts) == 1:
        return parts[0]
    flat = np.concatenate([np.empty(0, dtype), *(values for values, _ in parts)])
    counts = np.concatenate([np.zeros(1, np.int64), *(np.diff(offsets) for _, offsets in parts)])
    return flat, np.cumsum(counts)


def checked(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the bytes (uint8) of a text column and its row offsets in them; pa.ArrowInvalid if they are not UTF-8."""
    column.validate(full=True)
    data, offsets = byte_offsets(column)
    return np.frombuffer(data, np.uint8), offsets


def fold_batch(batch: pa.Array) -> Ragged:
    """Fold the texts of one array, which is best small: code points (uint32) and row offsets.

    Raises pa.ArrowInvalid if a text is not UTF-8.
    """
    folded, offsets, slow = _fold_by_table(batch)
    if not len(slow):
        return folded, offsets
    texts = [fold_text(text) for text in batch.take(pa.array(slow)).to_pylist()]
    return replace(folded, offsets, slow, [np.frombuffer(text.encode("utf-32-le"), np.uint32) for text in texts])


def _fold_by_table(batch: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fold code point by code point, and name the rows in which neighbours interact."""
    from pairmill.curate.dedup.signing import FOLD

    data, offsets = checked(batch)
    *arrays, longest = tables()
    # What is not written is never committed: the room for the longest expansions costs address space only.
    out = np.empty((offsets[-1] - offsets[0]) * longest + 1, np.uint32)
    out_offsets, slow = np.empty(len(offsets), np.int64), np.empty(len(offsets), np.int64)
    found = FOLD(data, offsets, *arrays, out, out_offsets, slow)
    return out[: out_offsets[-1]], out_offsets, slow[:found]


def replace(flat: np.ndarray, offsets: np.ndarray, rows: np.ndarray, values: list[np.ndarray]) -> Ragged:
    """Replace some rows (ascending) of a ragged array."""
    pieces, done = [], 0
    for row, value in zip(rows, values, strict=True):
        pieces += [flat[done : offsets[row]], value]
        done = offsets[row + 1]
    counts = np.diff(offsets)
    counts[rows] = [len(value) for value in values]
    return np.concatenate([*pieces, flat[done:]]), np.concatenate([[0], np.cumsum(counts)])


def hash_grams(flat: np.ndarray, offsets: np.ndarray, size: int = SIZE) -> Ragged:
    """Hash the shingles of folded rows."""
    from pairmill.curate.dedup.signing import HASH_WINDOWS

    hashes = np.empty(len(flat), np.uint64)
    hash_offsets = np.empty(len(offsets), np.int64)
    HASH_WINDOWS(flat, offsets, size, MULTIPLIERS, hashes, hash_offsets)
    return hashes[: hash_offsets[-1]], hash_offsets
