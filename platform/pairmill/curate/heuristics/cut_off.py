"""1 where exactly one side ends in an ellipsis that shows a cut, else 0.

It does where it stands in square brackets (`[...]`) or directly behind a closing quote (`text."...`), as search results
and feeds append it, or where its side is shorter than 0.6 of the other and that one has more than 30 characters, by the
weighted lengths of `length_ratio`. An ellipsis alone (`Open ...`, `If they only knew?...`) is style.
Source: web practice (teasers of news and blogs).
"""

from __future__ import annotations

import numpy as np

from pairmill.curate.heuristics import sentence_marks
from pairmill.curate.heuristics.side import Side

VERSION = 2
SHORTER = 0.6
LONG = 30


def score(anchor: Side, positive: Side) -> np.ndarray:
    (a, marked_a), (p, marked_p) = (sentence_marks.ends_in_ellipsis(side) for side in (anchor, positive))
    long_a, long_p = anchor.weight, positive.weight
    cut_a = a & (marked_a | ((long_a < SHORTER * long_p) & (long_p > LONG)))
    cut_p = p & (marked_p | ((long_p < SHORTER * long_a) & (long_a > LONG)))
    return ((a != p) & (cut_a | cut_p)).astype(np.float32)
