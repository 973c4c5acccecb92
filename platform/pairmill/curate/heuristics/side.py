"""One side of a batch of pairs, with the arrays that the rules share.

A batch of a few hundred rows is decoded once into flat code points; every rule then works on whole-batch arrays and
sums them per row with `sums`. Row-wise Python sees only the rows that `strings` is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from pairmill.curate import arrays, codepoints
from pairmill.curate.heuristics.scripts import script_of


@dataclass(frozen=True)
class Side:
    """The n texts of one side (no nulls) and their final languages (BCP-47, null where unknown)."""

    texts: pa.LargeStringArray
    langs: pa.Array

    @cached_property
    def _decoded(self) -> tuple[np.ndarray, np.ndarray]:
        return codepoints.decode(self.texts)

    @property
    def flat(self) -> np.ndarray:
        """All code points, joined: uint32 (characters,)."""
        return self._decoded[0]

    @property
    def offsets(self) -> np.ndarray:
        """Where rows start and end in `flat`: int64 (n + 1,)."""
        return self._decoded[1]

    @cached_property
    def classes(self) -> np.ndarray:
        """Class of each code point: uint8 (characters,)."""
        return codepoints.classes()[self.flat]

    @cached_property
    def lengths(self) -> np.ndarray:
        """Characters per row: int64 (n,)."""
        return np.diff(self.offsets)

    @cached_property
    def letters(self) -> np.ndarray:
        """Which code points are letters: bool (characters,)."""
        return self.classes == codepoints.LETTER

    @cached_property
    def marks(self) -> np.ndarray:
        """Which code points are combining marks: bool (characters,)."""
        return self.classes == codepoints.MARK

    @cached_property
    def scripts(self) -> np.ndarray:
        """Script number of each code point (`scripts.NUMBER`; 0: none, or shared): uint8 (characters,)."""
        return script_of()[self.flat]

    @cached_property
    def solid(self) -> np.ndarray:
        """Characters per row that are not white space: int64 (n,)."""
        return self.lengths - self.sums(self.spaces)

    @cached_property
    def spaces(self) -> np.ndarray:
        """Which code points are white space: bool (characters,)."""
        return self.classes == codepoints.SPACE

    @cached_property
    def words(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Stretches without white space: where they start and end in `flat`, and the rows' offsets in them (n + 1)."""
        return arrays.stretches(~self.spaces, self.offsets)

    def find(self, needle: str) -> np.ndarray:
        """Where `needle` starts in `flat`, inside one row: int64."""
        at = np.flatnonzero(self.flat == ord(needle[0]))
        for step, character in enumerate(needle[1:], start=1):
            at = at[at + step < len(self.flat)]
            at = at[self.flat[at + step] == ord(character)]
        return at if len(needle) == 1 else at[self.row(at) == self.row(at + len(needle) - 1)]

    def row(self, at: np.ndarray) -> np.ndarray:
        """The rows of positions in `flat`."""
        return np.searchsorted(self.offsets, at, "right") - 1

    def holding(self, *needles: str) -> np.ndarray:
        """Rows that hold one of the strings: bool (n,)."""
        found = np.zeros(len(self), bool)
        for needle in needles:
            found[self.row(self.find(needle))] = True
        return found

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum an array (characters,) over each row: int64 or float64 (n,)."""
        return arrays.sums(values, self.offsets)

    def strings(self, selected: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """Row numbers and texts of the rows where `selected` (n,) is true."""
        rows = np.flatnonzero(selected)
        return rows, self.texts.take(pa.array(rows)).to_pylist() if len(rows) else []

    def __len__(self) -> int:
        return len(self.texts)


def share(part: np.ndarray, whole: np.ndarray, empty: float) -> np.ndarray:
    """`part / whole` per row as float32, and `empty` where `whole` is 0."""
    return np.where(whole > 0, part / np.maximum(whole, 1), empty).astype(np.float32)
