"""First stage: a kept file, or a shard of files, becomes an exchange file of tokenised rows, by ranges of their order.

A unit also writes its candidates for the holdout: the rows whose texts have the smallest hash, which no seed changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.runs import exchange
from pairmill.runs.units import Units, do_once
from pairmill.spec.data import DataEntry
from pairmill.train.prepared import pairs, reading, texts, tokens

#: Candidates per row to hold out: one that shares a text with another is passed over.
SPARE = 4
CANDIDATES = pa.schema(
    [("hash", pa.uint64()), ("order", pa.uint64()), ("place", pa.uint64()), ("one", pa.int64()), ("other", pa.int64())]
)


def tokenise_shard(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function. Facts: `rows_in`, `texts` (used, for pretrain), `dropped` by reason, `labels`."""
    return do_once(item, item["prefix"], lambda units: _tokenise(units, item))


def _tokenise(units: Units, item: dict[str, Any]) -> dict[str, Any]:
    entry, lost, dropped = DataEntry.model_validate(item["entry"]), Counter[str](), Counter[str]()
    facts: dict[str, Any] = {"number": item["number"]}
    make = _packed if item["packing"] else _paired
    table = pa.concat_tables(list(make(entry, item, lost, dropped, facts))).combine_chunks()
    files = {"rows": [units.data_path(item["key"], kind="arrow")]}
    order = np.asarray(table["order"].combine_chunks())
    exchange.write(units.storage, files["rows"][0], table, exchange.by_prefix(order, item["buckets"]), item["buckets"])
    if entry.holdout:
        files["candidates"] = [units.data_path(item["key"], "-candidates", "arrow")]
        with units.storage.arrow_writer(files["candidates"][0], CANDIDATES) as writer:
            writer.write_table(_candidates(table, entry.holdout))
    if "label" in table.column_names:
        facts["labels"] = sorted(table["label"].unique().to_pylist())
    facts["rows_in"] += sum(lost.values())
    facts["dropped"] = {reason: rows for reason, rows in sorted((lost + dropped).items()) if rows}
    return {"files": files, "rows": len(table), "facts": facts}


def _paired(
    entry: DataEntry, item: dict[str, Any], lost: Counter[str], dropped: Counter[str], facts: dict[str, Any]
) -> Iterator[pa.Table]:
    wanted = pairs.Wanted.of(item["wanted"])
    limit, rows = pairs.Limit(wanted.limit), 0
    own = tokens.load(item["storage"], item["tokenizer"], item["max_length"])
    teacher = tokens.load(item["storage"], *item["teacher"]) if wanted.teacher_sides else None
    yield pairs.schema(wanted).empty_table()
    for table in reading.read(entry, item, lost):
        rows += len(table)
        yield pairs.tokenise(table, wanted, own, teacher, limit, dropped)
    facts["rows_in"] = 2 * rows if wanted.swap == "both" else rows


def _packed(
    entry: DataEntry, item: dict[str, Any], lost: Counter[str], dropped: Counter[str], facts: dict[str, Any]
) -> Iterator[pa.Table]:
    packing = texts.Packing(**item["packing"])
    own = tokens.load(item["storage"], item["tokenizer"], item["max_length"])
    packer, rows = texts.Packer(packing, own, dropped), 0
    yield texts.SCHEMA.empty_table()
    for table in reading.read(entry, item, lost):
        rows += len(table)
        yield packer.feed(table)
    yield packer.finish()
    facts["rows_in"], facts["texts"] = len(packing.sides) * rows, packer.used


def _candidates(table: pa.Table, holdout: float) -> pa.Table:
    """The rows that may be held out: by the hash of their texts, the `SPARE * holdout` first, or that share of all."""
    sides = [np.asarray(table[name].combine_chunks()) for name in ("anchor_id", "positive_id", "tokens_id")
             if name in table.column_names]  # fmt: skip
    hashes = reading.mix(*sides)
    if holdout < 1:
        rows = np.flatnonzero(hashes < np.uint64(int(holdout * 2**64)))
    else:
        rows = np.argsort(hashes, kind="stable")[: _enough(np.sort(hashes), SPARE * int(holdout))]
    columns = [hashes, *(np.asarray(table[name].combine_chunks()) for name in ("order", "place")), sides[0], sides[-1]]
    return pa.table([pa.array(column[rows]) for column in columns], schema=CANDIDATES)


def _enough(ascending: np.ndarray, count: int) -> int:
    """How many of ascending values hold `count` distinct ones, with all their repetitions."""
    distinct, counts = np.unique(ascending, return_counts=True)
    return int(counts[: min(count, len(distinct))].sum())
