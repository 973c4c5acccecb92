"""Characters that only repeat what stands just before them / characters; 0 for an empty side.

A stretch repeats with period p if each of its items equals the one p before. Counted are stretches of at least two
periods (three occurrences in all: `ha ha ha`), by characters with p = 1 to 8 and by words with p = 1 to 6; the score is
the larger of the two shares, taking for each the best period. Natural doubling (`ll`, `that that`) never counts.
Source: OpusFilter RepetitionFilter; duplicate n-grams of Gopher (2112.11446, A1).
"""

from __future__ import annotations

import numpy as np

from pairmill.curate.heuristics import kernels
from pairmill.curate.heuristics.side import Side, share

VERSION = 1
CHARACTERS = 8
WORDS = 6


def score(side: Side) -> np.ndarray:
    characters = _repeated(side.flat, side.offsets, np.arange(len(side.flat) + 1), CHARACTERS)
    hashes, ends, offsets = side.tokens
    return share(np.maximum(characters, _repeated(hashes, offsets, ends, WORDS)), side.lengths, empty=0)


def _repeated(items: np.ndarray, offsets: np.ndarray, ends: np.ndarray, periods: int) -> np.ndarray:
    """The characters of repeating items per row, for the best period: int64 (n,)."""
    best = np.zeros(len(offsets) - 1, np.int64)
    kernels.repeated()(items, offsets, ends, periods, best)
    return best
