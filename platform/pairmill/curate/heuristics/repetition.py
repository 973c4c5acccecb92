"""Characters that only repeat what stands just before them / characters; 0 for an empty side.

A stretch repeats with period p if each of its items equals the one p before. Counted are stretches of at least two
periods (three occurrences in all: `ha ha ha`), by characters with p = 1 to 8 and by words with p = 1 to 6; the score is
the larger of the two shares, taking for each the best period. Natural doubling (`ll`, `that that`) never counts.
Source: OpusFilter RepetitionFilter; duplicate n-grams of Gopher (2112.11446, A1).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pairmill.curate import arrays
from pairmill.curate.heuristics.side import Side, share

VERSION = 1
CHARACTERS = range(1, 9)
WORDS = range(1, 7)
_K = np.uint32(0x9E3779B1)


def score(side: Side) -> np.ndarray:
    by_characters = _repeated(side.flat, side.offsets, np.arange(len(side.flat) + 1), CHARACTERS)
    return share(np.maximum(by_characters, _by_words(side)), side.lengths, empty=0)


def _by_words(side: Side) -> np.ndarray:
    """Characters of repeating words per row: int64 (n,).

    Words that are equal have equal lengths, first, middle and last characters; only rows where these repeat are hashed.
    """
    starts, ends, offsets = side.words
    sampled = (ends - starts).astype(np.uint32)
    for at in (starts, (starts + ends) // 2, ends - 1):
        sampled = sampled * _K + side.flat[at]
    repeated = _repeated(sampled, offsets, np.arange(len(starts) + 1), WORDS)
    rows = np.flatnonzero(repeated)
    if len(rows):
        repeated[rows] = _repeated(*_hashed_words(Side(side.texts.take(pa.array(rows)), side.langs)), WORDS)
    return repeated


def _repeated(items: np.ndarray, offsets: np.ndarray, ends: np.ndarray, periods: range) -> np.ndarray:
    """The characters of repeating items per row, for the best period: int64 (n,).

    `items` are cut into rows by `offsets` (n + 1); `ends[i]` are the characters in front of item i (items + 1).
    """
    best = np.zeros(len(offsets) - 1, np.int64)
    for period in periods:
        first, length = _stretches(items, period)
        if len(first):
            best = np.maximum(best, _in_rows(first, length, period, offsets, ends))
    return best


def _stretches(items: np.ndarray, period: int) -> tuple[np.ndarray, np.ndarray]:
    """Starts and lengths of the longest stretches, of 2 x period items or more, that equal the item one period before.

    Each such stretch holds multiples of 2 x period, so only these are looked at, and then what lies around them.
    """
    step = 2 * period
    later = items[step::step]
    at = (np.flatnonzero(later == items[period::step][: len(later)]) + 1) * step
    for near in (period, 1):  # a stretch that long reaches that far to one side or the other
        at = at[_same(items, at - near, period) | _same(items, at + near, period)]
        if not len(at):
            return at, at
    back, ahead = _run(items, at, period, -1), _run(items, at, period, 1)
    long = back + ahead + 1 >= step
    start, end = (at - back)[long], (at + ahead + 1)[long]
    new = np.ones(len(start), bool)
    new[1:] = start[1:] > end[:-1]
    last = np.ones(len(start), bool)
    last[:-1] = new[1:]
    return start[new], end[last] - start[new]


def _same(items: np.ndarray, at: np.ndarray, period: int) -> np.ndarray:
    """Whether the items at positions of at least `period` equal the ones a period before; False behind the end."""
    here = np.minimum(at, len(items) - 1)
    return (items[here] == items[here - period]) & (at < len(items))


def _run(items: np.ndarray, at: np.ndarray, period: int, direction: int) -> np.ndarray:
    """How many items in a row equal the one a period before, going from `at` in a direction: at most 2 x period - 1."""
    count = np.zeros(len(at), np.int64)
    alive = np.arange(len(at))
    for distance in range(1, 2 * period):
        here = at[alive] + direction * distance
        inside = (here >= period) & (here < len(items))
        alive, here = alive[inside], here[inside]
        alive = alive[items[here] == items[here - period]]
        if not len(alive):
            break
        count[alive] = distance
    return count


def _in_rows(first: np.ndarray, length: np.ndarray, period: int, offsets: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Characters in stretches (first item, items), cut at the borders of rows, that are two periods long or more."""
    row_first, row_last = (np.searchsorted(offsets, at, "right") - 1 for at in (first, first + length - 1))
    parts = row_last - row_first + 1
    row = np.repeat(row_first - np.cumsum(parts) + parts, parts) + np.arange(parts.sum())
    begin = np.maximum(np.repeat(first, parts), offsets[row] + period)
    end = np.minimum(np.repeat(first + length, parts), offsets[row + 1])
    fits = end - begin >= 2 * period
    total = np.zeros(len(offsets) - 1, np.int64)
    np.add.at(total, row[fits], ends[end[fits]] - ends[begin[fits]])
    return total


def _hashed_words(side: Side) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hashes of the words of all rows, the rows' offsets in them, and the characters in front of each (words + 1).

    A word's characters include the white space behind it. Its hash is the sum of (K x character + next character)^2
    mod 2^32, where white space and the end of the row are 0.
    """
    starts, _, offsets = side.words
    solid = side.flat * ~side.spaces
    mixed = solid * _K + arrays.after(solid, side.offsets)
    mixed *= mixed * ~side.spaces
    until = np.minimum(np.append(starts[1:], len(mixed)), side.offsets[side.row(starts) + 1])
    return np.add.reduceat(mixed, starts, dtype=np.uint32), offsets, np.r_[0, np.cumsum(until - starts)]
