"""Difference of the sides' shares of capitals among letters with case.

Near 1 where one side is all capitals: a heading beside running text. 0 where a side has fewer than 8 letters with
case, or mostly letters without. Source: bicleaner-hardrules practice.
"""

import numpy as np

from pairmill.curate.heuristics import kernels
from pairmill.curate.heuristics.side import Side, share

VERSION = 1
ENOUGH = 8


def score(anchor: Side, positive: Side) -> np.ndarray:
    cased = [side.kinds[:, kernels.UPPER] + side.kinds[:, kernels.LOWER] for side in (anchor, positive)]
    a, p = (share(side.kinds[:, kernels.UPPER], n, 0) for side, n in zip((anchor, positive), cased, strict=True))
    comparable = np.minimum(*cased) >= ENOUGH
    for side, n in zip((anchor, positive), cased, strict=True):
        comparable &= 2 * n > side.letters
    return np.where(comparable, np.abs(a - p), np.float32(0))
