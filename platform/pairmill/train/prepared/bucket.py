"""Third stage: a range of the order, from all exchange files of an entry, sorted and written for training.

A bucket is one Arrow file. Its row batches stand group by group; in a group rows have the order of the shuffle, so the
group as a whole is the concatenation of its batches over the buckets, however many there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.runs import exchange
from pairmill.runs.units import Units, do_once
from pairmill.spec.data import DataEntry
from pairmill.train.prepared import holdout, pairs, texts

#: Rows of a row batch: what a reader of scattered rows touches at once.
ROWS = 4096
#: The group that has rows of all language pairs.
WHOLE = "*"


def shuffle_bucket(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function. Facts: `groups`, in the file's order, and `dropped`."""
    return do_once(item, item["prefix"], lambda units: _shuffle(units, item))


def _shuffle(units: Units, item: dict[str, Any]) -> dict[str, Any]:
    entry = DataEntry.model_validate(item["entry"])
    made = texts.SCHEMA if item["packing"] else pairs.schema(pairs.Wanted.of(item["wanted"]))
    table = exchange.read_all(units.storage, item["files"], item["number"], made).combine_chunks()
    held, kept = _split(units, table, entry.name, item["held"])
    by_pair = entry.batch_by == "language-pair" and not item["packing"]
    parts = [("train", kept), ("holdout", held)]
    schema = _written(made)
    path, groups, batches = units.data_path(item["key"], kind="arrow"), list[dict[str, Any]](), 0
    with units.storage.arrow_writer(path, schema) as writer:
        for split, rows in parts:
            for pair, numbers in _groups(table, rows, by_pair):
                final = _final(table.take(pa.array(numbers)).combine_chunks(), schema, item["labels"])
                facts = {"split": split, "pair": pair, "rows": len(final), **_sizes(final)}
                groups.append({**facts, "path": path, "first_batch": batches})
                writer.write_table(final, max_chunksize=ROWS)
                batches += -(-len(final) // ROWS)
    dropped = len(table) - len(held) - len(kept)
    facts = {"number": item["number"], "groups": groups, "dropped": {"held_out_text": dropped} if dropped else {}}
    return {"files": {"rows": [path]}, "rows": len(kept), "facts": facts}


def _split(units: Units, table: pa.Table, entry: str, paths: dict[str, str] | None) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows that are held out, and of those that share no text with any that is."""
    chosen, held_texts = holdout.read(units.storage, paths, entry)
    sides = [name for name in ("anchor_id", "positive_id", "negative_ids", "tokens_id") if name in table.column_names]
    taken = np.zeros(len(table), bool)
    for name in sides:
        column = table[name].combine_chunks()
        flat = column.flatten() if name == "negative_ids" else column
        taken |= np.isin(np.asarray(flat), held_texts).reshape(len(table), -1).any(axis=1)
    own = taken.copy()
    for name, values in zip(("order", "place"), chosen.T, strict=True):
        own &= np.isin(np.asarray(table[name].combine_chunks()), values)
    return np.flatnonzero(own), np.flatnonzero(~taken)


def _groups(table: pa.Table, rows: np.ndarray, by_pair: bool) -> list[tuple[str, np.ndarray]]:
    """(language pair, row numbers in the order of the shuffle) for each group, in alphabetical order."""
    order, place = (np.asarray(table[name].combine_chunks())[rows] for name in ("order", "place"))
    rows = rows[np.lexsort((place, order))]
    if not by_pair:
        return [(WHOLE, rows)] if len(rows) else []
    codes = table["pair"].combine_chunks().take(pa.array(rows)).dictionary_encode()
    indices, names = np.asarray(codes.indices), codes.dictionary.to_pylist()
    return [(name, rows[indices == names.index(name)]) for name in sorted(names)]


def _written(made: pa.Schema) -> pa.Schema:
    fields = [field for field in made if field.name not in ("place", "pair")]
    return pa.schema([pa.field("label", pa.int32()) if field.name == "label" else field for field in fields])


def _final(table: pa.Table, schema: pa.Schema, labels: list[str]) -> pa.Table:
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    if "label" in columns:
        columns["label"] = pc.index_in(columns["label"], pa.array(labels, pa.string()))
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _sizes(table: pa.Table) -> dict[str, dict[str, int]]:
    """Sum and maximum of token counts by column."""
    sizes: dict[str, dict[str, int]] = {"tokens": {}, "longest": {}}
    for field in table.schema:
        if not (pa.types.is_list(field.type) or field.name == "negatives"):
            continue
        column = table[field.name].combine_chunks()
        lengths = np.asarray(pc.list_value_length(column.flatten() if field.name == "negatives" else column))
        sizes["tokens"][field.name] = int(lengths.sum())
        sizes["longest"][field.name] = int(lengths.max(initial=0))
    return sizes
