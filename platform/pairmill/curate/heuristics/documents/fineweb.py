"""FineWeb's rules (2406.17557, section 3.6; FineWeb-2, 2506.20920): is the page a list of short lines, such as a menu?

Its third rule, characters in duplicate lines, is `gopher_repetition.line_characters` with a stricter bound.
"""

from __future__ import annotations

import numpy as np

from pairmill.curate import arrays
from pairmill.curate.heuristics.documents import kernels
from pairmill.curate.heuristics.documents.characters import TWENTIETHS
from pairmill.curate.heuristics.documents.scored import ratio
from pairmill.curate.heuristics.side import Side

VERSION = 1
SHORT = 30


def line_ends(side: Side) -> np.ndarray:
    """Lines that end in terminal punctuation / lines; needs two lines and a language that writes it."""
    document = side.document
    ends = document.line(kernels.FLAGS) & kernels.CLEAR == kernels.ENDS
    applies = document.punctuates & (document.lines > 1)
    return ratio(arrays.sums(ends, document.line_offsets), document.lines, applies)


def short_lines(side: Side) -> np.ndarray:
    """Lines that stand for at most 30 English characters / lines; needs two lines."""
    document = side.document
    short = document.line(kernels.LENGTH) <= SHORT * TWENTIETHS
    return ratio(arrays.sums(short, document.line_offsets), document.lines, document.lines > 1)


def newlines(side: Side) -> np.ndarray:
    """Line breaks between lines / words; needs two lines."""
    document = side.document
    return ratio(document.lines - 1, document.words, document.lines > 1)
