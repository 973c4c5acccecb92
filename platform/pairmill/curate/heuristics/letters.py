"""Letters and combining marks / characters that are not white space; 1 where there are none of these.

Low for tables, number columns, code and decoration. Source: OpusFilter AlphabetRatioFilter.
"""

import numpy as np

from pairmill.curate.heuristics.side import Side, share

VERSION = 1


def score(side: Side) -> np.ndarray:
    return share(side.letters + side.marks, side.solid, empty=1)
