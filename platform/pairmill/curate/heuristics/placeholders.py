"""(2 x placeholders in common + pairs that differ) / placeholders of both sides, as multisets; 1 where there are none.

So a placeholder that faces another one counts half (`{file}` = `{Datei}`), and one without a partner nothing.

Placeholders: printf (`%s`, `%d`, `%(name)s`, `%1$s`), braces (`{}`, `{0}`, `{name!r}`, `{{ name }}`), `${name}`, and
numbered tags (`<0>`, `</0>`). Positions, widths and lengths are left out (`%1$s` = `%2s` = `%ls` = `%s`), because
translations reorder and align. `%%`, `%` after a digit and `%0A` are none. A letter may stand directly behind one where
that makes the sides agree better (`%sKB`). Formats of dates, which differ by language, are not compared. Only rows that
hold `%`, `{` or `<` are searched; every repetition is bounded.
Source: gettext msgfmt --check-format.
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from pairmill.curate.heuristics.side import Side
from pairmill.curate.repairs.placeholders import find

VERSION = 2
_GLUED = re.compile(r"%(?:\([^()\s]{1,64}\))?[0-9.]{0,6}(?:l{0,2}|[hzj])[dsuxif](?=[A-Za-z])")
_WIDTH = re.compile(r"^(%(?:\([^()]*\))?)[#0+-]*[0-9.*]*(?:hh?|ll?|[qjztL])?(?=[A-Za-z@]$)")
_TIME = re.compile(r"%[-_]?[HMSYB](?![A-Za-z])")
_BRACES = re.compile(r"\{[^{}]{1,64}\}")
_HINTS = ("%", "{", "<")


def score(anchor: Side, positive: Side) -> np.ndarray:
    agreement = np.ones(len(anchor), np.float32)
    hinted = anchor.holding(*_HINTS) | positive.holding(*_HINTS)
    rows, left = anchor.strings(hinted)
    _, right = positive.strings(hinted)
    agreement[rows] = [_agreement(a, p) for a, p in zip(left, right, strict=True)]
    return agreement


def _agreement(a: str, p: str) -> float:
    if _TIME.search(a) and _TIME.search(p):
        return 1.0
    found, other = _placeholders(a), _placeholders(p)
    agreement = _share(found, other)
    if agreement == 1:
        return 1.0
    apart = (_placeholders(_GLUED.sub(r"\g<0> ", text)) for text in (a, p))
    return max(agreement, _share(*apart), _share(found | _braces(a), other | _braces(p)))


def _share(a: Counter[str], p: Counter[str]) -> float:
    total = a.total() + p.total()
    return ((a & p).total() + min(a.total(), p.total())) / total if total else 1.0


def _braces(text: str) -> Counter[str]:
    """Whatever stands in braces: a translator may put words or other letters there (`{file}`, `{user profile}`)."""
    return Counter(_BRACES.findall(text))


def _placeholders(text: str) -> Counter[str]:
    """Those of a text, without widths, lengths and spaces."""
    found: Counter[str] = Counter()
    for placeholder, times in find(text).items():
        plain = _WIDTH.sub(r"\1", placeholder).replace(" ", "")
        if plain != "%A":
            found["%x" if plain == "%X" else plain] += times
    return found
