"""Characters (code points) of the side, white space included. Source: OpusFilter LengthFilter."""

import numpy as np

from pairmill.curate.heuristics.side import Side

VERSION = 1


def score(side: Side) -> np.ndarray:
    return side.lengths.astype(np.float32)
