"""The rows that jobs on runs and ready-made sets read: how many, how long, how many tokens.

A run that an earlier step of the pipeline will make, or that `--given` declares, is known by its plan. Of a finished
run and of files the first rows are read, and tokenised where the model's tokenizer is here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.cluster.plan.base import Context, Rows
from pairmill.cluster.plan.models import Facts
from pairmill.cluster.plan.sheet import Quantity, quantity
from pairmill.errors import SpecError
from pairmill.pairs import sources
from pairmill.pairs.kept import fits, kept_files, read_kept
from pairmill.pairs.schema import PARSED
from pairmill.pairs.sources import parquet

#: UTF-8 of a token where no tokenizer can be asked: 3 for languages that it cuts small, 5 for those it knows.
BYTES_PER_TOKEN = 4.0
SAMPLE = 2_000  # rows whose texts are measured
SPECIAL = 2  # tokens around a text


@dataclass(frozen=True)
class Texts:
    """Rows, and the mean tokens of their anchors and positives, cut at the model's length."""

    rows: Quantity
    anchor: Quantity  # tokens
    positive: Quantity
    text: Quantity  # bytes of both sides


def of_run(
    name: str, sources_: Sequence[str] | None, languages: Sequence[str] | None, facts: Facts | None, context: Context
) -> Texts:
    """Rows of a run, those of the sources and languages alone. Raises SpecError for a run that is nowhere."""
    known = planned(name, context)
    if known is None:
        return _of_finished(name, sources_, languages, facts, context)
    rows = known.rows
    if sources_ is not None and known.sources:
        total = sum(known.sources.values())
        share = sum(known.sources.get(one, 0.0) for one in sources_) / max(total, 1e-9)
        rows = replace(rows, value=share * rows.value, low=share * rows.low, high=share * rows.high)
    if languages is not None:
        rows = replace(rows, low=0.0, source="all languages: which will be kept is not known")
    tokens = tokens_of_bytes(known.text, facts)
    return Texts(rows, tokens, tokens, known.text)


def planned(name: str, context: Context) -> Rows | None:
    """A run that is not there yet."""
    if name in context.given.runs:
        given = context.given.runs[name]
        rows = quantity("rows", given.rows, "rows", given.source, 1.1)
        return Rows(rows, quantity("text", given.text_bytes, "B/row", given.source, 1.2), given.sources)
    return context.runs.get(name)


def of_input(given: Any, facts: Facts | None, context: Context) -> Texts:
    """Rows of files, read as a spec's `input` says. Raises SourceError."""
    if given.name in context.given.inputs:
        volume = context.given.inputs[given.name]
        rows = quantity("rows", volume.rows, "rows", volume.source, volume.spread)
        text = quantity("text", volume.text_bytes, "B/row", volume.source, volume.spread)
        return Texts(rows, tokens_of_bytes(text, facts), tokens_of_bytes(text, facts), text)
    files = sources.find(given)
    table, whole = _beginning(given, files)
    if not len(table):
        raise SpecError(f"data: {given.name}: its first files hold no pairs: there is nothing to plan.")
    measured = _measure(table, facts)
    if given.format == "parquet" and given.builder is None:
        rows = quantity("rows", sum(parquet.count(given, file) for file in files), "rows", "footers")
    elif whole:
        rows = quantity("rows", len(table), "rows", "all read")
    else:
        count = sum(file.text_size for file in files) / max(1.3 * measured.text.value, 1)
        rows = quantity("rows", count, "rows", "bytes of the files / (1.3 x text of a row)", 1.5)
    return replace(measured, rows=rows)


def _beginning(given: Any, files: Sequence[sources.SourceFile]) -> tuple[pa.Table, bool]:
    """The first rows of files, and whether these are all."""
    tables, rows = [PARSED.empty_table()], 0
    pieces = (piece for file in files for piece in sources.split(given, file, 32_000_000))
    for batch in (batch for piece in pieces for batch in sources.read(given, piece)):
        tables.append(batch.pairs)
        rows += len(batch.pairs)
        if rows >= SAMPLE:
            return pa.concat_tables(tables), False
    return pa.concat_tables(tables), True


def _of_finished(
    name: str, sources_: Sequence[str] | None, languages: Sequence[str] | None, facts: Facts | None, context: Context
) -> Texts:
    try:
        run = kept_files(context.storage, name)
    except SpecError as error:
        known = ", ".join([*context.given.runs, *context.runs]) or "none"
        raise SpecError(f"{error} Or declare it, `runs:` of --given FILE (there: {known}).") from None
    count = sum(run.sources.values()) if sources_ is None else sum(run.sources.get(one, 0) for one in sources_)
    source = f"run {run.id}"
    if languages is not None:
        fitting = sum(rows for pair, rows in run.languages.items() if any(fits(one, *pair) for one in languages))
        share = fitting / max(sum(run.languages.values()), 1)
        count, source = round(count * share), f"{source}: {100 * share:.1f} % are of these languages"
    tables = (
        table
        for file in run.files
        for table in read_kept(run.storage, file.path, ["anchor", "positive"], sources_, languages)
    )
    measured = _measure(_first(tables), facts)
    return replace(measured, rows=quantity("rows", count, "rows", source))


def _first(tables: Iterable[pa.Table]) -> pa.Table:
    found = list(islice((table.slice(0, SAMPLE) for table in tables if len(table)), 2))
    if not found:
        raise SpecError("data: the run has no rows of these sources and languages.")
    return pa.concat_tables(found).slice(0, SAMPLE)


def _measure(table: pa.Table, facts: Facts | None) -> Texts:
    """Mean bytes and tokens of the first rows; their number is for the caller."""
    texts = {side: [text or "" for text in table[side].to_pylist()] for side in ("anchor", "positive")}
    size = float(np.mean([len(a.encode()) + len(p.encode()) for a, p in zip(*texts.values(), strict=True)]))
    text = quantity("text", size, "B/row", f"{len(table):,} rows", 1.1)
    counts = [tokens_of(some, facts) for some in texts.values()]
    return Texts(quantity("rows", len(table), "rows"), counts[0], counts[1], text)


def tokens_of(texts: list[str], facts: Facts | None) -> Quantity:
    """Mean tokens of texts."""
    longest = facts.max_length if facts else 512
    if facts is None or facts.place is None:
        per = facts.bytes_per_token if facts and facts.bytes_per_token else BYTES_PER_TOKEN
        lengths = np.minimum([len(text.encode()) / per + SPECIAL for text in texts], longest)
        return quantity("tokens", float(lengths.mean()), "tokens", f"{per} bytes a token, assumed", 1.25)
    from pairmill.model import loading, places

    tokenizer = loading.load_tokenizer(places.local(facts.place, "."))
    found = tokenizer(texts, truncation=True, max_length=longest)["input_ids"]
    mean = float(np.mean([len(ids) for ids in found]))
    return quantity("tokens", mean, "tokens", f"its tokenizer, {len(texts):,} texts, at most {longest}", 1.05)


def tokens_of_bytes(text: Quantity, facts: Facts | None) -> Quantity:
    """Tokens of one side, where both sides have so many bytes of text."""
    per = facts.bytes_per_token if facts and facts.bytes_per_token else BYTES_PER_TOKEN
    longest = float(facts.max_length if facts else 512)
    values = [min(value / 2 / per + SPECIAL, longest) for value in (text.value, text.low / 1.15, text.high * 1.15)]
    told = f"half of {text.value:,.0f} B / {per:g} B a token + {SPECIAL}, at most {longest:g}"
    return Quantity("tokens", values[0], "tokens", values[1], values[2], "", told)
