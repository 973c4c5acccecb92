"""From a task's files to its subsets: tables of what mteb's evaluators want, one subset for each value of `by`.

| type | parts |
|---|---|
| sts, pair-classification, bitext | `rows`: id, sentence1, sentence2, value (score, label 0 or 1, nothing) |
| classification | `rows` and `train`: id, text, label |
| clustering | `rows`: id, text, label |
| retrieval | `queries`: id, text; `corpus`: id, title, text; `qrels`: query_id, document_id, score |
| reranking | the same and `ranked`: query_id, document_id |

Rows whose texts are empty, those of a pair classification with another label, and queries that no document answers are
left out and counted.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from pairmill.errors import SourceError
from pairmill.evaluate import records
from pairmill.evaluate.growing import Growing, Record, adder, grade
from pairmill.evaluate.languages import codes_in
from pairmill.spec.evaluate import COLUMNS, PARTS, RETRIEVAL, Files, Task

#: The subset of a task without `by`, as mteb calls it.
DEFAULT = "default"
Parts = dict[str, pa.Table]
_BATCH_ROWS = 4096


@dataclass
class Subset:
    """Part of a task. `codes` are the language codes of its texts."""

    name: str
    codes: list[str]
    parts: Parts

    @property
    def rows(self) -> int:
        return len(self.parts["queries" if "queries" in self.parts else "rows"])


_SCHEMAS = {
    "pairs": ["id", "sentence1", "sentence2", "value"],
    "texts": ["id", "text", "label"],
    "queries": ["id", "text"],
    "corpus": ["id", "title", "text"],
    "qrels": ["query_id", "document_id", "score"],
    "ranked": ["query_id", "document_id"],
}


def read(task: Task) -> tuple[list[Subset], dict[str, int]]:
    """The subsets of a local task, in the order of their names; and how many records were left out, by reason.

    Raises SourceError where a record does not fit, or nothing is left.
    """
    left_out: Counter[str] = Counter()
    if task.qrels is not None:
        growing = {DEFAULT: _of_three_files(task, left_out)}
    else:
        growing = _of_records(task, left_out)
    corpus = None if task.corpus is None else _shared(task)
    found = [_subset(task, name, grown, corpus) for name, grown in sorted(growing.items())]
    if not found:
        raise SourceError(f"task {task.called}: no record is left. Look at its `where`; left out: {dict(left_out)}.")
    return found, dict(left_out)


def content(table: pa.Table) -> str:
    """A digest of all that a table holds; batch by batch, as a corpus may be large."""
    held = hashlib.blake2b(digest_size=16)
    for batch in table.combine_chunks().to_batches(_BATCH_ROWS):
        held.update(json.dumps(batch.to_pydict()).encode())
    return held.hexdigest()


def _of_records(task: Task, left_out: Counter[str]) -> dict[str, Growing]:
    files = task.files()["rows"]
    add = adder(task)
    growing: dict[str, Growing] = {}
    for part, chosen in [("", files), *_training(task, files)]:
        numbers: Counter[str] = Counter()
        for name, record, place in _records(task, chosen):
            grown = growing.get(name) or Growing()
            record["id"] = str(numbers[name]) if record.get("id") is None else str(record["id"])
            record["part"] = part
            reason = add(grown, record, place)
            if reason is not None:
                left_out[reason] += 1
                continue
            numbers[name] += 1
            growing[name] = grown
    return growing


def _training(task: Task, files: Files) -> Iterator[tuple[str, Files]]:
    if task.train is not None:
        yield "train", files.model_copy(update={"where": {**files.where, **task.train}})


def _records(task: Task, files: Files) -> Iterator[tuple[str, Record, str]]:
    """Subset, columns by the names of the type, and place of each record."""
    if task.across is not None:
        yield from _across(task, task.across, files)
        return
    for record, values, place in _named(task, "rows", files, task.by):
        yield "-".join(str(values[name]) for name in task.by) or DEFAULT, record, place


def _across(task: Task, item: str, files: Files) -> Iterator[tuple[str, Record, str]]:
    """The same of pairs of translations: an item's first sentence in one language, its second in another."""
    items: dict[str, dict[str, tuple[Record, str]]] = {}
    for record, values, place in _named(task, "rows", files, [*task.by, item]):
        held = items.setdefault(str(values[item]), {})
        if known := held.get(language := str(values[task.by[0]])):
            raise SourceError(
                f"{place}: {item} {values[item]} stands in {language} at {known[1]} already. Choose records by "
                "`where`, or name another column in `across`."
            )
        held[language] = (record, place)
    for name, held in items.items():
        for (one, (first, place)), (other, (second, _)) in permutations(held.items(), 2):
            yield f"{one}-{other}", {**first, "sentence2": second["sentence2"], "id": name}, place


def _named(task: Task, part: str, files: Files, others: Sequence[str] = ()) -> Iterator[tuple[Record, Record, str]]:
    """Each record by the names of the type, and by those of its columns with `others`; and where it stands."""
    must, may = _columns(task, part, files)
    for values, place in records.read(files, [*must.values(), *others], list(may.values())):
        yield {name: values[column] for name, column in {**must, **may}.items()}, values, place


def _columns(task: Task, part: str, files: Files) -> tuple[dict[str, str], dict[str, str]]:
    """The columns that must be there, and those that may, by what the type calls them; `part` is a key of `Task.files`.

    Of records, optional columns are read where the spec names them. A document's text may come from `corpus`.
    """
    required, optional = COLUMNS[str(task.type)] if part == "rows" else PARTS[part]
    if part == "rows" and task.corpus is not None:
        required, optional = ("query", "document_id"), ("query_id", "score")
    must = {name: files.columns.get(name, name) for name in (*required, *optional)}
    may = {name: must.pop(name) for name in optional if name not in files.columns}
    return must, {} if part == "rows" else may


def needed_columns(task: Task, part: str, files: Files) -> list[str]:
    """The columns of a file that are read; `part` is a key of `Task.files`."""
    must, may = _columns(task, part, files)
    others = [*task.by, *(task.train or ()), *([task.across] if task.across else ())]
    return [*must.values(), *may.values(), *(others if part == "rows" else ())]


def _shared(task: Task) -> pa.Table:
    """The documents of `corpus`, those without a text too: their title may answer a query."""
    grown, files = Growing(), task.files()["corpus"]
    for record, _, place in _named(task, "corpus", files):
        grown.add_once("corpus", (str(record["id"]), str(record["title"] or ""), str(record["text"] or "")), place)
    return _table("corpus", grown.parts.get("corpus", []))


def _of_three_files(task: Task, left_out: Counter[str]) -> Growing:
    """Queries and qrels of files of their own, as BEIR has them (arXiv 2104.08663)."""
    files, grown = task.files(), Growing()
    for record, _, place in _named(task, "qrels", files["qrels"]):
        grown.add("qrels", (str(record["query_id"]), str(record["document_id"]), grade(record, place)))
    judged = {query for query, _, _ in grown.parts.get("qrels", ())}
    for record, _, place in _named(task, "queries", files["queries"]):
        name, text = str(record["id"]), str(record["text"] or "")
        if name not in judged or not text.strip():
            left_out["empty" if name in judged else "without a document"] += 1
        else:
            grown.add_once("queries", (name, text), place)
    return grown


def _subset(task: Task, name: str, grown: Growing, corpus: pa.Table | None) -> Subset:
    parts = {}
    for part, rows in grown.parts.items():
        kind = part if part in _SCHEMAS else "texts" if task.type in ("classification", "clustering") else "pairs"
        parts[part] = _table(kind, rows)
    if corpus is not None:
        parts["corpus"] = corpus
    parts = _limited(parts, task.limit)
    _check(task, name, parts)
    codes = codes_in(name) if task.by else []
    return Subset(name, [*codes, *(code for code in task.languages if code not in codes)], parts)


def _table(kind: str, rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(_SCHEMAS[kind])
    return pa.table(dict(zip(_SCHEMAS[kind], map(list, columns), strict=True)))


def _limited(parts: Parts, limit: int | None) -> Parts:
    """At most so many rows or queries, those whose ids have the lowest hashes; documents stay."""
    part = "queries" if "queries" in parts else "rows"
    if limit is None or part not in parts or len(parts[part]) <= limit:
        return parts
    hashes = np.array([xxhash.xxh3_64_intdigest(one.encode()) for one in parts[part]["id"].to_pylist()], np.uint64)
    kept = np.sort(np.argsort(hashes, kind="stable")[:limit])
    return {**parts, part: parts[part].take(pa.array(kept))}


def _check(task: Task, name: str, parts: Parts) -> None:
    """Raise SourceError where the subset is no task."""
    place = f"task {task.called}, subset {name}"
    part = "queries" if task.type in (*RETRIEVAL, "reranking") else "rows"
    if part not in parts or not len(parts[part]):
        raise SourceError(f"{place}: no {part} are left. Look at `where` and `columns`.")
    if task.type == "classification" and "train" not in parts:
        raise SourceError(f"{place}: no records to learn from. Look at `train`.")
    if task.type in ("classification", "clustering", "pair-classification", "sts"):
        column = "label" if "label" in parts["rows"].column_names else "value"
        if len(set(parts["rows"][column].to_pylist())) < 2:
            raise SourceError(f"{place}: all rows have the same {column}. Look at `where`, `columns` and `labels`.")
    if part == "queries":
        known = set(parts["corpus"]["id"].to_pylist()) if "corpus" in parts else set()
        lost = next((one for one in parts["qrels"]["document_id"].to_pylist() if one not in known), None)
        if lost is not None:
            raise SourceError(f"{place}: the document {lost!r} is relevant but not in the corpus. Look at `corpus`.")
