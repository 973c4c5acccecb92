"""Words of one letter that stand in rows of three or more (`s p a c e d`) / words; 0 where there is none.

Source: bicleaner-hardrules no_space_noise.
"""

import numpy as np

from pairmill.curate.heuristics import kernels
from pairmill.curate.heuristics.side import Side, share

VERSION = 1


def score(side: Side) -> np.ndarray:
    return share(side.counts[:, kernels.SINGLE], side.counts[:, kernels.WORDS], empty=0)
