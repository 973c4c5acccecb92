"""Characters inside statements of programs and style sheets / characters.

Such as `var a = b || [];`, `push(x);`, `p {color: red}`. An assignment without spaces (`a=b;`) is one only at the end
of the text or in front of another statement: in prose it is an option (`--post-file=FILE; ...`). Only rows with `{`,
`);`, or both `;` and `=` are searched; every repetition is bounded. Source: C4 (1910.10683, section 2.2) drops pages
with `{` and lines with `javascript`.
"""

from __future__ import annotations

import re

import numpy as np

from pairmill.curate.heuristics.side import Side, share

VERSION = 2
_TOKEN = r"(?:[^\s;{}()]|\([^()\s]{0,60}\)){1,64}"
_VALUE = rf"{_TOKEN}(?: {_TOKEN}){{0,3}}"  # more words are prose
_WORD = r"[^\s;{}()<>]{1,64}"
_NAME = r"[A-Za-z_$@\])}][\w$.\])}]{0,63}"
_FORMAT = r"[-<>=^+#0-9.,bcdeEfFgGnosxX%]{0,8}"  # of a placeholder: {price:.2f}
_STATEMENT = re.compile(
    r"(?<![\w$.\])}%-])(?:"
    r"(?:(?:var|let|const) [\w$]{1,64} ?=|function ?[\w$]{0,64}\(|(?:window|document|this)\.[\w$]{1,64})"
    r"[^;{}]{0,160}[;{]"
    rf"|{_NAME} (?:[+-]?=|=>) {_VALUE} ?;(?=\s|$|}})"
    rf"|{_NAME}(?:[+-]?=|=>){_WORD};(?=\s*(?:$|}}|{_NAME} ?[=(]))"
    rf"|{_NAME}\([^()]{{0,120}}\);(?=\s|$|}})"
    rf"|[\w.#-]{{0,64}} ?\{{\s?[\"']?[\w-]{{1,40}}[\"']?\s?:(?!{_FORMAT}\}})[^{{}}]{{1,200}}\}})"
)


def score(side: Side) -> np.ndarray:
    inside = np.zeros(len(side), np.int64)
    semicolon, equals, brace = (side.count_signs(side.sign_points == ord(sign)) > 0 for sign in ";={")
    rows, texts = side.strings(brace | (semicolon & equals) | side.holding(");"))
    inside[rows] = [sum(match.end() - match.start() for match in _STATEMENT.finditer(text)) for text in texts]
    return share(inside, side.lengths, empty=0)
