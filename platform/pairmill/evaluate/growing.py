"""From a record of a task's files to rows of its parts (`subsets.py` says which parts a type has).

An adder takes a record by the names of `spec.evaluate.COLUMNS`, adds its rows, and says why where it leaves it out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import xxhash

from pairmill.errors import SourceError
from pairmill.spec.evaluate import RETRIEVAL, Task


@dataclass
class Growing:
    """Columns of the parts of a subset while they are read."""

    parts: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    known: dict[tuple[str, str], Any] = field(default_factory=dict)

    def add(self, part: str, row: tuple[Any, ...]) -> None:
        self.parts.setdefault(part, []).append(row)

    def add_once(self, part: str, row: tuple[Any, ...], place: str) -> None:
        """Add a row by its id, its first value. Raises SourceError where the id stands for something else already."""
        key = (part, row[0])
        if key not in self.known:
            self.known[key] = row
            self.add(part, row)
        elif self.known[key] != row:
            raise SourceError(
                f"{place}: the id {row[0]!r} of {part} stands for two different texts. Name another id column, or "
                "part the records with `by` or `where`."
            )


Record = dict[str, Any]
Add = Callable[[Growing, Record, str], str | None]


def adder(task: Task) -> Add:
    """What adds the records of a local task of one file."""
    return _labelled(task) if task.type == "pair-classification" else _ADD[str(task.type)]


def grade(record: Record, place: str) -> int:
    """How relevant a document is; 1 where nobody said. Raises SourceError for what is no whole number."""
    if record.get("score") is None:
        return 1
    value = _number(record["score"], "score", place)
    if value != int(value):
        raise SourceError(f"{place}: score {record['score']!r} is no whole number. Name another column in `columns`.")
    return int(value)


def text_id(text: str) -> str:
    """What identifies a text that has no id."""
    return xxhash.xxh3_128_hexdigest(text.encode("utf-8", "surrogatepass"))


def _empty(*texts: Any) -> bool:
    return any(not isinstance(text, str) or not text.strip() for text in texts)


def _number(value: Any, what: str, place: str) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise SourceError(f"{place}: {what} {value!r} is no number. Name another column in `columns`.")
    return found


def _scored(grown: Growing, record: Record, place: str) -> str | None:
    if _empty(record["sentence1"], record["sentence2"]):
        return "empty"
    value = _number(record["score"], "score", place) if "score" in record else 0.0
    grown.add("rows", (record["id"], record["sentence1"], record["sentence2"], value))
    return None


def _labelled(task: Task) -> Add:
    positive, negative = (task.labels.positive, task.labels.negative) if task.labels else (["1"], ["0"])
    values = {**dict.fromkeys(positive, 1.0), **dict.fromkeys(negative, 0.0)}

    def add(grown: Growing, record: Record, place: str) -> str | None:
        if _empty(record["sentence1"], record["sentence2"]):
            return "empty"
        if str(record["label"]) not in values:
            return "other label"
        grown.add("rows", (record["id"], record["sentence1"], record["sentence2"], values[str(record["label"])]))
        return None

    return add


def _text(grown: Growing, record: Record, place: str) -> str | None:
    if _empty(record["text"]) or record["label"] is None:
        return "empty"
    grown.add(record["part"] or "rows", (record["id"], record["text"], str(record["label"])))
    return None


def _asked(grown: Growing, record: Record, place: str) -> str | None:
    """A question and a document that answers it, here or in `corpus`."""
    if _empty(record["query"], record.get("document", "-")):
        return "empty"
    query, document = record.get("query_id"), record.get("document_id")
    query = text_id(record["query"]) if query is None else str(query)
    title = str(record.get("title") or "")
    if "document" in record:
        document = text_id(title + "\n" + record["document"]) if document is None else document
        grown.add_once("corpus", (str(document), title, record["document"]), place)
    grown.add_once("queries", (query, record["query"]), place)
    grown.add("qrels", (query, str(document), grade(record, place)))
    return None


def _ranked(grown: Growing, record: Record, place: str) -> str | None:
    """A question, documents that answer it, and others; what is both is an answer."""
    good, bad = (_list(record[name]) for name in ("positive", "negative"))
    if _empty(record["query"], *good, *bad):
        return "empty"
    good = list(dict.fromkeys(good))
    bad = [text for text in dict.fromkeys(bad) if text not in good]
    if not good or not bad:
        return "without both kinds"
    query = f"q{record['id']}"
    grown.add_once("queries", (query, record["query"]), place)
    for text, score in [*((text, 1) for text in good), *((text, 0) for text in bad)]:
        grown.add_once("corpus", (text_id(text), "", text), place)
        grown.add("qrels", (query, text_id(text), score))
        grown.add("ranked", (query, text_id(text)))
    return None


_ADD: dict[str, Add] = {
    "sts": _scored,
    "bitext": _scored,
    "classification": _text,
    "clustering": _text,
    "reranking": _ranked,
    **dict.fromkeys(RETRIEVAL, _asked),
}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value is not None else []
