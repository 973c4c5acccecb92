"""A query -> a relevant passage, irrelevant ones as negatives: MS MARCO's triples (Nguyen et al., 1611.09268), which
E5 and GTE are fine-tuned on, hard negatives as FlagEmbedding, sentence-transformers, DPR and Tevatron write them.

With `instruction`, the query comes behind its task: synthetic data have one for each record (Wang et al., 2401.00368;
multilingual E5, 2402.05672, section 2.3).

A passage is a text, or an object with `text` (DPR, Tevatron) and perhaps a `title`; a field holds one or a list.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count
from typing import Any

from pairmill.pairs.builders.base import Pair, WrongRecord, field_of, text
from pairmill.spec.record_builders import Triples

_HOLES = re.compile(r"(\{task\}|\{text\})")


def build(record: dict[str, Any], options: Triples) -> list[Pair] | str:
    query = text(record, *options.query)
    if not query:
        return "no_query"
    if options.instruction:
        task = text(record, *options.instruction)
        if not task:
            return "no_instruction"
        query = _instructed(task, query, options.instruction_template)
    positives = _passages(record, options.positive, options)
    if not positives:
        return "no_positive"
    excluded = set(positives)
    negatives = [passage for passage in _negatives(record, options) if passage not in excluded][: options.negatives]
    lang = text(record, *options.lang) or None
    return [Pair(query, positive, negatives or None, lang, lang) for positive in positives[: options.positives]]


def _instructed(task: str, query: str, template: str) -> str:
    filled = {"{task}": task, "{text}": query}
    return "".join(filled.get(part, part) for part in _HOLES.split(template))


def _negatives(record: dict[str, Any], options: Triples) -> list[str]:
    found = _passages(record, options.negative, options)
    if len(found) >= options.negatives or not options.negative:
        return found
    for number in count(1):
        field = f"{options.negative[0]}_{number}"
        if field not in record:
            return list(dict.fromkeys(found))
        found += _passages(record, [field], options)
    return found


def _passages(record: dict[str, Any], fields: Sequence[str], options: Triples) -> list[str]:
    """The passages of the first field that holds some, each once."""
    for field in fields:
        value = field_of(record, field)
        values = value if isinstance(value, list) else [] if value is None else [value]
        if found := [passage for item in values if (passage := _passage(item, field, options))]:
            return list(dict.fromkeys(found))
    return []


def _passage(item: Any, field: str, options: Triples) -> str:
    if isinstance(item, str):
        return item.strip()
    if not isinstance(item, dict):
        raise WrongRecord(f"{field}: {type(item).__name__} instead of a passage")
    body, title = text(item, "text", "passage_text"), text(item, "title") if options.title else ""
    return f"{title}\n{body}" if title and body else body
