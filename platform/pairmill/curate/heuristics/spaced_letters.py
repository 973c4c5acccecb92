"""Words of one letter that stand in rows of three or more (`s p a c e d`) / words; 0 where there is none.

It applies to text that is mostly in an alphabet with capitals and small letters. Elsewhere one letter may be a word
(Korean `맨 위 행`) or a letter that is named (Arabic `ا ل م`). Source: bicleaner-hardrules no_space_noise.
"""

import numpy as np

from pairmill.curate import codepoints
from pairmill.curate.heuristics import kernels
from pairmill.curate.heuristics.side import Side, share

VERSION = 2


def score(side: Side) -> np.ndarray:
    cased = side.kinds[:, kernels.LOWER] + side.kinds[:, kernels.UPPER] > side.kinds[:, codepoints.LETTER]
    return share(side.counts[:, kernels.SINGLE] * cased, side.counts[:, kernels.WORDS], empty=0)
