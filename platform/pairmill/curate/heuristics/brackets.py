"""|a - p| / (max(a, p) + 2), where a and p are the sides' brackets of any kind, opening and closing.

High where one side has brackets (lists of references, code, explanations) that the other lacks.
Source: bicleaner-hardrules practice; a pair's punctuation in the features of Bicleaner.
"""

from __future__ import annotations

import numpy as np

from pairmill.curate.heuristics.side import Side

VERSION = 1
_BRACKETS = np.array([ord(c) for c in "()[]{}（）［］｛｝【】〔〕"], np.uint32)


def score(anchor: Side, positive: Side) -> np.ndarray:
    a, p = (side.count_signs(np.isin(side.sign_points, _BRACKETS)) for side in (anchor, positive))
    return (np.abs(a - p) / (np.maximum(a, p) + 2)).astype(np.float32)
