"""1 where both sides are the same but for case, punctuation, symbols and white space, else 0.

Compared are letters, marks and numbers, case-folded one code point at a time. A text that has none of these (`...`)
is compared whole. Source: bicleaner-hardrules no_identical; CCAligned drops such pairs as untranslated copies.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate import codepoints
from pairmill.curate.heuristics.side import Side
from pairmill.curate.heuristics.words import folding

VERSION = 1


def score(anchor: Side, positive: Side) -> np.ndarray:
    count_a, count_p = _kept_count(anchor), _kept_count(positive)
    same = np.array(pc.equal(anchor.texts, positive.texts))
    candidates = np.flatnonzero((count_a == count_p) & (count_a > 0) & ~same)
    if len(candidates):
        counts = count_a[candidates]
        differences = _folded(anchor, candidates) != _folded(positive, candidates)
        same[candidates] = np.add.reduceat(differences, np.cumsum(counts) - counts, dtype=np.int64) == 0
    return same.astype(np.float32)


def _kept_count(side: Side) -> np.ndarray:
    others = side.kinds[:, codepoints.DIGIT] + side.kinds[:, codepoints.OTHER_NUMBER]
    return side.letters + side.marks + others


def _folded(side: Side, rows: np.ndarray) -> np.ndarray:
    """The letters, marks and numbers of some rows, joined and case-folded."""
    flat, _ = codepoints.decode(side.texts.take(pa.array(rows)))
    classes = codepoints.classes()[flat]
    return folding()[flat[(classes >= codepoints.LETTER) & (classes <= codepoints.OTHER_NUMBER)]]
