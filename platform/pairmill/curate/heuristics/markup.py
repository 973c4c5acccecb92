"""Pieces of markup that are no whole tag: `class="x">`, `/p>`, `<a hre`, `&nbsp`, `&#160;`, `[/b]`, `[[link]]`.

They are what tag removal and cutting leave behind. Whole tags are left to the rule `html`. Only rows with a sign that
begins or ends such a piece are searched; every repetition is bounded.
Source: OpusFilter HtmlTagFilter, for what an HTML parser does not recognise.
"""

from __future__ import annotations

import re

import numpy as np

from pairmill.curate.heuristics.html import TAG
from pairmill.curate.heuristics.side import Side

VERSION = 1
_PIECE = re.compile(
    r"(?:^|(?<=[\s<]))[a-z][a-z-]{1,20}=(?:\"[^\"<>]{0,200}\"|'[^'<>]{0,200}'|\"[^\"\s<>]{0,200}$)"  # attribute
    r"|(?<=[\w%/)-])[\"'] ?/?>(?=\s|$|[^\W\d])"  # the end of one
    r"|(?:^|(?<=\s))(?:/[a-z][a-z0-9]{0,9}|[a-z][a-z0-9]{0,5})/?>(?=\s|$)"  # behind a lost <
    r"|<[a-z/!][\w-]{0,15}(?:\s[^<>]{0,60})?$"  # in front of a lost >
    r"|&(?:[a-z]{2,8}[0-9]{0,2};|#[0-9]{2,6};?|#x[0-9a-f]{2,5};?|(?:nbsp|amp|quot|apos|[lg]t|[lr]aquo|[mn]dash|hellip)\b)"
    r"|\[/?(?:b|i|u|url|img|quote|code|size|color|list)(?:=[^\]]{0,100})?\]"
    r"|\[\[[^\[\]]{1,100}\]\]",
    re.IGNORECASE,
)


def score(side: Side) -> np.ndarray:
    pieces = np.zeros(len(side), np.float32)
    rows, texts = side.strings(side.holding("<", ">", "&", "[[", "[/", '="', "='"))
    pieces[rows] = [sum(1 for _ in _PIECE.finditer(TAG.sub(" ", text))) for text in texts]
    return pieces
