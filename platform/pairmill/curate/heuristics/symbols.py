"""Symbols (mathematical, currency, arrows, pictures, emoji) / (characters that are not white space + 5).

`<` and `>` are none: they enclose tags and words (`<选项>`). Source: bicleaner-hardrules no_only_symbols.
"""

import numpy as np

from pairmill.curate import codepoints
from pairmill.curate.heuristics.side import Side, share

VERSION = 2
SMOOTHING = 5  # `11월`, `5 €`
_BRACKETS = np.array([ord("<"), ord(">")], np.uint32)


def score(side: Side) -> np.ndarray:
    symbols = side.kinds[:, codepoints.SYMBOL] - side.count_signs(np.isin(side.sign_points, _BRACKETS))
    return share(symbols, side.solid + SMOOTHING, empty=0)
