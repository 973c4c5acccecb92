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
    best = np.zeros(len(side), np.int64)
    kernels.repeated()(side.flat, side.offsets, CHARACTERS, best)
    kernels.repeated_words()(side.flat, side.offsets, *side.tokens, WORDS, best)
    return share(best, side.lengths, empty=0)
