"""Letters in phrases of three words or more that the other side has too / letters, for the side where that is more.

Words are those of `shared_words`. A phrase has nothing but a space between its words, nine letters, and at most one
word with a capital. 12 letters are added to each side's. Related languages share words, but few phrases, so this finds
sentences that were left untranslated within a text. Source: as `shared_words`.
"""

from __future__ import annotations

import numpy as np

from pairmill.curate.heuristics.shared_words import SMOOTHING
from pairmill.curate.heuristics.side import Side

VERSION = 1
PHRASE = 3


def score(anchor: Side, positive: Side) -> np.ndarray:
    return np.maximum(_share(anchor, positive), _share(positive, anchor))


def _share(side: Side, other: Side) -> np.ndarray:
    shared = side.hashed.in_phrases_shared_with(other.hashed, PHRASE)
    return (side.hashed.letters(shared) / (side.letters + side.marks + SMOOTHING)).astype(np.float32)
