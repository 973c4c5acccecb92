"""How unlikely the difference of the sides' lengths is: |a - p| / sqrt(m + (0.35 m)^2 + 4), m = (a + p) / 2.

a and p are the weighted lengths of `length_ratio`. Gale and Church (1993) take the variance of a translation's length
to grow with the length (the term m); over many languages the ratio itself varies too (the term with m squared, which
makes a bound on long texts one on their ratio); 4 is for the shortest. On six-sentence or cut-off partners it finds
what a ratio with the same false positives leaves: `length_ratio` must be lenient because of short pairs. Source: Gale
and Church 1993, section 3; the quadratic term is ours.
"""

from __future__ import annotations

import numpy as np

from pairmill.curate.heuristics.side import Side

VERSION = 1
SPREAD = 0.35


def score(anchor: Side, positive: Side) -> np.ndarray:
    a, p = anchor.weight, positive.weight
    mean = (a + p) / 2
    return (np.abs(a - p) / np.sqrt(mean + (SPREAD * mean) ** 2 + 4)).astype(np.float32)
