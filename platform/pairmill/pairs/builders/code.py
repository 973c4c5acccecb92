"""A function's documentation -> its code, as in CodeSearchNet (Husain et al., 1909.09436; GTE trains on it).

The anchor is the documentation's first paragraph (section 3 there). In Python the documentation also stands in the
code, where it would make every pair trivial: it is cut out with its quotes. Both sides have no declared language
but the input's; the programming language, no BCP-47 code, is the row's label.
"""

from __future__ import annotations

import re
from typing import Any

from pairmill.pairs.builders.base import Pair, text
from pairmill.spec.record_builders import Code

_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_OPENING = re.compile(r"[rRuUbBfF]{0,2}(\"\"\"|'''|\"|')\s*$")


def build(record: dict[str, Any], options: Code) -> list[Pair] | str:
    documentation, code = text(record, *options.docstring), text(record, *options.code)
    if not documentation:
        return "no_docstring"
    if options.remove_docstring:
        code = without(code, documentation)
    if not code:
        return "no_code"
    if options.documentation == "first_paragraph":
        documentation = _BLANK_LINE.split(documentation, 1)[0].rstrip()
    return [Pair(documentation, code, label=text(record, *options.language) or None)]


def without(code: str, docstring: str) -> str:
    """`code` less the string literal that is exactly `docstring`, and the line it leaves empty."""
    at = code.find(docstring)
    if at < 0:
        return code
    opening = _OPENING.search(code, max(0, at - 64), at)
    if not opening:
        return code
    rest = code[at + len(docstring) :].lstrip()
    if not rest.startswith(opening[1]):
        return code
    before, after = code[: opening.start()], rest[len(opening[1]) :]
    if not before.rpartition("\n")[2].strip() and not after.partition("\n")[0].strip():
        before, after = before.rstrip(" \t"), after.partition("\n")[2]
    return before + after
