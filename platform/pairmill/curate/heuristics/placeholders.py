"""2 x placeholders in common / placeholders of both sides, as multisets; 1 where there are none.

Placeholders: printf (`%s`, `%d`, `%(name)s`, `%1$s`), braces (`{}`, `{0}`, `{name!r}`, `{{ name }}`), `${name}`, and
numbered tags (`<0>`, `</0>`). A position is left out (`%1$s` = `%s`), because translations reorder. `%%`, and `%` after
a digit, are percent signs. Only rows that hold `%`, `{` or `<` are searched; every repetition is bounded.
Source: gettext msgfmt --check-format.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from pairmill.curate.heuristics.side import Side
from pairmill.curate.repairs.placeholders import find

VERSION = 1
_HINTS = ("%", "{", "<")


def score(anchor: Side, positive: Side) -> np.ndarray:
    agreement = np.ones(len(anchor), np.float32)
    hinted = anchor.holding(*_HINTS) | positive.holding(*_HINTS)
    rows, left = anchor.strings(hinted)
    _, right = positive.strings(hinted)
    agreement[rows] = [_agreement(find(a), find(p)) for a, p in zip(left, right, strict=True)]
    return agreement


def _agreement(a: Counter[str], p: Counter[str]) -> float:
    total = a.total() + p.total()
    return 2 * (a & p).total() / total if total else 1.0
