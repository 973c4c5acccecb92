"""A paper's title -> its abstract (E5, 2212.03533, section 3, and GTE, 2308.03281, train on S2ORC).

1. S2ORC 2020 `metadata` (abstract: text, its paragraphs separated by `:::`), S2AG, arXiv: two fields.
2. S2ORC `pdf_parses`: the abstract is a list of paragraphs {text, ...}; the title stands in `metadata`.
3. S2ORC since 2022: `content.text` is the paper, `content.annotations.title` and `.abstract` are JSON strings of
   spans [{start, end}] into it, counted in characters, sometimes twice the same. The first title counts.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson

from pairmill.pairs.builders.base import Pair, WrongRecord, field_of, listed, text
from pairmill.spec.record_builders import Papers


def build(record: dict[str, Any], options: Papers) -> list[Pair] | str:
    content = record.get("content")
    if isinstance(content, dict) and "annotations" in content:
        spans = _annotated(content, "title")
        title, abstract = (spans[0] if spans else ""), "\n".join(_annotated(content, "abstract"))
    else:
        title, abstract = text(record, *options.title), _abstract(record, options)
    if not title:
        return "no_title"
    if not abstract:
        return "no_abstract"
    lang = text(record, *options.lang) or None
    return [Pair(title, abstract, anchor_lang=lang, positive_lang=lang)]


def _abstract(record: dict[str, Any], options: Papers) -> str:
    for field in options.abstract:
        value = field_of(record, field)
        if isinstance(value, list):
            whole = "\n".join(filter(None, (_paragraph(part, field) for part in value)))
        else:
            whole = text(record, field)
            whole = "\n".join(part.strip() for part in whole.split(":::")) if ":::" in whole else whole
        if whole:
            return whole
    return ""


def _paragraph(part: Any, field: str) -> str:
    if isinstance(part, str):
        return part.strip()
    if isinstance(part, dict):
        return text(part, "text")
    raise WrongRecord(f"{field}: holds {type(part).__name__} instead of paragraphs")


def _annotated(content: dict[str, Any], kind: str) -> list[str]:
    """The texts of the spans of one kind, in order; those inside another left out."""
    body, annotations, field = content.get("text"), content["annotations"], f"content.annotations.{kind}"
    if not isinstance(body, str) or not isinstance(annotations, dict):
        return []  # a paper whose text may not be given
    spans = annotations.get(kind)
    if isinstance(spans, str):
        try:
            spans = orjson.loads(spans)
        except orjson.JSONDecodeError as error:
            raise WrongRecord(f"{field}: no JSON: {error}") from error
    places = sorted({_span(span, field) for span in listed(spans, field)}, key=lambda place: (place[0], -place[1]))
    apart = [b for a, b in pairwise([(-1, -1), *places]) if b[1] > a[1]]
    return [found for start, end in apart if (found := body[start:end].strip())]


def _span(span: dict[str, Any], field: str) -> tuple[int, int]:
    try:
        return int(span["start"]), int(span["end"])
    except (KeyError, TypeError, ValueError) as error:
        raise WrongRecord(f"{field}: a span without whole numbers start and end") from error
