"""Wikipedia: section title -> passage, article title -> its first paragraph (multilingual E5, 2402.05672, section 2).

1. MediaWiki's XML dumps (`pages-articles`; format xml, element page): wikitext, with sections. Redirects, pages that
   are in no main name space and pages that are no wikitext make no pair.
2. Records of plain text: {title, text} (Hugging Face's wikimedia/wikipedia, WikiExtractor), {title, opening_text, text,
   namespace} (the search index dumps, whose `index` lines are no articles): title -> lead, there are no sections.
3. Records with `sections`: {name or title, has_parts or text or sections} (Wikimedia Enterprise's structured articles).

Lists (disambiguation pages, "See also", "References", discographies) are told by their form, which needs no names in
300 languages: a passage must be prose for at least half of its length, and at least `min_chars` long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from pairmill.pairs.builders import wikitext
from pairmill.pairs.builders.base import MAX_NAME, Pair, WrongRecord, listed, text
from pairmill.pairs.sources.languages import declared_language
from pairmill.spec.inputs import Langs
from pairmill.spec.record_builders import Wikipedia

#: The titles of the section and those it is in (none: the lead), its paragraphs, and how much of them is lists.
Passage = tuple[tuple[str, ...], list[str], int]

SEPARATOR = " › "
#: MediaWiki's own bound for a page is 2 MiB; what is longer is none of its pages.
MAX_CHARS = 2 << 20
_DEEPEST = 20
_DUMP = re.compile(r"(?:^|/)([a-z][a-z_]*?)wiki-[^/]*$|(?:^|/)\d{8}\.([a-z-]+)/[^/]*$")
#: Codes of wikis that are no codes of their language, or not the usual ones (Wikimedia's list of special codes).
_WIKIS = {
    "simple": "en", "no": "nb", "als": "gsw", "bat_smg": "sgs", "be_x_old": "be", "fiu_vro": "vro", "roa_rup": "rup",
    "zh_classical": "lzh", "zh_min_nan": "nan", "zh_yue": "yue", "cbk_zam": "cbk", "eml": "egl", "nrm": "nrf",
    "map_bms": "jv", "roa_tara": "nap",
}  # fmt: skip


def langs(uri: str, declared: Langs) -> Langs:
    """The languages of a dump's records: the input's, else what the file's name says (`dewiki-`, `20231101.de/`)."""
    match = _DUMP.search(uri)
    code = (match[1] or match[2]) if match else None
    found = declared_language(_WIKIS.get(code.replace("-", "_"), code)) if code else None
    return Langs(anchor=declared.anchor or found, positive=declared.positive or found)


def build(record: dict[str, Any], options: Wikipedia) -> list[Pair] | str:
    title = text(record, "title", "name")
    if not title:
        return "no_title" if "index" not in record else "index_line"
    if why := _no_article(record):
        return why
    found = _passages(record)
    if isinstance(found, str):
        return found
    lang = _language(record)
    url = text(record, "url") or None
    pairs: list[Pair] = []
    short = 0
    for path, paragraphs, in_lists in found:
        if options.pairs == ("article" if path else "sections"):
            continue
        passage = _passage(path, paragraphs, in_lists, options)
        if passage:
            pairs.append(Pair(_anchor(title, path, options), passage, anchor_lang=lang, positive_lang=lang, url=url))
        elif paragraphs:
            short += 1
    return pairs or ("no_prose" if short else "no_text")


def _anchor(title: str, path: tuple[str, ...], options: Wikipedia) -> str:
    if options.anchor == "section" and path:
        return path[-1]
    *above, last = (title, *path)
    return SEPARATOR.join([*(name for name in above if len(name) <= MAX_NAME), last])


def _passage(path: tuple[str, ...], paragraphs: list[str], in_lists: int, options: Wikipedia) -> str:
    """The text of a section or lead; empty where it is mostly lists or too short."""
    if 2 * in_lists > sum(map(len, paragraphs)):
        return ""
    if not path and options.lead == "paragraph":
        return next((paragraph for paragraph in paragraphs if len(paragraph) >= options.min_chars), "")
    whole = "\n".join(paragraphs)
    return whole if len(whole) >= options.min_chars else ""


def _no_article(record: dict[str, Any]) -> str | None:
    space = record.get("ns", record.get("namespace"))
    if space is not None and not isinstance(space, dict) and str(space).strip() not in ("0", ""):
        return "other_namespace"
    target = record.get("redirect")  # of the search index, a list: the redirects that lead to the page
    if record.get("redirect@title") or (target is not None and not isinstance(target, list)):
        return "redirect"
    return None


def _language(record: dict[str, Any]) -> str | None:
    value = record.get("in_language", record.get("language"))
    if isinstance(value, dict):
        value = value.get("identifier")
    return value if isinstance(value, str) and value else None


def _passages(record: dict[str, Any]) -> list[Passage] | str:
    if (revision := record.get("revision")) is not None:
        return _of_revision(revision)
    if (parts := record.get("sections")) is not None:
        if isinstance(parts, str):
            try:
                parts = orjson.loads(parts)
            except orjson.JSONDecodeError as error:
                raise WrongRecord(f"sections: no JSON: {error}") from error
        found = list(_of_sections(listed(parts, "sections"), ()))
        if found and len(found[0][0]) == 1 and found[0][0][0] == "Abstract":
            found[0] = ((), *found[0][1:])
        elif abstract := text(record, "abstract"):
            found.insert(0, ((), _split(abstract), 0))
        return found
    body = text(record, "opening_text", "text", "abstract")
    return [((), _split(body), 0)] if body else "no_text"


def _of_revision(revision: Any) -> list[Passage] | str:
    if isinstance(revision, list):
        revision = revision[-1] if revision else {}  # of a dump with history, the newest
    if not isinstance(revision, dict):
        raise WrongRecord(f"revision: {type(revision).__name__} instead of an object")
    if (revision.get("model") or "wikitext") != "wikitext":
        return "no_wikitext"
    source = text(revision, "text", "#text")
    if not source:
        return "no_text"
    if len(source) > MAX_CHARS:
        return "too_long"
    return [(path, section.paragraphs, section.listed) for path, section in wikitext.chain(wikitext.sections(source))]


def _of_sections(parts: list[dict[str, Any]], above: tuple[str, ...]) -> Iterator[Passage]:
    """Sections as objects; paragraphs of one stand in `has_parts` or in `text`, sections inside it in either list."""
    if len(above) > _DEEPEST:
        raise WrongRecord(f"sections: more than {_DEEPEST} inside each other")
    for part in parts:
        name = text(part, "name", "title", "heading")
        path = (*above, name) if name else above
        paragraphs, in_lists, inner = _split(text(part, "text", "content", "value")), 0, []
        for child in [*listed(part.get("has_parts"), "has_parts"), *listed(part.get("sections"), "sections")]:
            kind = text(child, "type") or "section"
            if kind == "paragraph":
                paragraphs += _split(text(child, "value"))
            elif kind == "section":
                inner.append(child)
            elif kind == "list":
                in_lists += sum(len(text(item, "value")) for item in listed(child.get("has_parts"), "has_parts"))
        yield path, paragraphs, in_lists
        yield from _of_sections(inner, path)


def _split(body: str) -> list[str]:
    return [paragraph for line in body.split("\n") if (paragraph := line.strip())]
