"""A query -> its relevant passage, with negatives: what msmarco.py and miracl.py share.

The input's files are the queries; judgements (TREC: `qid 0 docid relevance`), passages and, where there are any,
negatives by id come from the files that the builder's options name. All are read together.

1. Judgements and negatives go to the temporary disk under the query's id.
2. First reading of the queries: each one's passages are chosen, and their ids noted.
3. Of the collection, the passages whose ids were noted go to the temporary disk: a small part, as a rule.
4. Second reading: a query is the record of a pair for each of its relevant passages, in the order of the judgements.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any, NamedTuple

import orjson

from pairmill.pairs.batch import Batch, WrongRecord
from pairmill.pairs.builders import joining
from pairmill.pairs.builders.base import Pair, batches, text
from pairmill.pairs.builders.joining import number
from pairmill.pairs.builders.lookup import Lookup
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile
from pairmill.pairs.sources.records import Records
from pairmill.pairs.sources.streams import EXTENSIONS
from pairmill.spec.join_builders import Miracl, MsMarco

_JUDGEMENTS = {4: ("qid", "iteration", "docid", "relevance"), 3: ("qid", "docid", "relevance")}
_NEGATIVES = {3: ("qid", "positive", "negative")}
_PASSAGES = {2: ("id", "text"), 4: ("id", "url", "title", "text")}
Options = MsMarco | Miracl


def find(spec: Any, passages: list[str]) -> list[SourceFile]:
    return joining.find_together(spec, _roles(spec.builder, passages))


def read(spec: Any, piece: Piece, passages: list[str], batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    """The batches of a world. `passages`: the files of the collection, as the builder's options name them."""
    options, langs = spec.builder, spec.langs
    files = joining.files_of(piece, _roles(options, passages))
    with ExitStack() as stack:
        tables = _Tables(*(stack.enter_context(Lookup()) for _ in range(4)))
        collect = _Collect(options, tables)
        for uri in files["judgement"]:
            for some in joining.delimited(spec, uri, _JUDGEMENTS, batch_rows, None):
                yield joining.collect(some, "judgement", collect.judgement, langs)
        for uri in files.get("negatives", []):
            for some in _records(spec, uri, _NEGATIVES, ["qid", "neg"], batch_rows):
                yield joining.collect(some, "negatives", collect.negatives, langs)
        for uri in files[None]:
            for some in joining.records(spec, uri):
                chosen = _chosen(options, tables, some)
                tables.noted.add({(docid, None) for choice in chosen.values() for docid in choice.docids()})
        for uri in files["passage"]:
            for some in _records(spec, uri, _PASSAGES, [options.passage_id, "text"], batch_rows):
                yield joining.collect(some, "passage", collect.passages(some), langs)
        for uri in files[None]:
            for some in joining.records(spec, uri, batch_rows):
                chosen = _chosen(options, tables, some)
                texts = tables.passages.get([docid for choice in chosen.values() for docid in choice.docids()])
                yield from batches(some, _Build(options, chosen, texts), langs)


def _roles(options: Options, passages: list[str]) -> joining.Roles:
    return {
        "judgement": options.qrels,
        "passage": passages,
        **({"negatives": options.negatives} if options.negatives else {}),
    }


def _records(spec: Any, uri: str, shapes: joining.Shapes, names: list[str], batch_rows: int) -> Iterator[Records]:
    if _is_json(uri):
        return joining.objects(spec, uri, names, batch_rows)
    return joining.delimited(spec, uri, shapes, batch_rows)


def _is_json(uri: str) -> bool:
    """Whether a file is JSON Lines or a table, by its name."""
    plain, dot, last = uri.rpartition(".")
    name = plain if dot + last in EXTENSIONS else uri
    return name.endswith((".jsonl", ".json", ".ndjson"))


class _Tables(NamedTuple):
    judgements: Lookup  # qid -> [docid, relevance] each
    negatives: Lookup  # qid -> [the positive they belong to or null, docids] each
    noted: Lookup  # the docids that are needed
    passages: Lookup  # docid -> text


class _Collect:
    def __init__(self, options: Options, tables: _Tables):
        self.options, self.tables = options, tables

    def judgement(self, row: int, record: dict[str, Any]) -> list[tuple[Lookup, Any, Any]] | str:
        if row == 0 and not record["relevance"].lstrip("-").isdigit():
            return "header"
        judged = [record["docid"], number(record, "relevance")]
        return [(self.tables.judgements, record["qid"], orjson.dumps(judged))]

    def negatives(self, row: int, record: dict[str, Any]) -> list[tuple[Lookup, Any, Any]] | str:
        if "negative" in record and "positive" in record:
            found = [record["positive"], [record["negative"]]]
        else:
            found = [None, _by_system(record.get("neg"))]
        return [(self.tables.negatives, _id(record, "qid"), orjson.dumps(found))]

    def passages(self, some: Records) -> joining.Rows:
        field_of_id = self.options.passage_id if _is_json(some.uri) else "id"
        noted = self.tables.noted.known([str(record.get(field_of_id)) for _, record in some.items])

        def rows(row: int, record: dict[str, Any]) -> list[tuple[Lookup, Any, Any]]:
            docid = _id(record, field_of_id)
            title, body = text(record, "title"), text(record, "text")
            if docid not in noted:
                return []
            return [(self.tables.passages, docid, f"{title}\n{body}" if title and body else body)]

        return rows


@dataclass
class _Choice:
    """A query's relevant passages and the negatives of each."""

    negatives: dict[str, list[str]] = field(default_factory=dict)

    def docids(self) -> Iterator[str]:
        return chain(self.negatives, *self.negatives.values())


def _chosen(options: Options, tables: _Tables, some: Records) -> dict[str, _Choice]:
    """The choice for each query that has a judgement."""
    qids = [str(record.get(options.id)) for _, record in some.items]
    given = tables.negatives.get_all(qids) if options.negatives else {}
    return {
        qid: _choose(options, [orjson.loads(value) for value in judged], [orjson.loads(v) for v in given.get(qid, [])])
        for qid, judged in tables.judgements.get_all(qids).items()
    }


def _choose(options: Options, judged: list[Any], given: list[Any]) -> _Choice:
    relevant = dict.fromkeys(docid for docid, relevance in judged if relevance >= options.min_relevance)
    irrelevant = [docid for docid, relevance in judged if relevance < 1]
    never = {docid for docid, relevance in judged if relevance >= 1}
    choice = _Choice()
    for positive in relevant:
        others = (docid for of, docids in given if of in (None, positive) for docid in docids)
        negatives = [docid for docid in dict.fromkeys(chain(irrelevant, others)) if docid not in never]
        choice.negatives[positive] = negatives[: options.max_negatives]
    return choice


class _Build:
    def __init__(self, options: Options, chosen: dict[str, _Choice], texts: dict[str, str]):
        self.options, self.chosen, self.texts = options, chosen, texts

    def __call__(self, row: int, record: dict[str, Any]) -> list[Pair] | str:
        qid, query = _id(record, self.options.id), text(record, self.options.query)
        if not query:
            return "no_query"
        choice = self.chosen.get(qid)
        if choice is None:
            return "no_judgement"
        if not choice.negatives:
            return "no_relevant"
        pairs = []
        for positive, docids in choice.negatives.items():
            negatives = [found for docid in docids if (found := self.texts.get(docid))]
            if passage := self.texts.get(positive):
                pairs.append(Pair(query, passage, negatives or None))
        return pairs or "passage_not_found"


def _id(record: dict[str, Any], field: str) -> str:
    value = record.get(field)
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise WrongRecord(f"{field}: {str(value)[:40]!r} is no id")
    return str(value)


def _by_system(found: Any) -> list[str]:
    """Docids of a list, or of lists by system, one of each in turn. Raises WrongRecord for anything else."""
    lists = list(found.values()) if isinstance(found, dict) else [found]
    if not all(isinstance(ids, list) for ids in lists):
        raise WrongRecord(f"neg: {type(found).__name__} instead of a list of ids, or of such lists by system")
    mixed = [docid for turn in zip_longest(*lists) for docid in turn if docid is not None]
    return [_id({"neg": docid}, "neg") for docid in mixed]
