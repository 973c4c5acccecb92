"""Words of the side: stretches without white space.

Source: OpusFilter LengthFilter; bicleaner-hardrules no_too_long.
"""

import numpy as np

from pairmill.curate.heuristics import kernels
from pairmill.curate.heuristics.side import Side

VERSION = 1


def score(side: Side) -> np.ndarray:
    return side.counts[:, kernels.WORDS].astype(np.float32)
