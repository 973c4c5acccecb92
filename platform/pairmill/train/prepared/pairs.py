"""A table of pairs becomes a table of token ids: what cannot be used is dropped and counted, once per row.

Reasons, in the order they are looked for: `null_text` (a side is missing), `too_few_negatives`, `no_score`,
`score_outside_range`, `no_label`, `no_scores` (of a cross-encoder), `limit` (beyond what the entry asks for, where that
is known already), `empty_text` (a text without a token).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.train.prepared.reading import language_pairs, mix
from pairmill.train.prepared.tokens import Prompt, Tokens, encode_columns, text_ids

IDS = pa.list_(pa.int32())


@dataclass(frozen=True)
class Wanted:
    """What a unit makes of an entry's rows; JSON by `asdict`."""

    sides: tuple[str, ...]  # ("anchor", "positive"), or ("anchor",) where the objective reads no positive
    prompts: dict[str, Prompt]
    negatives: int = 0
    score: bool = False
    score_range: tuple[float, float] | None = None
    label: bool = False
    scores: bool = False
    swap: str = "never"
    teacher_sides: tuple[str, ...] = ()
    limit: int | None = None
    seed: int = 0

    @classmethod
    def of(cls, data: dict[str, Any]) -> Wanted:
        """From the JSON of `asdict`, whose tuples have become lists."""
        prompts = {side: tuple(prompt) for side, prompt in data["prompts"].items()}
        return cls(
            **{**data, "prompts": prompts, "sides": tuple(data["sides"]), "teacher_sides": tuple(data["teacher_sides"])}
        )


def schema(wanted: Wanted) -> pa.Schema:
    """Columns of a tokenised table. `order` decides the shuffle, `place` breaks its ties; `pair`: the languages."""
    fields: list[tuple[str, pa.DataType]] = [(side, IDS) for side in wanted.sides]
    fields += [("negatives", pa.list_(IDS, wanted.negatives))] if wanted.negatives else []
    fields += [(f"teacher_{side}", IDS) for side in wanted.teacher_sides]
    fields += [(f"{side}_id", pa.int64()) for side in wanted.sides]
    fields += [("negative_ids", pa.list_(pa.int64(), wanted.negatives))] if wanted.negatives else []
    fields += [("score", pa.float32())] if wanted.score else []
    fields += [("label", pa.string())] if wanted.label else []
    fields += [("scores", pa.list_(pa.float32(), 1 + wanted.negatives))] if wanted.scores else []
    return pa.schema([*fields, *TAIL])


TAIL = [
    ("pair_id", pa.int64()),
    ("origin", pa.int32()),
    ("order", pa.uint64()),
    ("place", pa.uint64()),
    ("pair", pa.string()),
]


class Limit:
    """The `count` rows with the smallest order among all that were seen; nothing is cut where `count` is None."""

    def __init__(self, count: int | None):
        self._count, self._smallest = count, np.empty(0, np.uint64)

    def passes(self, order: np.ndarray) -> np.ndarray:
        if self._count is None or len(self._smallest) < self._count:
            return np.ones(len(order), bool)
        return order <= self._smallest[-1]

    def add(self, order: np.ndarray) -> None:
        if self._count is not None:
            self._smallest = np.sort(np.concatenate([self._smallest, order]))[: self._count]


def swapped(table: pa.Table, swap: str) -> pa.Table:
    """The table with its sides exchanged, or with a row each way (all as they are, then all exchanged)."""
    if swap == "never":
        return table
    other = {"anchor": "positive", "positive": "anchor", "anchor_lang": "positive_lang", "positive_lang": "anchor_lang"}
    exchanged = pa.table([table[other.get(name, name)] for name in table.column_names], schema=table.schema)
    return exchanged if swap == "always" else pa.concat_tables([table, exchanged]).combine_chunks()


def tokenise(
    table: pa.Table, wanted: Wanted, tokens: Tokens, teacher: Tokens | None, limit: Limit, dropped: Counter[str]
) -> pa.Table:
    """The usable rows of a table with reading.SCHEMA, with the columns of `schema(wanted)`."""
    table = _usable(swapped(table, wanted.swap), wanted, dropped)
    negatives = _negatives(table, wanted.negatives)
    texts = {side: table[side].combine_chunks() for side in wanted.sides}
    ids = {side: text_ids(column) for side, column in texts.items()}
    negative_ids = text_ids(negatives).reshape(len(table), wanted.negatives)
    place = np.asarray(table["place"].combine_chunks())
    seed = np.full(len(table), wanted.seed, np.uint64)
    order = mix(seed, *ids.values(), *negative_ids.T.copy(), place)
    found = {f"{side}_id": pa.array(column) for side, column in ids.items()}
    if wanted.negatives:
        found["negative_ids"] = pa.FixedSizeListArray.from_arrays(pa.array(negative_ids.ravel()), wanted.negatives)
    found |= {"order": pa.array(order), "place": pa.array(place), "pair": language_pairs(table)}
    within = limit.passes(order)
    if not within.all():
        dropped["limit"] += len(within) - int(within.sum())
        rows = np.flatnonzero(within)
        table, found = table.take(pa.array(rows)), {name: column.take(pa.array(rows)) for name, column in found.items()}
        texts = {side: column.take(pa.array(rows)) for side, column in texts.items()}
        if wanted.negatives:
            flat = rows[:, None] * wanted.negatives + np.arange(wanted.negatives)
            negatives = negatives.take(pa.array(flat.ravel()))
    found |= _token_columns(texts, negatives, wanted, tokens, teacher)
    found |= {name: table[name].combine_chunks() for name in ("pair_id", "origin")}
    found |= _targets(table, wanted)
    result = pa.table([found[f.name] for f in schema(wanted)], schema=schema(wanted))
    filled = _not_empty(result, wanted)
    dropped["empty_text"] += len(filled) - int(filled.sum())
    result = result if filled.all() else result.filter(pa.array(filled))
    limit.add(np.asarray(result["order"].combine_chunks()))
    return result


def _usable(table: pa.Table, wanted: Wanted, dropped: Counter[str]) -> pa.Table:
    reason = np.full(len(table), "", object)

    def lose(name: str, rows: Any) -> None:
        reason[np.asarray(rows) & (reason == "")] = name

    for side in wanted.sides:
        lose("null_text", pc.is_null(table[side]))
    if wanted.negatives:
        lose("too_few_negatives", _counts(table["negatives"].combine_chunks()) < wanted.negatives)
    if wanted.score:
        scores = np.asarray(table["score"].combine_chunks().fill_null(float("nan")))
        lose("no_score", ~np.isfinite(scores))
        low, high = wanted.score_range or (-np.inf, np.inf)
        lose("score_outside_range", ~((scores >= low) & (scores <= high)))
    if wanted.label:
        lose("no_label", pc.is_null(table["label"]))
    if wanted.scores:
        lengths = pc.fill_null(pc.list_value_length(table["scores"]), 0)
        lose("no_scores", np.asarray(lengths) < 1 + wanted.negatives)
    dropped.update(reason[reason != ""].tolist())
    usable = reason == ""
    return table if usable.all() else table.filter(pa.array(usable)).combine_chunks()


def _present(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Row and validity (neither null nor blank) of every element of a list column."""
    rows = np.asarray(pc.list_parent_indices(column))
    blank = pc.equal(pc.utf8_trim_whitespace(column.flatten().fill_null("")), "")
    return rows, ~np.asarray(blank.cast(pa.uint8())).astype(bool)


def _counts(column: pa.Array) -> np.ndarray:
    rows, valid = _present(column)
    return np.bincount(rows[valid], minlength=len(column))


def _negatives(table: pa.Table, count: int) -> pa.Array:
    """The first `count` present negatives of each row, flat; all rows have as many."""
    column = table["negatives"].combine_chunks()
    if not count or not len(table):
        return pa.array([], pa.large_string())
    rows, valid = _present(column)
    at = np.flatnonzero(valid)
    rank = np.arange(len(at)) - np.searchsorted(rows[at], rows[at], side="left")
    return column.flatten().take(pa.array(at[rank < count]))


def _token_columns(
    texts: dict[str, pa.Array], negatives: pa.Array, wanted: Wanted, tokens: Tokens, teacher: Tokens | None
) -> dict[str, pa.Array]:
    columns = {side: (column, wanted.prompts.get(side, ("", ""))) for side, column in texts.items()}
    if wanted.negatives:
        columns["negatives"] = (negatives, wanted.prompts.get("positive", ("", "")))
    found: dict[str, pa.Array] = dict(encode_columns(tokens, columns))
    if wanted.negatives:
        found["negatives"] = pa.FixedSizeListArray.from_arrays(found["negatives"], wanted.negatives)
    if teacher is not None:
        asked = {side: (texts[side], ("", "")) for side in wanted.teacher_sides}
        found |= {f"teacher_{side}": column for side, column in encode_columns(teacher, asked).items()}
    return found


def _targets(table: pa.Table, wanted: Wanted) -> dict[str, pa.Array]:
    found: dict[str, pa.Array] = {}
    if wanted.score:
        score = np.asarray(table["score"].combine_chunks())
        low, high = wanted.score_range or (0.0, 1.0)
        found["score"] = pa.array(((score - low) / (high - low)).astype(np.float32))
    if wanted.label:
        found["label"] = table["label"].combine_chunks()
    if wanted.scores:
        first = pc.list_slice(table["scores"].combine_chunks(), 0, 1 + wanted.negatives)
        found["scores"] = pa.FixedSizeListArray.from_arrays(first.flatten(), 1 + wanted.negatives)
    return found


def _not_empty(table: pa.Table, wanted: Wanted) -> np.ndarray:
    """Rows all of whose texts have a token."""
    filled = np.ones(len(table), bool)
    for name in [*wanted.sides, *(f"teacher_{side}" for side in wanted.teacher_sides)]:
        filled &= np.asarray(pc.list_value_length(table[name].combine_chunks())) > 0
    if wanted.negatives:
        lengths = np.asarray(pc.list_value_length(table["negatives"].combine_chunks().flatten()))
        filled &= (lengths.reshape(-1, wanted.negatives) > 0).all(axis=1)
    return filled
