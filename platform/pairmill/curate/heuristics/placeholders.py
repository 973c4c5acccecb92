"""2 x placeholders in common / placeholders of both sides, as multisets; 1 where there are none.

Placeholders: printf (`%s`, `%d`, `%(name)s`, `%1$s`), braces (`{}`, `{0}`, `{name!r}`, `{{ name }}`), `${name}`, and
numbered tags (`<0>`, `</0>`). A position is left out (`%1$s` = `%s`), because translations reorder. `%%`, and `%` after
a digit, are percent signs. Only rows that hold `%`, `{` or `<` are searched; every repetition is bounded.
Source: gettext msgfmt --check-format.
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from pairmill.curate.heuristics.side import Side

VERSION = 1
_HINTS = ("%", "{", "<")
_PLACEHOLDER = re.compile(
    r"%%"
    r"|%(?:\([^()\s]{1,64}\))?(?:[0-9]{1,3}\$)?([#0+-]{0,4}(?:[0-9]{1,4}|\*)?(?:\.(?:[0-9]{1,4}|\*))?"
    r"(?:hh|h|ll|l|q|j|z|t|L)?[diouxXeEfFgGaAcspn@](?![A-Za-z]))"
    r"|\$\{[^{}\s]{1,64}\}"
    r"|\{\{ ?[^{}]{1,64}\}\}"
    r"|\{[\w.!:\[\]]{0,64}\}"
    r"|</?[0-9]{1,3}/?>"
)
_POSITION = re.compile(r"^%[0-9]{1,3}\$")


def score(anchor: Side, positive: Side) -> np.ndarray:
    agreement = np.ones(len(anchor), np.float32)
    hinted = anchor.holding(*_HINTS) | positive.holding(*_HINTS)
    rows, left = anchor.strings(hinted)
    _, right = positive.strings(hinted)
    agreement[rows] = [_agreement(find(a), find(p)) for a, p in zip(left, right, strict=True)]
    return agreement


def find(text: str) -> Counter[str]:
    """The placeholders of a text, positions left out."""
    found: Counter[str] = Counter()
    for match in _PLACEHOLDER.finditer(text):
        start = match.start()
        percent = text[start] == "%" and (match[0] == "%%" or (start > 0 and text[start - 1].isdigit()))
        if not percent:
            found[_POSITION.sub("%", match[0])] += 1
    return found


def _agreement(a: Counter[str], p: Counter[str]) -> float:
    total = a.total() + p.total()
    return 2 * (a & p).total() / total if total else 1.0
