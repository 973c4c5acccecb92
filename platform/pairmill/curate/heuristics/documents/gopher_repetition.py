"""Gopher's repetition rules (2112.11446, A1.1): how much of the text repeats itself?

Shares of characters leave white space out on both sides. Repeated means equal to an earlier item of the same text.
An n-gram of a script without spaces is a window of as many characters as make n words (`document.py`).
"""

from __future__ import annotations

import numpy as np

from pairmill.curate.heuristics.documents import kernels
from pairmill.curate.heuristics.documents.scored import ratio
from pairmill.curate.heuristics.side import Side

VERSION = 1


def lines(side: Side) -> np.ndarray:
    """Lines that equal an earlier one / lines; needs two lines."""
    document = side.document
    return ratio(document.duplicate_lines[:, 0], document.lines, document.lines > 1)


def line_characters(side: Side) -> np.ndarray:
    """Characters of these lines / characters. It is FineWeb's `char_dup_ratio` too."""
    document = side.document
    return ratio(document.duplicate_lines[:, 1], document.count(kernels.SOLID), document.lines > 1)


def paragraphs(side: Side) -> np.ndarray:
    """Paragraphs that equal an earlier one / paragraphs; needs two, so only where blank lines were kept."""
    document = side.document
    return ratio(document.duplicate_paragraphs[:, 0], document.paragraphs, document.paragraphs > 1)


def paragraph_characters(side: Side) -> np.ndarray:
    """Characters of these paragraphs / characters."""
    document = side.document
    return ratio(document.duplicate_paragraphs[:, 1], document.count(kernels.SOLID), document.paragraphs > 1)


def top_gram(side: Side, n: int) -> np.ndarray:
    """Characters of all places of the most frequent n-gram / characters, at most 1; 0 where none occurs twice."""
    return np.minimum(_share(side, n), np.float32(1))


def duplicate_grams(side: Side, n: int) -> np.ndarray:
    """Characters of n-grams that equal an earlier one, without overlap / characters."""
    return _share(side, n)


def _share(side: Side, n: int) -> np.ndarray:
    document = side.document
    return ratio(document.grams[:, n - 2], document.count(kernels.SOLID))
