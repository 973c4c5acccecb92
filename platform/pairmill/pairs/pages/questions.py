"""Questions and answers that a page marks up by schema.org (FAQPage, QAPage, or a Question by itself).

1. JSON-LD: every object of type Question, wherever it stands in the page's `application/ld+json` scripts; `{"@id": ..}`
   is looked up among the objects of its script. Scripts that are no JSON are passed over, as search engines do.
2. Microdata (`itemtype`, `itemprop`) and RDFa (`typeof`, `property`).
3. Of a question's answers the accepted one counts, else the suggested one with the highest `upvoteCount`. Questions of
   a quiz (`eduQuestionType`) suggest wrong answers: only accepted ones count.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from pairmill.pairs.pages.content import text_of

#: Values that are walked through in one script, references included.
_MAX_VALUES = 100_000


class Question(NamedTuple):
    """A question and its best answer, as text."""

    question: str
    answer: str


class _Answer(NamedTuple):
    accepted: bool
    votes: float
    html: str


def marked_up(page: Any) -> list[Question]:
    """A page's questions that have an answer, in order; each question once."""
    found: dict[str, Question] = {}
    for name, answers in [*_json_ld(page), *_attributes(page, *_MICRODATA), *_attributes(page, *_RDFA)]:
        question = " ".join(text_of(name).split())
        if question and question not in found and (answer := _best(answers)):
            found[question] = Question(question, answer)
    return list(found.values())


def _best(answers: list[_Answer]) -> str:
    """The text of the best answer that has some."""
    ranked = sorted(answers, key=lambda answer: (not answer.accepted, -answer.votes))  # stable: else the first
    return next(filter(None, (text_of(answer.html) for answer in ranked)), "")


def _json_ld(page: Any) -> Iterator[tuple[str, list[_Answer]]]:
    for script in page.select('script[type^="application/ld+json" i]'):
        document = _json(script.text or "")
        objects = list(_objects(document))
        by_id = {node["@id"]: node for node in objects if isinstance(node.get("@id"), str) and len(node) > 1}
        for node in objects:
            name = _text(node, "name", "text", "headline")
            if _is_question(node) and name:
                yield name, list(_answers(node, by_id))


def _json(source: str) -> Any:
    """The value of a script; None where it is no JSON. Line breaks inside strings are forgiven."""
    source = source.strip().removeprefix("<!--").removesuffix("-->").strip().rstrip(";")
    source = source.removeprefix("//<![CDATA[").removesuffix("//]]>")
    try:
        return orjson.loads(source)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(source, strict=False)
    except (ValueError, RecursionError):
        return None


def _objects(document: Any) -> Iterator[dict[str, Any]]:
    """All objects inside a JSON value, in order, without recursion."""
    stack, seen = [document], 0
    while stack and seen < _MAX_VALUES:
        value = stack.pop()
        seen += 1
        if isinstance(value, dict):
            yield value
            stack.extend(reversed(value.values()))
        elif isinstance(value, list):
            stack.extend(reversed(value))


def _is_question(node: dict[str, Any]) -> bool:
    types = node.get("@type")
    types = types if isinstance(types, list) else [types]
    return any(isinstance(name, str) and re.split(r"[/:#]", name)[-1] == "Question" for name in types)


def _answers(node: dict[str, Any], by_id: dict[str, dict[str, Any]]) -> Iterator[_Answer]:
    for key, accepted in (("acceptedAnswer", True), ("suggestedAnswer", False)):
        if not accepted and "eduQuestionType" in node:
            return
        value = node.get(key)
        for answer in value if isinstance(value, list) else [value]:
            if isinstance(answer, str):
                answer = {"text": answer}
            if isinstance(answer, dict):
                answer = by_id.get(answer.get("@id", ""), answer) if len(answer) == 1 else answer
                yield _Answer(
                    accepted, _number(answer.get("upvoteCount")), _text(answer, "text", "articleBody", "name")
                )


def _text(node: dict[str, Any], *keys: str) -> str:
    """The first of the properties that is text, or a list or language map ({"@value": ..}) with text."""
    for key in keys:
        value = node.get(key)
        value = value[0] if isinstance(value, list) and value else value
        value = value.get("@value") if isinstance(value, dict) else value
        if isinstance(value, str) and value.strip():
            return value
    return ""


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if math.isfinite(number) else 0.0


#: Selector of questions, attribute that names a property, and attribute of whatever has properties of its own.
_MICRODATA = ('[itemtype$="/Question" i]', "itemprop", "itemscope")
_RDFA = ('[typeof~="Question" i], [typeof~="schema:Question" i]', "property", "typeof")


def _attributes(page: Any, questions: str, prop: str, scope: str) -> Iterator[tuple[str, list[_Answer]]]:
    for item in page.select(questions):
        properties = list(item.query_selector_all(f"[{prop}]"))
        own = [node for node in properties if _owner(node, scope) == item]
        name = next((node for key in ("name", "text") for node in own if _names(node, prop, key)), None)
        answers = [
            _answer(node, prop, scope, accepted)
            for key, accepted in (("acceptedAnswer", True), ("suggestedAnswer", False))
            for node in own
            if _names(node, prop, key)
        ]
        if name is not None:
            yield _value(name), answers


def _owner(node: Any, scope: str) -> Any:
    """The element whose property a node is."""
    return node.parent.closest(f"[{scope}]") if node.parent_element is not None else None


def _names(node: Any, prop: str, key: str) -> bool:
    return key in (name.rpartition(":")[2] for name in node.getattr(prop).split())


def _answer(node: Any, prop: str, scope: str, accepted: bool) -> _Answer:
    inside = [each for each in node.query_selector_all(f"[{prop}]") if _owner(each, scope) == node]
    text = next((each for each in inside if _names(each, prop, "text")), node)
    votes = next((each for each in inside if _names(each, prop, "upvoteCount")), None)
    number = _number(votes.getattr("content") or votes.text) if votes is not None else 0.0
    return _Answer(accepted, number, _value(text))


def _value(node: Any) -> str:
    """A property's value: its `content` where it has one, else its HTML."""
    return node.getattr("content") or node.outer_html
