"""What an engine is, and the part all engines share: what they are asked about, and what becomes of their answers.

1. `ask` picks the texts worth asking about (see `noise`), cut at CUT characters, NUL replaced by a space (C libraries
   stop there).
2. The engine answers for these: the number of a label and a raw score, whose meaning is its own.
3. `answers` makes the score a probability (see `calibration`), refuses a language that the text is not written in the
   script of, and spreads the answers over all texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate import arrays, codepoints
from pairmill.curate.language import noise
from pairmill.curate.language.codes import scripts

#: Characters of a text that engines see: lid.176 on whole pages is half as fast and no better (99.3 against 99.2 %).
CUT = 1000
#: A language is refused where a smaller share of the text's letters is in a script that it is written in, each letter
#: counted as the English letters it stands for (a Chinese page may be full of English names).
MIN_SCRIPT_SHARE = 0.3
UNKNOWN = -1
_ANY = (1 << 64) - 1


class Engine(Protocol):
    """A language identifier."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int:
        """Raised when the same text may get another answer."""

    @property
    def checksum(self) -> str:
        """SHA-256 of the model file, or the library's version."""

    @property
    def labels(self) -> frozenset[str]:
        """The BCP-47 codes it can answer."""

    def identify(self, texts: pa.Array) -> tuple[pa.Array, np.ndarray]:
        """Return the language of each text (string, null where unknown) and the confidence (float32, 0 to 1).

        The confidence is the probability that the language is right, as measured on real text of that length
        (`calibration`). Null texts, texts without a letter and noise are unknown, with confidence 0.
        """


@dataclass(frozen=True)
class Asked:
    """The m of n texts that an engine is asked about."""

    n: int
    rows: np.ndarray  # int64 (m,): where they stand among the n
    column: pa.LargeStringArray  # the m texts
    letters: np.ndarray  # int64 (m,): letters
    sizes: np.ndarray  # float64 (m,): letters, each counted as the English letters it stands for
    scripts: np.ndarray  # int64 (m, scripts): letters by script number

    @cached_property
    def lines(self) -> list[str]:
        return self.column.to_pylist()

    def start(self, characters: int) -> Asked:
        """The first characters of the texts; letters, sizes and scripts stay those of the whole texts."""
        return replace(self, column=pc.utf8_slice_codeunits(self.column, 0, characters))

    def take(self, rows: np.ndarray) -> Asked:
        """Some of them, as if only these had been asked about."""
        column = self.column.take(pa.array(rows))
        return Asked(len(rows), np.arange(len(rows)), column, self.letters[rows], self.sizes[rows], self.scripts[rows])


def ask(texts: pa.Array) -> Asked:
    """The texts (string or large_string, nulls allowed) that are worth asking about."""
    from pairmill.curate.heuristics.scripts import script_of, weights

    column = pc.utf8_slice_codeunits(pc.fill_null(texts, "").cast(pa.large_string()), 0, CUT)
    if b"\0" in bytes(codepoints.byte_offsets(column)[0]):
        column = pc.replace_substring(column, "\0", " ")
    flat, offsets = codepoints.decode(column)
    is_letter = codepoints.classes()[flat] == codepoints.LETTER
    kinds, held = arrays.compress(script_of()[flat], offsets, is_letter)
    letters, width = np.diff(held), len(weights())
    where = np.repeat(np.arange(len(column)), letters)
    counts = np.bincount(where * width + kinds, minlength=len(column) * width).reshape(len(column), width)
    sizes = counts @ weights().astype(np.float64)
    rows = np.flatnonzero((letters > 0) & ~noise.noise(column, flat, offsets, letters, sizes))
    return Asked(len(texts), rows, column.take(pa.array(rows)), letters[rows], sizes[rows], counts[rows])


def answers(
    asked: Asked, labels: Sequence[str], found: np.ndarray, confidence: np.ndarray
) -> tuple[pa.Array, np.ndarray]:
    """Spread the answers over all n texts.

    `found` (m,): numbers of labels, UNKNOWN where there is none; `confidence` (m,): probability that they are right.
    """
    known = found != UNKNOWN
    known &= _script_share(asked, tuple(labels), found) >= MIN_SCRIPT_SHARE
    numbers = np.full(asked.n, UNKNOWN, np.int32)
    numbers[asked.rows[known]] = found[known]
    spread = np.zeros(asked.n, np.float32)
    spread[asked.rows[known]] = np.clip(confidence[known], 0, 1)
    languages = pa.array(list(labels), pa.string()).take(pa.array(numbers, mask=numbers == UNKNOWN))
    return languages, spread


def _script_share(asked: Asked, labels: tuple[str, ...], found: np.ndarray) -> np.ndarray:
    """Share of each text's letters that are in a script its language is written in."""
    right = (asked.scripts * _agrees(labels)[found]).sum(axis=1)
    return right / asked.sizes


@cache
def _agrees(labels: tuple[str, ...]) -> np.ndarray:
    """float64 (labels + 1, scripts): the weights of the scripts a language is written in; the last row is UNKNOWN's."""
    from pairmill.curate.heuristics.scripts import mask, weights

    masks = np.array([mask(names) if (names := scripts(code)) else _ANY for code in labels] + [_ANY], np.uint64)
    return (masks[:, None] >> np.arange(len(weights()), dtype=np.uint64) & np.uint64(1)) * weights().astype(np.float64)
