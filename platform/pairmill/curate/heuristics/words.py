"""Words as hashes, and which of them another text of the same row has too.

A word is a run of letters and marks in one script, case-folded one code point at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np

from pairmill.curate import arrays, codepoints
from pairmill.curate.heuristics import kernels

PHRASE_LETTERS = 9
_K = np.uint64(0xD6E8FEB86659FD93)


def _points(signs: str) -> np.ndarray:
    return np.array([ord(sign) for sign in signs], np.uint32)


_SPACE, _DOTS, _AFTER_DOTS = ord(" "), _points(".:"), _points(" .\"'”’)»")
_BEFORE, _BEHIND = _points("%{<_=/\\@#$&~^|.:"), _points("_=/\\@({[}")


@dataclass(eq=False)
class Words:
    """Words, or phrases of several, of n rows."""

    flat: np.ndarray  # uint32: the rows' code points, joined
    hashes: np.ndarray  # uint64
    starts: np.ndarray  # int64: where they start in `flat`
    sizes: np.ndarray  # int32: letters and marks
    common: np.ndarray  # bool: which do not begin with a capital
    offsets: np.ndarray  # int64 (n + 1,): where rows start and end in the others
    _last: tuple[Words, np.ndarray] | None = field(default=None, init=False, repr=False)

    def shared_with(self, other: Words) -> np.ndarray:
        """Which occur in the same row of the other: bool. The last answer is kept, as two rules ask."""
        if self._last is None or self._last[0] is not other:
            longest = int(np.diff(other.offsets).max(initial=0))
            slots = 1 << max(2 * longest - 1, 1).bit_length()
            found, table, held = np.zeros(len(self.hashes), bool), np.zeros(slots, np.uint64), np.zeros(slots, np.int64)
            kernels.member()(self.hashes, self.offsets, other.hashes, other.offsets, table, held, found)
            self._last = other, found
        return self._last[1]

    def in_phrases_shared_with(self, other: Words, size: int) -> np.ndarray:
        """Which are part of a phrase of `size` words that occurs in the same row of the other: bool.

        One character, a space, stands between a phrase's words; it has PHRASE_LETTERS or more, and all but one of its
        words begin without a capital: names, lists and formulas are no phrases.
        """
        covered = np.zeros(len(self.hashes), bool)
        run = self.shared_with(other)
        for _ in range(1, size):  # only rows with so many shared words in a row can share a phrase
            run = run[:-1] & run[1:]
        rows = np.zeros(len(self.offsets) - 1, bool)
        rows[np.searchsorted(self.offsets, np.flatnonzero(run), "right") - 1] = True
        if rows.any():
            starts, phrases = self._phrases(size, rows)
            starts = starts[phrases.shared_with(other._phrases(size, rows)[1])]
            for place in range(size):
                covered[starts + place] = True
        return covered

    def plain(self, chosen: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Those of the chosen that begin without a capital and are no part of a placeholder, tag, path or identifier.

        The signs beside a word tell: `%(name)s`, `<b>`, `user_name`, `a/b`, `com.sun.star`, `f(x)`. `offsets` say where
        the rows start and end in `flat`.
        """
        at = np.flatnonzero(chosen & self.common)
        row = np.searchsorted(self.offsets, at, "right") - 1
        before, behind = self.starts[at] - 1, self.starts[at] + self.sizes[at]
        flat, last = self.flat, len(self.flat) - 1
        left = np.where(before >= offsets[row], flat[np.maximum(before, 0)], _SPACE)
        right = np.where(behind < offsets[row + 1], flat[np.minimum(behind, last)], _SPACE)
        next_right = np.where(behind + 1 < offsets[row + 1], flat[np.minimum(behind + 1, last)], _SPACE)
        dotted = np.isin(right, _DOTS) & ~np.isin(next_right, _AFTER_DOTS)
        opened = (left == ord("(")) & (before > offsets[row]) & (flat[np.maximum(before - 1, 0)] == ord("%"))
        code = np.isin(left, _BEFORE) | np.isin(right, _BEHIND) | dotted | opened
        found = np.zeros(len(chosen), bool)
        found[at[~code]] = True
        return found

    def letters(self, chosen: np.ndarray) -> np.ndarray:
        """Letters and marks of the chosen ones, per row: int64 (n,)."""
        return arrays.sums(self.sizes * chosen, self.offsets)

    def _phrases(self, size: int, rows: np.ndarray) -> tuple[np.ndarray, Words]:
        """The words at which the phrases of some rows (bool) start, and the phrases."""
        counts = np.maximum(np.diff(self.offsets) - size + 1, 0) * rows
        starts = np.arange(counts.sum()) + np.repeat(self.offsets[:-1] - np.cumsum(counts) + counts, counts)
        common, letters, adjacent = self.common[starts].astype(int), self.sizes[starts], np.ones(len(starts), bool)
        for place in range(1, size):
            at = starts + place
            gap = self.starts[at - 1] + self.sizes[at - 1]
            adjacent &= (self.starts[at] == gap + 1) & (self.flat[gap] == _SPACE)
            common, letters = common + self.common[at], letters + self.sizes[at]
        starts = starts[adjacent & (common >= size - 1) & (letters >= PHRASE_LETTERS)]
        hashes, sizes = np.zeros(len(starts), np.uint64), np.zeros(len(starts), np.int32)
        for place in range(size):
            hashes = hashes * _K + self.hashes[starts + place]
            sizes += self.sizes[starts + place]
        columns = self.starts[starts], sizes, self.common[starts], np.searchsorted(starts, self.offsets)
        return starts, Words(self.flat, hashes, *columns)


@cache
def folding() -> np.ndarray:
    """The uint32 table (0x110000,) from code point to its case folding, where that is one code point."""
    table = np.arange(codepoints.LIMIT, dtype=np.uint32)
    for point in np.flatnonzero(codepoints.classes() == codepoints.LETTER).tolist():
        folded = chr(point).casefold()
        if len(folded) == 1:
            table[point] = ord(folded)
    return table
