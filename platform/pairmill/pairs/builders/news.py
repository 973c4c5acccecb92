"""A news article's title -> its body, as in CC-News (Hamborg et al., news-please; E5, 2212.03533, section 3)."""

from __future__ import annotations

from typing import Any

from pairmill.pairs.builders.base import Pair, text
from pairmill.spec.record_builders import News


def build(record: dict[str, Any], options: News) -> list[Pair] | str:
    title, body = text(record, *options.title), text(record, *options.body)
    if not title:
        return "no_title"
    if not body:
        return "no_body"
    lang = text(record, *options.lang) or None
    return [Pair(title, body, anchor_lang=lang, positive_lang=lang, url=text(record, *options.url) or None)]
