"""1 where only one side ends as a question, 0.5 where only one side has a mark at its end, else 0.

Quotes and brackets behind the mark are left out. Source: OpusFilter TerminalPunctuationFilter, which counts the marks;
here their kinds are compared.
"""

from __future__ import annotations

import numpy as np

from pairmill.curate.heuristics import sentence_marks
from pairmill.curate.heuristics.side import Side

VERSION = 1


def score(anchor: Side, positive: Side) -> np.ndarray:
    a, p = sentence_marks.last(anchor), sentence_marks.last(positive)
    differ = np.where((a == sentence_marks.QUESTION) != (p == sentence_marks.QUESTION), np.float32(1), np.float32(0))
    return np.where((a == 0) == (p == 0), np.where(a > 0, differ, np.float32(0)), np.float32(0.5))
