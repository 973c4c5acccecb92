"""Letters of words that the other side has too / letters, for the side where that is more.

High for untranslated and half-translated text. A word is a run of letters and marks in one script, case-folded. Words
of one letter, words that begin with a capital (names) and parts of placeholders, tags, paths and identifiers are never
shared. 12 letters are added to each side's, so that one word of a short pair does not count as a copy. Source:
CCAligned (1911.06154) drops pairs whose sides overlap.
"""

from __future__ import annotations

import numpy as np

from pairmill.curate.heuristics.side import Side

VERSION = 1
SMOOTHING = 12


def score(anchor: Side, positive: Side) -> np.ndarray:
    return np.maximum(_share(anchor, positive), _share(positive, anchor))


def _share(side: Side, other: Side) -> np.ndarray:
    shared = side.hashed.shared_with(other.hashed) & (side.hashed.sizes > 1)
    shared = side.hashed.plain(shared, side.offsets)
    return (side.hashed.letters(shared) / (side.letters + side.marks + SMOOTHING)).astype(np.float32)
