"""Placeholders of software messages.

printf (`%s`, `%d`, `%(name)s`, `%1$s`), braces (`{}`, `{0}`, `{name!r}`, `{{ name }}`), `${name}`, and numbered tags
(`<0>`, `</0>`). `%%`, and `%` after a digit, are percent signs. Every repetition is bounded.
"""

from __future__ import annotations

import re
from collections import Counter

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


def find(text: str) -> Counter[str]:
    """The placeholders of a text, positions left out."""
    found: Counter[str] = Counter()
    for match in _PLACEHOLDER.finditer(text):
        if not _is_percent(match):
            found[_POSITION.sub("%", match[0])] += 1
    return found


def remove(text: str) -> str:
    """The text without its placeholders."""
    return _PLACEHOLDER.sub(lambda match: match[0] if _is_percent(match) else "", text)


def _is_percent(match: re.Match[str]) -> bool:
    start = match.start()
    return match[0] == "%%" or (match[0][0] == "%" and start > 0 and match.string[start - 1].isdigit())
