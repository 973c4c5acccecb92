"""Characters inside escape sequences / characters: `\\u00e9`, `\\n`, `\\"`, `%C3%A9`, `=C3=A9`; 0 for an empty side.

Only rows with a backslash, or with two `%` or `=` three characters apart, are searched.
Source: bicleaner-hardrules no_escaped_unicode.
"""

from __future__ import annotations

import re

import numpy as np

from pairmill.curate.heuristics.side import Side, share

VERSION = 1
_ESCAPE = re.compile(
    r"\\(?:u[0-9a-f]{4}|U[0-9a-f]{8}|x[0-9a-f]{2}|[nrtbf\"'/\\](?![a-z]))|(?:[%=][0-9a-f]{2}){2,16}", re.IGNORECASE
)


def score(side: Side) -> np.ndarray:
    inside = np.zeros(len(side), np.int64)
    hinted = side.holding("\\")
    for sign in "%=":  # two in a row: %C3%A9
        at = side.find(sign)
        at = at[at + 3 < len(side.flat)]
        hinted[side.row(at[side.flat[at + 3] == ord(sign)])] = True
    rows, texts = side.strings(hinted)
    inside[rows] = [sum(match.end() - match.start() for match in _ESCAPE.finditer(text)) for text in texts]
    return share(inside, side.lengths, empty=0)
