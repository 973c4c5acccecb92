"""Punctuation / (characters that are not white space + 5).

High for decoration, tables of contents and code. Source: bicleaner-hardrules no_only_symbols.
"""

import numpy as np

from pairmill.curate import codepoints
from pairmill.curate.heuristics.side import Side, share

VERSION = 1
SMOOTHING = 5  # `11월`, `5 €`


def score(side: Side) -> np.ndarray:
    return share(side.kinds[:, codepoints.PUNCTUATION], side.solid + SMOOTHING, empty=0)
