"""Separators of lists and menus beyond the first / (words + 1): `Home | News | About`, `Home > Shop > Shoes`.

A separator is a bullet or an arrow, or `|`, `/`, `>`, `»`, `*` or `~` between white space, outside of brackets: usage
lines list alternatives (`[-a | --all]`, `{on|off}`). Of several in a row (`•••`) one counts. Words are those between
white space, but at least one for five weighted characters, which is a Japanese menu's length and a long word's.
Source: bicleaner-hardrules no_breadcrumbs.
"""

from __future__ import annotations

import numpy as np

from pairmill.curate import codepoints
from pairmill.curate.heuristics import kernels
from pairmill.curate.heuristics.side import Side

VERSION = 2
CHARACTERS = 5  # of an English word
_ALWAYS = np.array([ord(c) for c in "•‣▪▫■□●○►▶⇒¦｜"], np.uint32)
_ALONE = np.array([ord(c) for c in "|/>»›*~·→"], np.uint32)
_OPENING, _CLOSING = (np.array([ord(c) for c in brackets], np.uint32) for brackets in ("([{（［【", ")]}）］】"))


def score(side: Side) -> np.ndarray:
    at = np.flatnonzero(np.isin(side.sign_points, np.union1d(_ALWAYS, _ALONE)))
    behind = side.beside(at, 1)
    alone = (side.beside(at, -1) == codepoints.SPACE) & (behind == codepoints.SPACE)
    last = np.isin(side.sign_points[at], _ALWAYS) & (behind < codepoints.PUNCTUATION)
    found = at[alone | last]
    outside = found[_depth(side)[found] <= 0]
    separators = np.bincount(side.sign_rows[outside], minlength=len(side))
    words = np.maximum(side.counts[:, kernels.WORDS], side.weight / CHARACTERS)
    return (np.maximum(separators - 1, 0) / (words + 1)).astype(np.float32)


def _depth(side: Side) -> np.ndarray:
    """How many more brackets have been opened than closed in the row, up to each of the `signs`: int64."""
    steps = np.isin(side.sign_points, _OPENING).astype(np.int64) - np.isin(side.sign_points, _CLOSING)
    total = np.concatenate([[0], np.cumsum(steps)])
    before = total[np.searchsorted(side.signs, side.offsets[:-1])]
    return total[1:] - before[side.sign_rows]
