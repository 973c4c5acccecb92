"""A paper -> each paper it cites, where the input has both (S2ORC 1911.02782; Semantic Scholar's open corpus, S2AG).

A record is a paper: id, title, abstract and, in S2ORC, the list of ids it cites. S2AG keeps abstracts and citations in
tables of their own (`abstracts`, `links`). All files of the input are read together.

1. First reading: titles and abstracts of all papers, and the tables, go to the temporary disk.
2. Second reading: a paper is the record of its pairs. Cited papers that are not in the input or lack an abstract are
   passed over; of the others the `max_per_paper` with the lowest hash of both ids are taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

from pairmill.pairs.batch import Batch, WrongRecord
from pairmill.pairs.builders import joining
from pairmill.pairs.builders.base import Pair, batches, text
from pairmill.pairs.builders.joining import split
from pairmill.pairs.builders.lookup import Lookup
from pairmill.pairs.sources.base import BATCH_ROWS, Piece, SourceFile
from pairmill.spec.join_builders import Citations

#: Cited ids of one paper beyond these are not looked at: some records list tens of thousands.
MAX_CITED = 2000


def find(spec: Any) -> list[SourceFile]:
    return joining.find_together(spec, _roles(spec.builder))


def read(spec: Any, piece: Piece, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
    options, langs = spec.builder, spec.langs
    files = joining.files_of(piece, _roles(options))
    with ExitStack() as stack:
        tables = _Tables(*(stack.enter_context(Lookup()) for _ in range(3)))
        collect = _Collect(options, tables)
        for uri in files.get("abstract", []):
            for some in joining.objects(spec, uri, [options.id, options.abstract], batch_rows):
                yield joining.collect(some, "abstract", collect.abstract, langs)
        for uri in files.get("link", []):
            for some in joining.objects(spec, uri, [options.citing, options.cited], batch_rows):
                yield joining.collect(some, "link", collect.link, langs)
        for uri in files[None]:
            for some in joining.records(spec, uri):
                joining.collect(some, "", collect.paper, langs)
        for uri in files[None]:
            for some in joining.records(spec, uri, batch_rows):
                build = _Build(options, *_surroundings(options, tables, some.items))
                yield from batches(some, build, langs)


def _roles(options: Citations) -> joining.Roles:
    named = {"abstract": options.abstracts, "link": options.links}
    return {role: paths for role, paths in named.items() if paths}


class _Tables(NamedTuple):
    titles: Lookup
    abstracts: Lookup
    links: Lookup  # citing id -> cited ids


class _Collect:
    def __init__(self, options: Citations, tables: _Tables):
        self.options, self.tables = options, tables

    def abstract(self, row: int, record: dict[str, Any]) -> list[tuple[Lookup, Any, Any]] | str:
        abstract = text(record, self.options.abstract)
        return [(self.tables.abstracts, _id(record, self.options.id), abstract)] if abstract else "no_abstract"

    def link(self, row: int, record: dict[str, Any]) -> list[tuple[Lookup, Any, Any]] | str:
        if record.get(self.options.citing) is None or record.get(self.options.cited) is None:
            return "unresolved_link"  # S2AG lists references it could not match
        return [(self.tables.links, _id(record, self.options.citing), _id(record, self.options.cited))]

    def paper(self, row: int, record: dict[str, Any]) -> list[tuple[Lookup, Any, Any]] | str:
        key, title, abstract = _paper(record, self.options)
        rows: list[tuple[Lookup, Any, Any]] = [(self.tables.titles, key, title)]
        return [*rows, (self.tables.abstracts, key, abstract)] if abstract else rows


class _Build:
    def __init__(self, options: Citations, papers: dict[str, tuple[str, str]], links: dict[str, list[str]]):
        self.options, self.papers, self.links = options, papers, links

    def __call__(self, row: int, record: dict[str, Any]) -> list[Pair] | str:
        key, title, _ = _paper(record, self.options)
        if not title:
            return "no_title"
        cited = self.links.get(key, []) if self.options.links else _cited(record, self.options)
        if not cited:
            return "no_citations"
        there = {other for other in cited if other != key and all(self.papers.get(other, ("", "")))}
        if not there:
            return "cited_not_found"
        chosen = sorted(there, key=lambda other: _draw(key, other))[: self.options.max_per_paper]
        abstract = self.papers[key][1] if self.options.anchor == "title-abstract" else ""
        anchor = f"{title}\n{abstract}" if abstract else title
        return [Pair(anchor, "\n".join(self.papers[other])) for other in chosen]


def _surroundings(
    options: Citations, tables: _Tables, items: list[tuple[int, dict[str, Any]]]
) -> tuple[dict[str, tuple[str, str]], dict[str, list[str]]]:
    """Title and abstract of every paper of a batch and of those they cite, and who cites whom by the table of links."""
    own: set[str] = set()
    cited: set[str] = set()
    for _, record in items:
        try:
            own.add(_id(record, options.id))
            cited.update(() if options.links else _cited(record, options))
        except WrongRecord:
            continue
    links = {key: others[:MAX_CITED] for key, others in tables.links.get_all([*own]).items()} if options.links else {}
    wanted = [*own.union(cited, *links.values())]
    titles, abstracts = tables.titles.get(wanted), tables.abstracts.get(wanted)
    return {key: (title, abstracts.get(key, "")) for key, title in titles.items()}, links


def _paper(record: dict[str, Any], options: Citations) -> tuple[str, str, str]:
    """Id, title and abstract. Raises WrongRecord where a field, the cited ids included, is not what it must be."""
    _cited(record, options)
    return _id(record, options.id), text(record, options.title), text(record, options.abstract)


def _cited(record: dict[str, Any], options: Citations) -> list[str]:
    found = record.get(options.cites)
    if found is None or options.links:
        return []
    if not isinstance(found, list):
        raise WrongRecord(f"{options.cites}: {type(found).__name__} instead of a list of ids")
    return [_as_id(value, options.cites) for value in found[:MAX_CITED]]


def _id(record: dict[str, Any], field: str) -> str:
    return _as_id(record.get(field), field)


def _as_id(value: Any, field: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise WrongRecord(f"{field}: {str(value)[:40]!r} is no id")
    return str(value)


def _draw(citing: str, cited: str) -> tuple[bytes, str]:
    """The place of a citation in the draw: the same whatever else is in the input."""
    return hashlib.blake2b(f"{citing}\n{cited}".encode("utf-8", "replace"), digest_size=8).digest(), cited


__all__ = ["find", "read", "split"]
