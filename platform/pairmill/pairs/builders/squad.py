"""A question -> the passage that answers it, from question-answering sets in SQuAD's format.

1. Articles: `{title, paragraphs: [{context, qas: [{question, answers, is_impossible}]}]}`, the items of `data`
   (Rajpurkar et al., 1606.05250, 1806.03822; XQuAD, MLQA, JaQuAD, SQuAD-it, DRCD, KorQuAD and others). A paragraph may
   also be the record: MRQA's lines, CMRC's `{context_text, qas: [{query_text, answers}]}`.
2. Rows `{id, title, context, question, answers: {text: [..], answer_start: [..]}}`, as the Hugging Face hub has them.

A question is the record that is counted; what holds no question counts itself.
"""

from __future__ import annotations

import re
from typing import Any

from pairmill.pairs.builders.base import Pair, WrongRecord, listed, text
from pairmill.spec.record_builders import Squad

#: Ends of sentences: a full stop and its like before white space, those of CJK scripts anywhere.
_SENTENCE_END = re.compile(r"[.!?…؟।።။]+[\"'”’»)\]]*(?=\s)|[。！？]+[」』”’）]*|\n+")


def expand(record: dict[str, Any], options: Squad) -> list[dict[str, Any]]:
    """The questions of an article or a paragraph, each with its context and title; none: the record is a row."""
    if "paragraphs" in record:
        title = record.get("title")
        paragraphs = listed(record["paragraphs"], "paragraphs")
        return [part for paragraph in paragraphs for part in _questions(paragraph, title, record)]
    return _questions(record, record.get("title"), {}) if "qas" in record else []


def _questions(paragraph: dict[str, Any], title: Any, article: dict[str, Any]) -> list[dict[str, Any]]:
    context = paragraph.get("context", paragraph.get("context_text"))
    shared = {key: value for key, value in article.items() if key != "paragraphs"}
    questions = listed(paragraph.get("qas"), "qas")
    return [{**shared, "title": title, "context": context, **question} for question in questions]


def build(record: dict[str, Any], options: Squad) -> list[Pair] | str:
    if "header" in record:
        return "header"  # the first line of MRQA's files
    question, context = text(record, "question", "query_text"), text(record, "context", "passage")
    if not question:
        return "no_question"
    if not context:
        return "no_context"
    if record.get("is_impossible") is True:
        return "unanswerable"
    answers = _answers(record)
    if answers == []:
        return "unanswerable"
    if options.passage == "sentence":
        context = _sentence(record, context, answers or [])
        if not context:
            return "answer_not_in_context"
    if options.title and (title := text(record, "title")):
        context = f"{title.replace('_', ' ')}\n{context}"
    lang = text(record, *options.lang) or None
    return [Pair(question, context, anchor_lang=lang, positive_lang=lang)]


def _answers(record: dict[str, Any]) -> list[tuple[str, int]] | None:
    """Answers and where they start in the context (-1: not said); None where the record has no such field."""
    value = record.get("answers")
    if value is None:
        return None
    if isinstance(value, dict):  # columns instead of rows
        texts = listed(value.get("text"), "answers.text", str)
        starts = value.get("answer_start")
        starts = starts if isinstance(starts, list) and len(starts) == len(texts) else [-1] * len(texts)
        return [(answer, _start(start)) for answer, start in zip(texts, starts, strict=True)]
    if not isinstance(value, list):
        raise WrongRecord(f"answers: {type(value).__name__} instead of a list")
    return [_answer(item) for item in value]


def _answer(item: Any) -> tuple[str, int]:
    if isinstance(item, str):
        return item, -1
    if not isinstance(item, dict):
        raise WrongRecord(f"answers: holds {type(item).__name__} instead of answers")
    return text(item, "text"), _start(item.get("answer_start"))


def _start(value: Any) -> int:
    return value if isinstance(value, int) else -1


def _sentence(record: dict[str, Any], context: str, answers: list[tuple[str, int]]) -> str:
    """The sentence of `context` (stripped) that holds the first answer found; empty where none is."""
    whole = record.get("context") or record.get("passage") or ""
    moved = len(whole) - len(whole.lstrip())
    for answer, start in answers:
        at = start - moved
        if not answer or (start < 0 or not context.startswith(answer, max(at, 0))):
            at = context.find(answer) if answer else -1
        if at >= 0:
            return _around(context, at, at + len(answer))
    return ""


def _around(context: str, start: int, stop: int) -> str:
    ends = [match.end() for match in _SENTENCE_END.finditer(context)]
    first = max((end for end in ends if end <= start), default=0)
    last = min((end for end in ends if end >= stop), default=len(context))
    return context[first:last].strip()
