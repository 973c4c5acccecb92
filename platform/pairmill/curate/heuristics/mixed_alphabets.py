"""Words with letters of several of the alphabets Latin, Greek, Cyrillic, Armenian / words; 0 where there is none.

Look-alike letters of the wrong alphabet (`Моsсоw`) come from character recognition, keyboards and spam. A hyphen ends a
word, so `USB-кабель` is fine. Source: Unicode UTS 39, mixed-script detection.
"""

import numpy as np

from pairmill.curate.heuristics import kernels
from pairmill.curate.heuristics.side import Side, share

VERSION = 1


def score(side: Side) -> np.ndarray:
    return share(side.counts[:, kernels.MIXED], side.counts[:, kernels.RUNS], empty=0)
