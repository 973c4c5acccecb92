"""(2 x numerals in common + 1) / (2 x in common + numerals of one side only + 1), as multisets.

A numeral is a run of decimal digits of any script, by value (`٣` = `3`, `05` = `5`). Groups of exactly three digits
behind one separator (`1,000`, `1.000`, `1 000`, `1'000`) continue it; any other sign ends it, so that `1.5` and `1,5`,
`3:16` and `3,16` agree. Numerals up to 12, which languages spell out at will, count where both sides have them and are
not held against a pair otherwise. So one larger numeral that stands alone (spelled out on the other side, or the number
of a verse or footnote) gives 0.5, two that contradict each other give 0.33. In front of a row's first letter only the
first numeral counts, because there stand the numbers of chapter and verse, items and lines: `(64:7)`, `1.2.3`. Notes
and references that a punctuation mark ties to a word (`war,363)`, `Mk.16`) or to a percent sign (`%.250s`) do not
count, nor numerals that follow them with nothing but one or two signs between (`Is.8,14; 9,2`).

1. Find the runs; join the groups; a numeral's key is the sum of digit x B^(distance from its end) mod 2^64, with B odd.
2. Sort the keys of both sides by row; equal neighbours of both sides are numerals in common.

Source: OpusFilter NonZeroNumeralsFilter; the 1 that is added is ours.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np

from pairmill.curate import codepoints
from pairmill.curate.heuristics import kernels
from pairmill.curate.heuristics.side import Side

VERSION = 3
SPELLED_OUT = 12
_BASE = np.uint64(0x9E3779B97F4A7C15)
_TIES = np.array([ord(c) for c in ',.;:!?)"”’»'], np.uint32)
_CHAINS = np.array([ord(c) for c in ",.;:-–"], np.uint32)
_SEPARATORS = np.array([ord(c) for c in ",.'’ \u00a0\u2009\u202f\u066c\u066b\uff0c"], np.uint32)


def score(anchor: Side, positive: Side) -> np.ndarray:
    row_a, key_a = numerals(anchor)
    row_p, key_p = numerals(positive)
    rows, keys = np.concatenate([row_a, row_p]), np.concatenate([key_a, key_p])
    if not len(rows):
        return np.ones(len(anchor), np.float32)
    order = np.lexsort((keys, rows))
    rows, keys = rows[order], keys[order]
    in_anchor = order < len(row_a)
    starts = np.flatnonzero(np.r_[True, (rows[1:] != rows[:-1]) | (keys[1:] != keys[:-1])])
    total = np.diff(np.r_[starts, len(rows)])
    of_anchor = np.add.reduceat(in_anchor, starts, dtype=np.int64)
    common = np.minimum(of_anchor, total - of_anchor)
    alone = np.where(np.isin(keys[starts], _small_keys()), 0, total - 2 * common)
    common, alone = (np.bincount(rows[starts], part, len(anchor)) for part in (common, alone))
    return ((2 * common + 1) / (2 * common + alone + 1)).astype(np.float32)


def numerals(side: Side) -> tuple[np.ndarray, np.ndarray]:
    """The numerals of all rows: their row numbers (int64) and keys (uint64)."""
    at = np.flatnonzero(side.classes == codepoints.DIGIT)
    if not len(at):
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    row = np.searchsorted(side.offsets, at, "right") - 1
    first = np.flatnonzero(np.r_[True, (np.diff(at) > 1) | (np.diff(row) > 0)])
    length = np.diff(np.r_[first, len(at)])
    first = first[~_continues(side, at, row, first, length)]
    end = np.r_[first[1:], len(at)]
    distance = np.repeat(end, end - first) - 1 - np.arange(len(at))
    digits = _digit_values()[side.flat[at]].astype(np.uint64)
    keys = np.add.reduceat(digits * _powers(int(distance.max()) + 1)[distance], first, dtype=np.uint64)
    row, place = row[first], at[first]
    enumerates = np.r_[False, row[1:] == row[:-1]] & (place < (side.offsets[:-1] + side.counts[:, kernels.FIRST])[row])
    counted = ~enumerates & ~_chained(side, _tied(side, place, row), place, at[end - 1], row)
    return row[counted], keys[counted]


def _tied(side: Side, place: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Which numerals stand behind a letter or percent sign and a punctuation mark without a space."""
    inside = place - 2 >= side.offsets[row]
    before = np.where(inside, place - 2, 0)
    mark = np.isin(side.flat[before + 1], _TIES) if len(side.flat) > 1 else np.zeros(len(place), bool)
    word = np.isin(side.classes[before], (codepoints.LETTER, codepoints.MARK)) | (side.flat[before] == ord("%"))
    return inside & mark & word


def _chained(side: Side, tied: np.ndarray, place: np.ndarray, last: np.ndarray, row: np.ndarray) -> np.ndarray:
    """The tied numerals, and those that follow one with a mark, or a mark and a space, between."""
    gap = place[1:] - last[:-1] - 1
    near = (row[1:] == row[:-1]) & (gap >= 1) & (gap <= 2) & np.isin(side.flat[last[:-1] + 1], _CHAINS)
    near &= (gap == 1) | (side.classes[place[1:] - 1] == codepoints.SPACE)
    number = np.arange(len(place))
    start = np.maximum.accumulate(np.where(np.r_[False, near], 0, number))
    return np.maximum.accumulate(np.where(tied, number, -1)) >= start


def _continues(side: Side, at: np.ndarray, row: np.ndarray, first: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Which runs of digits continue the numeral before: three digits, one separator behind a run of one to three."""
    gap = np.zeros(len(first), bool)
    start, before = at[first[1:]], at[first[1:] - 1]
    same_row = row[first[1:]] == row[first[1:] - 1]
    gap[1:] = (start - before == 2) & same_row & np.isin(side.flat[start - 1], _SEPARATORS)
    return gap & (length == 3) & np.r_[False, length[:-1] <= 3]


def _powers(count: int) -> np.ndarray:
    powers = np.full(count, _BASE, np.uint64)
    powers[0] = 1
    return np.multiply.accumulate(powers)


@cache
def _digit_values() -> np.ndarray:
    """The uint8 table (0x110000,) from code point to the value of a decimal digit."""
    table = np.zeros(codepoints.LIMIT, np.uint8)
    for point in np.flatnonzero(codepoints.classes() == codepoints.DIGIT).tolist():
        table[point] = unicodedata.decimal(chr(point))
    return table


@cache
def _small_keys() -> np.ndarray:
    tens, units = np.divmod(np.arange(SPELLED_OUT + 1, dtype=np.uint64), np.uint64(10))
    return tens * _BASE + units
