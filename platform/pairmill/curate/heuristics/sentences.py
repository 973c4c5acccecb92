"""(more + 2) / (fewer + 2) sentences of the two sides; 1 where a side has no mark that ends one, or needs none.

Sentences are counted by the marks that end them (`sentence_marks.py`). High where one side runs on with other text.
Thai and Lao end sentences with a space, Tibetan ends clauses like sentences, and some texts have no marks at all.
Source: Bicleaner's features; Gale and Church (1993) align sentences one to one or two.
"""

from __future__ import annotations

import numpy as np

from pairmill.curate.heuristics import sentence_marks
from pairmill.curate.heuristics.scripts import NUMBER
from pairmill.curate.heuristics.side import Side

VERSION = 1
SMOOTHING = 2
_WITHOUT = [NUMBER[name] for name in ("Thai", "Laoo", "Tibt")]


def score(anchor: Side, positive: Side) -> np.ndarray:
    a, p = (sentence_marks.count(side) + SMOOTHING for side in (anchor, positive))
    comparable = (np.minimum(a, p) > SMOOTHING) & ~_without(anchor) & ~_without(positive)
    return np.where(comparable, np.maximum(a, p) / np.minimum(a, p), 1).astype(np.float32)


def _without(side: Side) -> np.ndarray:
    return 2 * side.scripts[:, _WITHOUT].sum(1) > side.letters
