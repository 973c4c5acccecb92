"""Separators of lists and menus beyond the first / (words + 1): `Home | News | About`, `Home > Shop > Shoes`.

A separator is `|`, a bullet or an arrow, or `/`, `>`, `»`, `*` or `~` between white space.
Source: bicleaner-hardrules no_breadcrumbs.
"""

from __future__ import annotations

import numpy as np

from pairmill.curate import codepoints
from pairmill.curate.heuristics import kernels
from pairmill.curate.heuristics.side import Side

VERSION = 1
_ALWAYS = np.array([ord(c) for c in "|•‣▪▫■□●○►▶⇒¦｜"], np.uint32)
_ALONE = np.array([ord(c) for c in "/>»›*~·→"], np.uint32)


def score(side: Side) -> np.ndarray:
    at = np.flatnonzero(np.isin(side.sign_points, np.union1d(_ALWAYS, _ALONE)))
    points = side.sign_points[at]
    alone = (side.beside(at, -1) == codepoints.SPACE) & (side.beside(at, 1) == codepoints.SPACE)
    found = np.where(np.isin(points, _ALONE), alone, True)
    separators = np.bincount(side.sign_rows[at[found]], minlength=len(side))
    return (np.maximum(separators - 1, 0) / (side.counts[:, kernels.WORDS] + 1)).astype(np.float32)
