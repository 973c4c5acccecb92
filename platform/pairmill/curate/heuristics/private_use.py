"""Characters that Unicode leaves unassigned or to private agreement. They mean what one font makes of them.

Source: OpusCleaner and Bitextor remove or reject such text.
"""

import numpy as np

from pairmill.curate import codepoints
from pairmill.curate.heuristics.side import Side

VERSION = 1


def score(side: Side) -> np.ndarray:
    return side.kinds[:, codepoints.OTHER].astype(np.float32)
