"""Letters and marks per word, of at least three words: a long word alone is no sign.

A word is a run of letters and marks in a script that puts spaces between words; others (Chinese, Japanese, Thai, Khmer)
have no words here. High where spaces are missing. Source: OpusFilter AverageWordLengthFilter; Gopher (2112.11446), A1.
"""

import numpy as np

from pairmill.curate.heuristics import kernels
from pairmill.curate.heuristics.side import Side

VERSION = 1
FEWEST = 3


def score(side: Side) -> np.ndarray:
    return (side.counts[:, kernels.LETTERS] / np.maximum(side.counts[:, kernels.RUNS], FEWEST)).astype(np.float32)
