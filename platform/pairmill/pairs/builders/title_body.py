"""A web page's title -> its main content (E5, 2212.03533, section 3; GTE, 2308.03281, section 3)."""

from __future__ import annotations

from typing import Any

from pairmill.pairs.builders.base import Pair
from pairmill.pairs.builders.webpage import page_of
from pairmill.pairs.pages import content
from pairmill.spec.page_builders import TitleBody

#: A page repeats its title above the text, maybe below a line of its menu.
_TITLE_LINES = 5


def build(record: dict[str, Any], options: TitleBody) -> list[Pair] | str:
    page = page_of(record, options)
    if not page.title:
        return "no_title"
    lines = content.join(page.blocks).split("\n")
    if lines == [""]:
        return "no_body"
    title = page.title.casefold()
    # the anchor must not be found again in the positive: such pairs teach to compare strings
    body = "\n".join([line for line in lines[:_TITLE_LINES] if line.casefold() != title] + lines[_TITLE_LINES:])
    if not body:
        return "title_is_body"
    if len(body) < options.min_chars:
        return "short_body"
    return [Pair(page.title, body, anchor_lang=page.lang, positive_lang=page.lang, url=page.url)]
