"""What a builder returns, and its records as a batch of pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from pairmill.pairs.batch import QUARANTINE_BYTES, Batch, Quarantined
from pairmill.pairs.batch import WrongRecord as WrongRecord
from pairmill.pairs.schema import PARSED
from pairmill.pairs.sources.columns import meaning
from pairmill.pairs.sources.records import Records
from pairmill.spec.inputs import Langs

#: Characters of pairs after which a batch is handed on.
BATCH_CHARS = 8 << 20
#: Longer names are left out of paths of names: thousands of sections may stand under one heading.
MAX_NAME = 300


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
#: The same, given the record's row; it knows its options.
BuildAt = Callable[[int, dict[str, Any]], "list[Pair] | str"]
#: A record and the builder's options -> the records inside it; none: it stands for itself. Raises WrongRecord.
Expand = Callable[[dict[str, Any], Any], list[dict[str, Any]]]


def batches(some: Records, build: BuildAt, langs: Langs) -> Iterator[Batch]:
    """The pairs of some records, as several batches where they are much text: many pairs may repeat one long text.

    A record for which `build` raises WrongRecord goes to quarantine.
    """
    part = _Part()
    for row, record in some.items:
        if part.chars >= BATCH_CHARS:
            yield part.batch(some.uri, langs)
            part = _Part(before=part.before + part.records)
        part.add(some.uri, row, record, build)
    part.no_pair.update(some.no_pair)
    part.wrong = sorted([*some.quarantine, *part.wrong], key=_row_or_first)
    part.records = some.count - part.before
    yield part.batch(some.uri, langs)


def _row_or_first(entry: Quarantined) -> int:
    return -1 if entry.origin_row is None else entry.origin_row


@dataclass
class _Part:
    """Some of the records and what was made of them. `before`: how many earlier parts have."""

    before: int = 0
    records: int = 0
    chars: int = 0
    pairs: list[Pair] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    no_pair: Counter[str] = field(default_factory=Counter)
    wrong: list[Quarantined] = field(default_factory=list)

    def add(self, uri: str, row: int, record: dict[str, Any], build: BuildAt) -> None:
        self.records += 1
        try:
            made = build(row, record)
        except WrongRecord as error:
            self.wrong.append(quarantined(uri, row, record, error))
            return
        if isinstance(made, str):
            self.no_pair[made] += 1
        elif made:
            self.pairs += made
            self.rows += [row] * len(made)
            self.chars += sum(len(p.anchor) + len(p.positive) + sum(map(len, p.negatives or ())) for p in made)
        else:
            self.no_pair["nothing_found"] += 1

    def batch(self, uri: str, langs: Langs) -> Batch:
        return Batch(table(self.pairs, self.rows, uri, langs), self.records, dict(self.no_pair), self.wrong)


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
    for name in fields:
        value = field_of(record, name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise WrongRecord(f"{name}: {type(value).__name__} instead of a string")
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
