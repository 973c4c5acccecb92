"""Questions on a web page -> their answers (GTE, 2308.03281, section 3; mFAQ, 2109.12870, takes schema.org's FAQPage).

First what schema.org marks up (see `pages/questions.py`), then headings that end with a question mark, with the text
under them. A question that occurs twice is taken once.
"""

from __future__ import annotations

from typing import Any

from pairmill.pairs.builders.base import Pair
from pairmill.pairs.builders.heading_section import section
from pairmill.pairs.builders.webpage import page_of
from pairmill.pairs.pages import content
from pairmill.pairs.pages.page import Page
from pairmill.pairs.pages.questions import marked_up
from pairmill.spec.page_builders import Faq

#: Marks that end a question, by script. Armenian's stands inside the last word; Greek's looks like a semicolon.
_MARKS = "?？؟፧⸮⁇⁈︖﹖꘏꛷᥅⳺⳻𑅃\N{GREEK QUESTION MARK}"
_ARMENIAN = "\N{ARMENIAN QUESTION MARK}"
_CLOSING = " \t\"'”“’‘»«›!！)]）」』"


def build(record: dict[str, Any], options: Faq) -> list[Pair] | str:
    page = page_of(record, options)
    found = {_key(question): (question, answer) for question, answer in marked_up(page)}
    if options.headings:
        for question, answer in _headings(page):
            found.setdefault(_key(question), (question, answer))
    if not found:
        return "no_question"
    lang, url = page.lang, page.url
    pairs = [
        Pair(question, answer, anchor_lang=lang, positive_lang=lang, url=url)
        for question, answer in found.values()
        if len(answer) >= options.min_chars
    ]
    return pairs or "short_answer"


def _headings(page: Page) -> list[tuple[str, str]]:
    blocks = page.blocks
    found = [
        (block.text, content.join(section(blocks, index, subsections=True)))
        for index, block in enumerate(blocks)
        if block.level and is_question(block.text, page.lang)
    ]
    return [(question, answer) for question, answer in found if answer]


def is_question(text: str, lang: str | None) -> bool:
    """Whether a heading ends with a question mark of any script; `;` is one in Greek."""
    text = text.rstrip(_CLOSING)
    greek = lang is not None and lang.startswith("el") and text.endswith(";")
    return text.endswith(tuple(_MARKS)) or greek or _ARMENIAN in text.rpartition(" ")[2]


def _key(question: str) -> str:
    return "".join(letter for letter in question.casefold() if letter.isalnum())
