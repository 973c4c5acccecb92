"""Characters inside HTML or XML tags and comments / characters; 0 for an empty side.

A tag is what cleaning takes for one (`repairs/tags.py`, point 2): its name is unmistakably one of HTML's, or it has an
attribute with a value, or both its opening and its closing are there. So `a < b`, `<0>` and the words of usage lines
(`<options>`, `<new branch>`) are none. Comments and declarations are `<!...>`. Only rows that hold `<` are searched, in
linear time. Source: OpusFilter HtmlTagFilter.
"""

from __future__ import annotations

import re

import numpy as np

from pairmill.curate.heuristics.side import Side, share
from pairmill.curate.repairs import tags

VERSION = 2
_DECLARATION = re.compile(r"<![^<>]*>")


def score(side: Side) -> np.ndarray:
    inside = np.zeros(len(side), np.int64)
    rows, texts = side.strings(side.holding("<"))
    inside[rows] = [_inside(text) for text in texts]
    return share(inside, side.lengths, empty=0)


def _inside(text: str) -> int:
    return sum(match.end() - match.start() for match in (*tags.find(text), *_DECLARATION.finditer(text)))
