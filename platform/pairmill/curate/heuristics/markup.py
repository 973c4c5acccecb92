"""Pieces of markup that are no whole tag: `class="x">`, `/p>`, `<a hre`, `&nbsp`, `&#160;`, `[/b]`, `[[link]]`.

They are what tag removal and cutting leave behind. Names of tags and attributes must be those of HTML, or the `>` of
the tag stand behind, because options, shells and programs also write `name="value"`, `<name` and `name>`. Whole tags
are left to the rule `html`. Only rows with a sign that begins or ends such a piece are searched; every repetition is
bounded.
Source: OpusFilter HtmlTagFilter, for what an HTML parser does not recognise.
"""

from __future__ import annotations

import re

import numpy as np

from pairmill.curate.heuristics.side import Side

VERSION = 2
_NAME = (
    r"(?:a|b|i|u|p|s|br|hr|em|tt|li|[uod]l|d[dt]|t[dhr]|h[1-6]|div|span|font|img|strong|small|su[bp]|pre|code|center|link"
    r"|table|t?head|t?body|form|input|button|script|style|meta|iframe|html|blockquote|section|article|nav|footer)"
)
_TAIL = r"(?:b|i|u|p|br|hr|em|li|ul|td|tr|h[1-6]|d?iv|s?pan|pan|f?ont|s?trong|rong)"
_ATTRIBUTE = (
    r"(?:class|href|src|style|target|rel|alt|align|valign|width|height|border|bgcolor|colspan|rowspan|cellspacing"
    r"|cellpadding|on(?:click|load|mouse[a-z]{2,5})|data-[a-z-]{1,20}|aria-[a-z-]{1,20})"
)
_BBCODE = r"(?:b|i|u|url|img|quote|code|size|color|list)"
_WHOLE = re.compile(r"<(?:/?[^\W\d_]|[!%])[^<>]*>")  # also of names in other scripts: <сервер id="x">
_PIECE = re.compile(
    rf"(?:^|(?<=[\s<])){_ATTRIBUTE}=(?:\"[^\"<>]{{0,200}}\"|'[^'<>]{{0,200}}'|\"[^\"\s<>]{{0,200}}$)"
    r"|(?<=[\w%/)-])[\"'](?: ?/)?>(?=\s|$|[^\W\d])"  # the end of one
    rf"|(?:^|(?<=\s))(?:/{_NAME}|{_TAIL})(?: ?/)?>(?=\s|$)"  # behind a lost <
    rf"|(?:(?<![\w<])<(?:!?{_NAME}(?:\s[^<>]{{0,60}})?|[a-z]{{1,3}})|</[a-z0-9]{{0,10}})$"  # in front of a lost >
    r"|&(?:[a-z]{2,8}[0-9]{0,2};|#[0-9]{2,6};?|#x[0-9a-f]{2,5};?|(?:nbsp|amp|quot|apos|[lg]t|[lr]aquo|[mn]dash|hellip)\b)"
    rf"|\[/{_BBCODE}\]|\[{_BBCODE}(?:=[^\]]{{0,100}})?\](?=.{{0,300}}\[/)"
    r"|\[\[[^\[\]:=.\s][^\[\]]{0,100}\]\]",
    re.IGNORECASE,
)


def score(side: Side) -> np.ndarray:
    pieces = np.zeros(len(side), np.float32)
    rows, texts = side.strings(side.holding("<", ">", "&", "[[", "[/", '="', "='"))
    pieces[rows] = [sum(1 for _ in _PIECE.finditer(_WHOLE.sub(" ", text))) for text in texts]
    return pieces
