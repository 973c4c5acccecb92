"""Gopher's quality rules (2112.11446, A1.1): does the text look like running prose, by its words and lines?

Words, lines and the unit of scripts without spaces are those of `document.py`. Rules on lines need two lines.
"""

from __future__ import annotations

import numpy as np

from pairmill.curate import arrays
from pairmill.curate.heuristics.documents import kernels
from pairmill.curate.heuristics.documents.scored import ratio
from pairmill.curate.heuristics.side import Side

VERSION = 1


def words(side: Side) -> np.ndarray:
    """How many English words the text stands for; 0 for an empty one."""
    return side.document.words.astype(np.float32)


def word_length(side: Side) -> np.ndarray:
    """Mean letters and digits of a word, x English mean / the language's mean (`languages.py`).

    Does not apply where scripts without spaces make up half of the words or more.
    """
    document = side.document
    spaced = document.spaced_words
    mean = ratio(document.count(kernels.CHARACTERS), spaced, spaced > document.unspaced_words)
    return (mean * document.by_language(0)).astype(np.float32)


def symbols(side: Side) -> np.ndarray:
    """The more frequent of `#` and ellipses (`...`, `…`) / words."""
    document = side.document
    return ratio(np.maximum(document.count(kernels.HASHES), document.count(kernels.ELLIPSES)), document.words)


def alphabetic(side: Side) -> np.ndarray:
    """Words with a letter / words, numbers and stretches of punctuation."""
    document = side.document
    lettered = document.count(kernels.WORDS) + document.unspaced_words
    return ratio(lettered, lettered + document.count(kernels.NUMBERS) + document.count(kernels.MARKERS))


def stop_words(side: Side) -> np.ndarray:
    """Different stop words of the text's language, 32 at most; does not apply where it has no list (`stopwords.py`)."""
    found, listed = side.document.stop_words
    return np.where(listed, found, np.nan).astype(np.float32)


def bullets(side: Side) -> np.ndarray:
    """Lines that begin with a bullet (`•`, or a dash or asterisk by itself) / lines."""
    return _lines_with(side, kernels.BULLETED)


def ellipses(side: Side) -> np.ndarray:
    """Lines that end with an ellipsis / lines."""
    document = side.document
    ends = document.line(kernels.FLAGS) & kernels.CLEAR == kernels.TRAILS_OFF
    return ratio(arrays.sums(ends, document.line_offsets), document.lines, document.lines > 1)


def _lines_with(side: Side, flag: int) -> np.ndarray:
    document = side.document
    return ratio(arrays.sums(document.flagged(flag), document.line_offsets), document.lines, document.lines > 1)
