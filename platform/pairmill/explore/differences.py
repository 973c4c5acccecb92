"""Two texts side by side, what differs between them marked. Whatever they hold is inert."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from markupsafe import Markup

from pairmill.report import show

CHARACTERS = 4_000
TOKENS = 400  # the comparison takes time that grows with their square
#: A letter of a script that is written without spaces, a word, white space, a mark.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|\s+|[^\w\s]")


def marked(one: str, other: str) -> tuple[Markup, Markup]:
    """The first CHARACTERS of each as HTML; words that the other does not have there stand in `<mark>`."""
    left, right = (_TOKEN.findall(text[:CHARACTERS]) for text in (one, other))
    parts: tuple[list[Markup], list[Markup]] = ([], [])
    heads, rests = (left[:TOKENS], right[:TOKENS]), (left[TOKENS:], right[TOKENS:])
    for kind, start, stop, begin, end in SequenceMatcher(None, *heads, autojunk=False).get_opcodes():
        for tokens, told in ((left[start:stop], parts[0]), (right[begin:end], parts[1])):
            told.append(_shown(tokens, kind != "equal"))
    same = rests[0] == rests[1]
    for tokens, told in zip(rests, parts, strict=True):
        told.append(_shown(tokens, not same))
    return Markup().join(parts[0]), Markup().join(parts[1])


def _shown(tokens: list[str], differ: bool) -> Markup:
    text = show.marked("".join(tokens), CHARACTERS)
    return Markup("<mark>{}</mark>").format(text) if differ and text else text
