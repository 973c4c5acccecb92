"""(2 x URLs and e-mail addresses in common + pairs that differ) / those of both sides, as multisets; 1 without any.

So an address that faces another one counts half: translators put examples and sites of their own language in its place.
Compared without their scheme, `www.`, and the punctuation or slash they end in; what is empty then (`file://.`) is
none.
Source: bicleaner-hardrules no_urls, as an agreement.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import numpy as np

from pairmill.curate.heuristics.side import Side

VERSION = 2
_PREFIX = re.compile(r"^(?:[a-z][a-z0-9+.-]*://)?(?:www\.)?", re.IGNORECASE)
_BEHIND = ".,;:!?)]}/`…"


def score(anchor: Side, positive: Side) -> np.ndarray:
    agreement = np.ones(len(anchor), np.float32)
    left, right = _by_row(anchor), _by_row(positive)
    for row in left.keys() | right.keys():
        a, p = left[row], right[row]
        common, fewer = (a & p).total(), min(a.total(), p.total())
        agreement[row] = (common + fewer) / (a.total() + p.total())
    return agreement


def _by_row(side: Side) -> defaultdict[int, Counter[str]]:
    rows: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for row, address in zip(side.addresses[0].tolist(), side.addresses[1], strict=True):
        if bare := _PREFIX.sub("", address).rstrip(_BEHIND).lower():
            rows[row][bare] += 1
    return rows
