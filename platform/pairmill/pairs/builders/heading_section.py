"""Each heading of a page's main content -> the text under it (GTE, 2308.03281; as in Wikipedia's section titles, E5).

A section reaches to the next heading of the same or a higher level; with `subsections: false`, to the next heading.
"""

from __future__ import annotations

from typing import Any

from pairmill.pairs.builders.base import MAX_NAME, Pair
from pairmill.pairs.builders.webpage import page_of
from pairmill.pairs.pages import content
from pairmill.pairs.pages.content import Block
from pairmill.pairs.pages.page import Page
from pairmill.spec.page_builders import HeadingSection

_PATH = " › "


def build(record: dict[str, Any], options: HeadingSection) -> list[Pair] | str:
    page = page_of(record, options)
    if not any(block.level for block in page.blocks):
        return "no_heading"
    found = [(anchor, text) for anchor, text in _sections(page, options) if len(text) >= options.min_chars]
    lang, url = page.lang, page.url
    pairs = [Pair(anchor, text, anchor_lang=lang, positive_lang=lang, url=url) for anchor, text in dict.fromkeys(found)]
    return pairs or "no_section"


def _sections(page: Page, options: HeadingSection) -> list[tuple[str, str]]:
    blocks, above = page.blocks, list[Block]()
    found: list[tuple[str, str]] = []
    for index, block in enumerate(blocks):
        if not block.level:
            continue
        above = [heading for heading in above if heading.level < block.level] + [block]
        names = [block.text]
        if options.path:
            names = [heading.text for heading in above[:-1]] + names
            if page.title and names[0].casefold() != page.title.casefold():
                names.insert(0, page.title)
            names = [name for name in names[:-1] if len(name) <= MAX_NAME] + names[-1:]
        found.append((_PATH.join(names), content.join(section(blocks, index, options.subsections))))
    return found


def section(blocks: list[Block], index: int, subsections: bool) -> list[Block]:
    """The blocks under the heading `blocks[index]`."""
    level, end = blocks[index].level, index + 1
    while end < len(blocks) and (not blocks[end].level or (subsections and blocks[end].level > level)):
        end += 1
    return blocks[index + 1 : end]
