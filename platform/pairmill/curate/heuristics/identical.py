"""1 where both sides are the same but for case, punctuation, symbols and white space, else 0.

Compared are letters, marks and numbers, case-folded one code point at a time. A text that has none of these (`...`)
is compared whole. Source: bicleaner-hardrules no_identical; CCAligned drops such pairs as untranslated copies.
"""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from pairmill.curate import codepoints
from pairmill.curate.heuristics.side import Side
from pairmill.curate.heuristics.words import folding

VERSION = 1


def score(anchor: Side, positive: Side) -> np.ndarray:
    keep_a, keep_p = _kept(anchor), _kept(positive)
    count_a, count_p = anchor.sums(keep_a), positive.sums(keep_p)
    same = np.array(pc.equal(anchor.texts, positive.texts))
    candidates = (count_a == count_p) & (count_a > 0) & ~same
    if candidates.any():
        fold = folding()
        chars_a = fold[anchor.flat[keep_a & np.repeat(candidates, anchor.lengths)]]
        chars_p = fold[positive.flat[keep_p & np.repeat(candidates, positive.lengths)]]
        counts = count_a[candidates]
        differences = np.add.reduceat(chars_a != chars_p, np.cumsum(counts) - counts, dtype=np.int64)
        same[candidates] = differences == 0
    return same.astype(np.float32)


def _kept(side: Side) -> np.ndarray:
    return (side.classes >= codepoints.LETTER) & (side.classes <= codepoints.OTHER_NUMBER)
