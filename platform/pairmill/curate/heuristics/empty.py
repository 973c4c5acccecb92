"""Characters that are not white space (Unicode Z*, and the white-space controls); an empty side has none.

Source: OPUS-MT and CCAligned practice.
"""

import numpy as np

from pairmill.curate.heuristics.side import Side

VERSION = 1


def score(side: Side) -> np.ndarray:
    return side.solid.astype(np.float32)
