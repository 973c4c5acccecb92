"""Pair builders: from the records of a dump to pairs. One module per builder.

A builder of single records is a module with `build(record, options) -> list[Pair] | str` and one line in `SINGLE`;
one that brings records together has `find`, `split` and `read`, as a format does, and one line in `JOINING`. Its
options are a model in `spec/`. What a builder drops is counted under `no_pair`.

Two things a builder of single records may have besides: `expand`, where the records to count stand inside others
(`EXPANDING`), and `langs`, where a file's name says its language (`NAMED_LANGS`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pairmill.pairs.batch import Batch
from pairmill.pairs.builders import (
    anchors,
    citations,
    code,
    faq,
    heading_section,
    miracl,
    msmarco,
    news,
    nli,
    papers,
    prompts,
    reddit,
    squad,
    stackexchange,
    sts,
    title_body,
    triples,
    wikipedia,
)
from pairmill.pairs.builders.base import Build, Expand, Pair, batches, expanded
from pairmill.pairs.sources.records import Records
from pairmill.spec.inputs import Langs

SINGLE: dict[str, Build] = {
    "code": code.build,
    "faq": faq.build,
    "heading-section": heading_section.build,
    "news": news.build,
    "papers": papers.build,
    "prompts": prompts.build,
    "squad": squad.build,
    "sts": sts.build,
    "title-body": title_body.build,
    "triples": triples.build,
    "wikipedia": wikipedia.build,
}
JOINING: dict[str, Any] = {
    "anchors": anchors,
    "citations": citations,
    "miracl": miracl,
    "msmarco": msmarco,
    "reddit": reddit,
    "stackexchange": stackexchange,
    "nli": nli,
}
#: The records inside a record. Files read so are never cut: rows are numbered from a file's start.
EXPANDING: dict[str, Expand] = {"squad": squad.expand}
#: A file's URI and the input's languages -> the languages of its records that declare none.
NAMED_LANGS: dict[str, Callable[[str, Langs], Langs]] = {"wikipedia": wikipedia.langs}


def read(spec_input: Any, records: Iterator[Records], batch_rows: int) -> Iterator[Batch]:
    """The pairs of an input whose builder looks at one record at a time."""
    name, options, langs = spec_input.builder.name, spec_input.builder, spec_input.langs
    if name in EXPANDING:
        records = expanded(records, EXPANDING[name], options, batch_rows)
    named = NAMED_LANGS.get(name)

    def build(row: int, record: dict[str, Any]) -> list[Pair] | str:
        return SINGLE[name](record, options)

    for some in records:
        yield from batches(some, build, named(some.uri, langs) if named else langs)
