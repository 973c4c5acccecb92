"""Letters that an encoding could not hold: U+FFFD, and `?` between letters, a lower-case one behind it.

Not in paths, queries and patterns, nor in a word that stands alone in quotes (`"M?ller"`: a wildcard). A `?` at the
start of a word is left alone, because names of search terms and optional arguments begin so (`?term`, `?arg?`).

Source: the character checks of Bitextor and OpusCleaner; U+FFFD is Unicode's replacement character.
"""

from __future__ import annotations

import re

import numpy as np

from pairmill.curate import codepoints
from pairmill.curate.heuristics import kernels
from pairmill.curate.heuristics.scripts import properties
from pairmill.curate.heuristics.side import Side

VERSION = 2
_REPLACEMENT, _QUESTION = 0xFFFD, ord("?")
_KIND = np.uint16(15)
_REACH = 80
_QUOTED = re.compile(r"[\"'`«»“”„‘‚「『(]+[\w?.]+[\"'`«»“”’‘」』).,;:]+$")


def score(side: Side) -> np.ndarray:
    lost = side.sign_points == _REPLACEMENT
    at = np.flatnonzero(side.sign_points == _QUESTION)
    lower = properties()[side.flat[np.minimum(side.signs[at] + 1, len(side.flat) - 1)]] & _KIND == kernels.LOWER
    inside = (side.beside(at, -1) == codepoints.LETTER) & (side.beside(at, 1) == codepoints.LETTER)
    at = at[lower & inside]
    lost[[sign for sign in at.tolist() if not _on_purpose(side, sign)]] = True
    return side.count_signs(lost).astype(np.float32)


def _on_purpose(side: Side, sign: int) -> bool:
    """Whether the word around a sign looks like a path, a query or a pattern: `page.php?id=1`, `a/b?c`, `"M?ller"`."""
    place, row = int(side.signs[sign]), side.sign_rows[sign]
    start, end = max(side.offsets[row], place - _REACH), min(side.offsets[row + 1], place + _REACH)
    before, behind = (side.flat[a:b].tobytes().decode("utf-32-le") for a, b in ((start, place), (place, end)))
    word = "".join(before.split()[-1:] if before[-1:].strip() else []) + behind.split()[0]
    return any(hint in word for hint in "/=*|[") or "(" in word[word.index("?") :] or bool(_QUOTED.match(word))
