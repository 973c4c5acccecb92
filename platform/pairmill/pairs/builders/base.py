"""What a builder returns, and its records as a batch of pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from pairmill.pairs.batch import QUARANTINE_BYTES, Batch, Quarantined
from pairmill.pairs.batch import WrongRecord as WrongRecord
from pairmill.pairs.schema import PARSED
from pairmill.pairs.sources.columns import meaning
from pairmill.pairs.sources.records import Records
from pairmill.spec.curate import Langs


class Pair(NamedTuple):
    """One pair. Languages are what the record declares; where it declares none, the input's `langs` stand."""

    anchor: str
    positive: str
    negatives: list[str] | None = None
    anchor_lang: str | None = None
    positive_lang: str | None = None
    score: float | None = None
    label: str | None = None
    url: str | None = None


#: A record and the builder's options -> its pairs, or why it has none (the key under `no_pair`).
Build = Callable[[dict[str, Any], Any], "list[Pair] | str"]
#: A record and the builder's options -> the records inside it; none: it stands for itself. Raises WrongRecord.
Expand = Callable[[dict[str, Any], Any], list[dict[str, Any]]]


def batch(records: Records, build: Build, options: Any, langs: Langs) -> Batch:
    """Build the pairs of some records. A record for which `build` raises WrongRecord goes to quarantine."""
    pairs: list[Pair] = []
    rows: list[int] = []
    no_pair: Counter[str] = Counter(records.no_pair)
    wrong = list(records.quarantine)
    for row, record in records.items:
        try:
            made = build(record, options)
        except WrongRecord as error:
            wrong.append(quarantined(records.uri, row, record, error))
            continue
        if isinstance(made, str):
            no_pair[made] += 1
        elif made:
            pairs += made
            rows += [row] * len(made)
        else:
            no_pair["nothing_found"] += 1
    wrong.sort(key=lambda entry: -1 if entry.origin_row is None else entry.origin_row)
    return Batch(table(pairs, rows, records.uri, langs), records.count, dict(no_pair), wrong)


def expanded(batches: Iterator[Records], expand: Expand, options: Any, batch_rows: int) -> Iterator[Records]:
    """The records inside records (the questions of an article), so that they are what is counted and numbered.

    A record without such counts itself. Rows behind a record of n parts move up by n - 1.
    """
    shift = 0
    for some in batches:
        parts: list[tuple[int, dict[str, Any]]] = []
        wrong: list[Quarantined] = []
        entries: list[tuple[int, Any]] = [*some.items, *((entry.origin_row or 0, entry) for entry in some.quarantine)]
        for row, item in sorted(entries, key=lambda entry: entry[0]):
            if isinstance(item, Quarantined):
                wrong.append(replace(item, origin_row=row + shift))
                continue
            try:
                inner = expand(item, options) or [item]
            except WrongRecord as error:
                wrong.append(quarantined(some.uri, row + shift, item, error))
                continue
            parts += enumerate(inner, row + shift)
            shift += len(inner) - 1
        if rest := sum(some.no_pair.values()) + len(wrong):
            yield Records(some.uri, [], rest, some.no_pair, wrong)
        for at in range(0, len(parts), batch_rows):
            yield Records(some.uri, parts[at : at + batch_rows], len(parts[at : at + batch_rows]))


def quarantined(uri: str, row: int, record: dict[str, Any], error: WrongRecord) -> Quarantined:
    data = orjson.dumps(record, default=_plain, option=orjson.OPT_NON_STR_KEYS)[:QUARANTINE_BYTES]
    return Quarantined("wrong_record", uri, row, None, str(error), data)


def _plain(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else repr(value)


def table(pairs: list[Pair], rows: list[int], uri: str, langs: Langs) -> pa.Table:
    """Pairs as a table with the schema PARSED. Lone surrogates (JSON can spell them) become U+FFFD."""
    columns: dict[str, list[Any]] = {name: [] for name in Pair._fields}
    if pairs:
        columns = dict(zip(Pair._fields, map(list, zip(*pairs, strict=True)), strict=True))
    for name, default in (("anchor_lang", langs.anchor), ("positive_lang", langs.positive)):
        known = {code: meaning(code, default) for code in set(columns[name])}
        columns[name] = [known[code] for code in columns[name]]
    arrays = {name: _array(values, PARSED.field(name).type) for name, values in columns.items()}
    arrays["origin_file"] = pa.repeat(pa.scalar(uri, pa.string()), len(pairs))
    arrays["origin_row"] = pa.array(rows, pa.int64())
    return pa.table([arrays[field.name] for field in PARSED], PARSED)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (UnicodeEncodeError, pa.ArrowInvalid):
        return pa.array([_encodable(value) for value in values], kind)


def _encodable(value: Any) -> Any:
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def text(record: dict[str, Any], *fields: str) -> str:
    """The first of the fields that holds text, stripped; empty where none does. `a.b` is field b of the object a.

    Raises WrongRecord for a value that is neither text nor null.
    """
    for field in fields:
        value = field_of(record, field)
        if value is None:
            continue
        if not isinstance(value, str):
            raise WrongRecord(f"{field}: {type(value).__name__} instead of a string")
        if value := value.strip():
            return value
    return ""


def field_of(record: dict[str, Any], field: str) -> Any:
    """A field's value, or that of the field its dotted name leads to; None where there is none."""
    value = record.get(field)
    if value is None and "." in field:
        value = record
        for key in field.split("."):
            value = value.get(key) if isinstance(value, dict) else None
    return value


def listed(value: Any, field: str, kind: type = dict) -> list[Any]:
    """A list whose items are of one kind; null is the empty list. Raises WrongRecord for anything else."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise WrongRecord(f"{field}: {type(value).__name__} instead of a list")
    for item in value:
        if not isinstance(item, kind):
            raise WrongRecord(f"{field}: holds {type(item).__name__} instead of {kind.__name__}")
    return value
