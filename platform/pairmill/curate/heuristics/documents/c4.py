"""C4's rules (1910.10683, section 2.2) as scores of the document; C4 itself also removes the lines it does not keep.

C4 keeps a line that ends in terminal punctuation, has five words or more, and none of the phrases below; its page must
then have three sentences or more, no curly bracket and no `lorem ipsum`. The phrases are English, as in C4.
Rules on terminal punctuation do not apply to languages that write none (Thai, Lao).
"""

from __future__ import annotations

import numpy as np

from pairmill.curate import arrays
from pairmill.curate.heuristics.documents import kernels
from pairmill.curate.heuristics.documents.document import PHRASES, Document
from pairmill.curate.heuristics.documents.scored import ratio
from pairmill.curate.heuristics.side import Side

VERSION = 1
LEAST_WORDS = 5


def sentences(side: Side) -> np.ndarray:
    """Ends of sentences: terminal punctuation behind a letter, followed by white space or an unspaced script."""
    document = side.document
    return np.where(document.punctuates, document.sentences, np.nan).astype(np.float32)


def kept(side: Side) -> np.ndarray:
    """Characters in lines that C4 would keep / characters; needs two lines."""
    document = side.document
    keep = (document.line(kernels.FLAGS) & kernels.CLEAR == kernels.ENDS) & (document.line_words() >= LEAST_WORDS)
    keep &= ~_policy_lines(document)
    characters = arrays.sums(np.where(keep, document.line(kernels.SIZE), 0), document.line_offsets)
    return ratio(characters, document.count(kernels.SOLID), document.punctuates & (document.lines > 1))


def policy(side: Side) -> np.ndarray:
    """Lines that mention JavaScript, cookies, terms of use or a privacy policy / lines; needs two lines."""
    document = side.document
    found = arrays.sums(_policy_lines(document), document.line_offsets)
    return ratio(found, document.lines, document.lines > 1)


def curly(side: Side) -> np.ndarray:
    """Curly brackets in the text."""
    return side.document.count(kernels.BRACES).astype(np.float32)


def lorem_ipsum(side: Side) -> np.ndarray:
    """1 where the text has the words `lorem ipsum`."""
    document = side.document
    found = np.zeros(len(side), np.float32)
    found[np.searchsorted(document.line_offsets, document.said("lorem ipsum"), "right") - 1] = 1
    return found


def _policy_lines(document: Document) -> np.ndarray:
    found = np.zeros(document.line_offsets[-1], bool)
    for phrase in PHRASES:
        if phrase != "lorem ipsum":
            found[document.said(phrase)] = True
    return found
