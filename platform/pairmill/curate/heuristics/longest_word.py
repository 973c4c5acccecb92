"""Letters and marks of the longest word (as in `word_length`); 0 where there is none.

High for glued text, base64 and the like. Source: OpusFilter LongWordFilter.
"""

import numpy as np

from pairmill.curate.heuristics import kernels
from pairmill.curate.heuristics.side import Side

VERSION = 1


def score(side: Side) -> np.ndarray:
    return side.counts[:, kernels.LONGEST].astype(np.float32)
