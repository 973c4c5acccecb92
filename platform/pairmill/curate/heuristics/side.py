"""One side of a batch of pairs, with the arrays that the rules share.

A batch of a few hundred rows is decoded once into flat code points; every rule then works on whole-batch arrays and
sums them per row with `sums`. Row-wise Python sees only the rows that `strings` is asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from pairmill.curate import arrays, codepoints
from pairmill.curate.heuristics import kernels, sentence_marks, web_addresses, words
from pairmill.curate.heuristics.scripts import plain, properties, weights
from pairmill.pairs.strings import byte_offsets

if TYPE_CHECKING:
    from pairmill.curate.heuristics.documents.document import Document


@dataclass(frozen=True)
class Side:
    """The n texts of one side (no nulls) and their final languages (BCP-47, null where unknown)."""

    texts: pa.LargeStringArray
    langs: pa.Array

    @cached_property
    def encoded(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows' UTF-8, joined (uint8), and where they start and end in it: int64 (n + 1,)."""
        data, bounds = byte_offsets(self.texts)
        return np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]], bounds - bounds[0]

    @cached_property
    def _characters(self) -> _Characters:
        data, bounds = self.encoded
        n, most = len(self), len(data)
        made = _Characters(
            flat=np.empty(most, np.uint32),
            offsets=np.empty(n + 1, np.int64),
            kinds=np.zeros((n, kernels.KINDS), np.int32),
            scripts=np.zeros((n, 64), np.int32),
            edges=np.empty(most + n + 1, np.int64),
            token_offsets=np.empty(n + 1, np.int64),
        )
        kernels.characters()(data, bounds, properties(), plain(), *made)
        return made._replace(flat=made.flat[: made.offsets[-1]])

    @property
    def flat(self) -> np.ndarray:
        """All code points, joined: uint32 (characters,)."""
        return self._characters.flat

    @property
    def offsets(self) -> np.ndarray:
        """Where rows start and end in `flat`: int64 (n + 1,)."""
        return self._characters.offsets

    @cached_property
    def classes(self) -> np.ndarray:
        """Class of each code point: uint8 (characters,)."""
        return codepoints.classes()[self.flat]

    @cached_property
    def lengths(self) -> np.ndarray:
        """Characters per row: int64 (n,)."""
        return np.diff(self.offsets)

    @property
    def kinds(self) -> np.ndarray:
        """Characters per row of each class of `codepoints`, LOWER and UPPER: int32 (n, kernels.KINDS)."""
        return self._characters.kinds

    @property
    def scripts(self) -> np.ndarray:
        """Letters per row of each script (`scripts.NUMBER`; 0: none, or shared): int32 (n, 64)."""
        return self._characters.scripts

    @property
    def tokens(self) -> tuple[np.ndarray, np.ndarray]:
        """Stretches without white space: where in `flat` each starts and ends, alternately, and the rows' offsets."""
        return self._characters.edges, self._characters.token_offsets

    @cached_property
    def _words(self) -> tuple[np.ndarray, words.Words]:
        counts = np.zeros((len(self), kernels.COUNTS), np.int32)
        found = [np.empty(len(self.flat), kind) for kind in (np.uint64, np.int64, np.int32, bool)]
        offsets = np.empty(len(self) + 1, np.int64)
        read = (self.flat, self.offsets, *self.tokens, properties(), words.folding())
        kernels.words()(*read, counts, *found, offsets)
        hashes, starts, sizes, common = (values[: offsets[-1]].copy() for values in found)
        return counts, words.Words(self.flat, hashes, starts, sizes, common, offsets)

    @property
    def counts(self) -> np.ndarray:
        """What `kernels.words` counts, per row: int32 (n, kernels.COUNTS)."""
        return self._words[0]

    @property
    def hashed(self) -> words.Words:
        """The runs of letters and marks in one script, as hashes."""
        return self._words[1]

    @cached_property
    def letters(self) -> np.ndarray:
        """Letters per row: int32 (n,)."""
        return self.kinds[:, [codepoints.LETTER, kernels.LOWER, kernels.UPPER]].sum(1, dtype=np.int32)

    @cached_property
    def marks(self) -> np.ndarray:
        """Combining marks per row: int32 (n,)."""
        return self.kinds[:, codepoints.MARK]

    @cached_property
    def solid(self) -> np.ndarray:
        """Characters per row that are not white space: int64 (n,)."""
        return self.lengths - self.kinds[:, codepoints.SPACE]

    @cached_property
    def signs(self) -> np.ndarray:
        """Where in `flat` punctuation, symbols, and unassigned or private characters stand: int64."""
        return np.flatnonzero((self.classes >= codepoints.PUNCTUATION) | (self.classes == codepoints.OTHER))

    @cached_property
    def sign_points(self) -> np.ndarray:
        """The code points at `signs`: uint32."""
        return self.flat[self.signs]

    @cached_property
    def sign_rows(self) -> np.ndarray:
        """The rows of `signs`: int64."""
        return np.repeat(np.arange(len(self)), np.diff(np.searchsorted(self.signs, self.offsets)))

    def count_signs(self, chosen: np.ndarray) -> np.ndarray:
        """How many of the `signs` are chosen (bool), per row: int64 (n,)."""
        return np.bincount(self.sign_rows[chosen], minlength=len(self))

    def beside(self, chosen: np.ndarray, distance: int) -> np.ndarray:
        """The classes at a distance from some of the `signs` (their numbers), white space outside of the row: uint8."""
        rows, near = self.sign_rows[chosen], self.signs[chosen] + distance
        inside = (near >= self.offsets[rows]) & (near < self.offsets[rows + 1])
        return np.where(inside, self.classes[np.where(inside, near, 0)], codepoints.SPACE)

    @cached_property
    def spaces(self) -> np.ndarray:
        """Which code points are white space: bool (characters,)."""
        return self.classes == codepoints.SPACE

    @cached_property
    def weight(self) -> np.ndarray:
        """The length in English characters, white space and marks left out: float64 (n,)."""
        used = np.flatnonzero(self.scripts.any(0))
        return self.solid - self.marks + self.scripts[:, used] @ (weights()[used] - 1)

    @cached_property
    def terminals(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which of the `signs` (their numbers) end sentences, their kinds (`sentence_marks`), and their rows."""
        kinds = sentence_marks.marks()[self.sign_points]
        at = np.flatnonzero(kinds)
        return at, kinds[at], self.sign_rows[at]

    @cached_property
    def addresses(self) -> tuple[np.ndarray, list[str]]:
        """URLs and e-mail addresses: their rows (int64), in order, and they."""
        return web_addresses.find(self)

    @cached_property
    def document(self) -> Document:
        """What the rules on documents count."""
        from pairmill.curate.heuristics.documents.document import Document

        return Document(self)

    def find(self, needle: str) -> np.ndarray:
        """Where `needle`, which must begin with punctuation or a symbol, starts in `flat`, inside one row: int64."""
        at = self.signs[self.sign_points == ord(needle[0])]
        for step, character in enumerate(needle[1:], start=1):
            at = at[at + step < len(self.flat)]
            at = at[self.flat[at + step] == ord(character)]
        return at if len(needle) == 1 else at[self.row(at) == self.row(at + len(needle) - 1)]

    def row(self, at: np.ndarray) -> np.ndarray:
        """The rows of positions in `flat`."""
        return np.searchsorted(self.offsets, at, "right") - 1

    @cached_property
    def utf8(self) -> tuple[bytes, list[int]]:
        """The rows' UTF-8, joined, and where they start in it and end (n + 1)."""
        data, bounds = self.encoded
        return data.tobytes(), bounds.tolist()

    def holding(self, *needles: str) -> np.ndarray:
        """Rows that hold one of the strings: bool (n,)."""
        found = np.zeros(len(self), bool)
        data, bounds = self.utf8
        for needle in map(str.encode, needles):
            at = data.find(needle)
            while at >= 0:
                row = bisect_right(bounds, at) - 1
                inside = at + len(needle) <= bounds[row + 1]
                found[row] |= inside
                at = data.find(needle, bounds[row + 1] if inside else at + 1)
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


class _Characters(NamedTuple):
    """What `kernels.characters` writes, in its order."""

    flat: np.ndarray
    offsets: np.ndarray
    kinds: np.ndarray
    scripts: np.ndarray
    edges: np.ndarray
    token_offsets: np.ndarray


def share(part: np.ndarray, whole: np.ndarray, empty: float) -> np.ndarray:
    """`part / whole` per row as float32, and `empty` where `whole` is 0."""
    return np.where(whole > 0, part / np.maximum(whole, 1), empty).astype(np.float32)
