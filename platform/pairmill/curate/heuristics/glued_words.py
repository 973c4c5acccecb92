"""Words that are glued together / (words + 2).

Such a word has an upper-case letter behind a lower-case one (`moreShare`), with or without a mark such as `.` between
(`end.Next`). Names like LibreOffice count too, so the bound lets some pass, and a single one is none (`kB`). Five
weighted characters (`length_ratio`) are taken for a word, because Chinese or Japanese text has no spaces. Source:
bicleaner-hardrules no_glued_words.
"""

import numpy as np

from pairmill.curate.heuristics import kernels
from pairmill.curate.heuristics.side import Side

VERSION = 2
WORD = 5


def score(side: Side) -> np.ndarray:
    glued = side.counts[:, kernels.GLUED]
    return np.where(glued > 1, glued / (side.weight / WORD + 2), 0).astype(np.float32)
