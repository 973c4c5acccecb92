"""Characters inside URLs and e-mail addresses / characters that are not white space; 0 for an empty side.

Source: bicleaner-hardrules no_only_urls.
"""

from __future__ import annotations

import numpy as np

from pairmill.curate.heuristics.side import Side, share

VERSION = 1


def score(side: Side) -> np.ndarray:
    rows, found = side.addresses
    return share(np.bincount(rows, [len(address) for address in found], len(side)), side.solid, empty=0)
