"""What an engine is, and the part all engines share: what they are asked about, and what becomes of their answers.

1. `ask` picks the texts worth asking about (see `noise`), of long ones excerpts, NUL replaced by a space (C libraries
   stop there).
2. The engine answers for these: the number of a label and a raw score, whose meaning is its own.
3. `answers` makes the score a probability (see `calibration`), refuses a language that the text is not written in the
   script of, and spreads the answers over all texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate.language import kernels, noise
from pairmill.curate.language.codes import scripts
from pairmill.errors import PairmillError
from pairmill.pairs.strings import byte_offsets

#: Characters of a text that engines see, and in how many places of a longer one: a page's start may be a menu or in
#: English. Of translated pages the cascade knows 99.1 % so, 98.4 % by their first 500 characters, 98.8 by 1,000.
CUT, PARTS = 500, 4
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
    composed: np.ndarray  # bool (m,): texts that are in NFC for certain
    decisive: np.ndarray  # bool (m,): texts with a letter that is in `letters.DECISIVE`

    @cached_property
    def lines(self) -> list[str]:
        return self.column.to_pylist()

    def start(self, characters: int) -> Asked:
        """The first characters of the texts; letters, sizes and scripts stay those of the whole texts."""
        return replace(self, column=pc.utf8_slice_codeunits(self.column, 0, characters))

    def take(self, rows: np.ndarray) -> Asked:
        """Some of them, as if only these had been asked about."""
        column = self.column.take(pa.array(rows))
        return Asked(len(rows), np.arange(len(rows)), column, *(each[rows] for each in self._counts))

    @property
    def _counts(self) -> tuple[np.ndarray, ...]:
        return self.letters, self.sizes, self.scripts, self.composed, self.decisive


def ask(texts: pa.Array) -> Asked:
    """The texts (string or large_string, nulls allowed) that are worth asking about."""
    from pairmill.curate.heuristics.scripts import weights

    column = excerpts(pc.fill_null(texts, ""))
    counts, scripts = noise.tally(column)
    letters, sizes = counts[:, kernels.LETTERS], scripts @ weights().astype(np.float64)
    rows = np.flatnonzero((letters > 0) & ~noise.noise(counts, sizes))
    if len(rows) < len(column):
        column = column.take(pa.array(rows))
    composed, decisive = counts[:, kernels.COMBINING] == 0, counts[:, kernels.DECISIVE] > 0
    return Asked(len(texts), rows, column, letters[rows], sizes[rows], scripts[rows], composed[rows], decisive[rows])


def excerpts(column: pa.Array) -> pa.LargeStringArray:
    """What engines see of each text (string or large_string without nulls): at most CUT characters; NUL as a space.

    A longer text is seen in PARTS places, which begin at equal distances in its bytes, behind white space where some
    is near; between them comes a space.
    """
    data, offsets = byte_offsets(column)
    room = np.minimum(np.diff(offsets), 4 * CUT + PARTS).sum()
    out, ends = np.empty(room, np.uint8), np.empty(len(offsets), np.int64)
    kernels.excerpt()(np.frombuffer(data, np.uint8), offsets, CUT, PARTS, out, ends)
    return pa.LargeStringArray.from_buffers(len(column), pa.py_buffer(ends), pa.py_buffer(out))


def model_file(engine: str, package: str, file: str, install: str, instead: str) -> Path:
    """The model that a package brings, found without importing it; else an error says what to do."""
    spec = find_spec(package)
    path = Path(spec.submodule_search_locations[0], file) if spec and spec.submodule_search_locations else None
    if path is None or not path.is_file():
        raise PairmillError(
            f"language engine {engine}: its model was not found ({path or f'package {package} is not installed'}). Run "
            f"`pip install {install}`, or choose `language: {{engine: {instead}}}`."
        )
    return path


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
