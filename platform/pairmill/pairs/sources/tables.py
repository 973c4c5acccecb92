"""Arrow batches of a table format (Parquet, Arrow IPC) as pairs, or as records for builders.

1. The columns that are used must exist and have types that can be converted: checked before anything is read.
2. Whole columns are converted at once. Where a string is not UTF-8 (nothing checks it on writing), the batch is
   converted row by row, and those rows go to quarantine.
3. Integers that Hugging Face `datasets` declares a ClassLabel are replaced by their names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from pairmill.errors import SourceError
from pairmill.pairs.batch import QUARANTINE_BYTES, Batch, Quarantined
from pairmill.pairs.schema import PARSED
from pairmill.pairs.sources import columns, fields, linefiles
from pairmill.pairs.sources.records import Records
from pairmill.spec.inputs import Langs

#: Some rows, with the origin_row of the first; or what stands for rows that cannot be read.
Part = tuple[int, pa.RecordBatch] | Quarantined
_TEXTUAL = ("anchor", "positive", "anchor_lang", "positive_lang", "url")


def wanted(spec: Any, schema: pa.Schema) -> list[str]:
    """The columns to read, in the schema's order: those that hold what `columns` or the builder names."""
    names = fields.needed(spec)
    if not names:
        return list(schema.names)
    used = {name if name in schema.names else name.partition(".")[0] for name in names}
    return [name for name in schema.names if name in used]


def label_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Column -> the names of its classes, for the ClassLabel columns that `datasets` notes in a schema's metadata."""
    try:
        noted = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        return class_labels(noted["info"]["features"])
    except (ValueError, KeyError, TypeError):
        return {}


def class_labels(features: Any) -> dict[str, list[str]]:
    """The same from a `features` mapping, as also `dataset_info.json` has it."""
    items = features.items() if isinstance(features, dict) else ()
    found = {
        name: kind.get("names") for name, kind in items if isinstance(kind, dict) and kind.get("_type") == "ClassLabel"
    }
    return {name: list(map(str, names)) for name, names in found.items() if isinstance(names, list)}


def with_labels(batch: pa.RecordBatch, labels: dict[str, list[str]]) -> pa.RecordBatch:
    """Class numbers as names; null where a number has none (`datasets` writes -1 for no label)."""
    for at, name in enumerate(batch.schema.names):
        if name in labels and pt.is_integer(batch.column(at).type):
            numbers = batch.column(at).cast(pa.int64(), safe=False)
            known = pc.and_(pc.greater_equal(numbers, 0), pc.less(numbers, len(labels[name])))
            names = pa.array(labels[name], pa.string()).take(pc.if_else(known, numbers, None))
            batch = batch.set_column(at, name, names)
    return batch


def read_records(parts: Iterable[Part], uri: str, batch_rows: int) -> Iterator[Records]:
    """A file's rows as dictionaries of Python values."""
    for part in parts:
        if isinstance(part, Quarantined):
            yield Records(uri, [], 1, quarantine=[part])
        else:
            yield from _records(part[1], uri, part[0], batch_rows)


def read_pairs(spec: Any, parts: Iterable[Part], uri: str, batch_rows: int) -> Iterator[Batch]:
    """A file's rows as pairs by the input's `columns`."""
    for part in parts:
        if isinstance(part, Quarantined):
            yield columns.only_quarantine([part])
        else:
            yield from _pairs(spec, part[1], uri, part[0], batch_rows)


def _records(batch: pa.RecordBatch, uri: str, row: int, batch_rows: int) -> Iterator[Records]:
    for at in range(0, len(batch), batch_rows):
        some = batch.slice(at, batch_rows)
        first = row + at
        try:
            items = list(enumerate(some.to_pylist(), first))
            yield Records(uri, items, len(some))
        except (ValueError, OverflowError, pa.ArrowException):
            yield _row_by_row(some, uri, first)


def _row_by_row(batch: pa.RecordBatch, uri: str, first: int) -> Records:
    """Rows of which some hold what Python cannot: strings that are not UTF-8, times out of range."""
    items: list[tuple[int, dict[str, Any]]] = []
    wrong: list[Quarantined] = []
    for index in range(len(batch)):
        try:
            items += [(first + index, record) for record in batch.slice(index, 1).to_pylist()]
        except (ValueError, OverflowError, pa.ArrowException) as error:
            code = "invalid_utf8" if isinstance(error, UnicodeDecodeError) else "wrong_value"
            data = error.object[:QUARANTINE_BYTES] if isinstance(error, UnicodeDecodeError) else b""
            wrong.append(Quarantined(code, uri, first + index, None, str(error), data))
    return Records(uri, items, len(batch), quarantine=wrong)


def _pairs(spec: Any, batch: pa.RecordBatch, uri: str, row: int, batch_rows: int) -> Iterator[Batch]:
    names = columns.used(spec.columns)
    raw = {column: _column(batch, name) for column, name in names.items()}
    rows = len(batch)
    try:
        made = {column: _converted(column, values, spec.langs) for column, values in raw.items()}
    except pa.ArrowInvalid:
        for at in range(0, rows, batch_rows):
            some = {column: values.slice(at, batch_rows) for column, values in raw.items()}
            yield _one_by_one(spec, some, names, uri, range(row + at, row + min(at + batch_rows, rows)))
        return
    table = columns.table(made, spec.langs, uri, range(row, row + rows))
    for at in range(0, rows, batch_rows):
        yield Batch(table.slice(at, batch_rows), min(batch_rows, rows - at))


def _one_by_one(spec: Any, raw: dict[str, pa.Array], names: dict[str, str], uri: str, rows: range) -> Batch:
    """A batch some of whose rows may hold strings that are not UTF-8."""
    wrong: dict[int, str] = {}
    for column, name in names.items():
        _find_wrong(column, name, raw[column], wrong)
    keep = [index for index in range(len(rows)) if index not in wrong]
    made = {
        column: _converted(column, values.take(pa.array(keep, pa.int64())), spec.langs)
        for column, values in raw.items()
    }
    entries = [
        Quarantined("invalid_utf8", uri, rows[index], None, detail, _bytes(raw, index))
        for index, detail in sorted(wrong.items())
    ]
    pairs = columns.table(made, spec.langs, uri, [rows[index] for index in keep])
    return Batch(pairs, len(rows), quarantine=entries)


def _find_wrong(column: str, name: str, values: pa.Array, wrong: dict[int, str]) -> None:
    for index in range(len(values)):
        try:
            _converted(column, values.slice(index, 1), Langs())
        except pa.ArrowInvalid as error:
            wrong.setdefault(index, f"{name}: {error}")


def _bytes(raw: dict[str, pa.Array], index: int) -> bytes:
    """The bytes of a row's two sides."""
    sides = [raw[column].slice(index, 1).cast(pa.large_binary())[0].as_py() or b"" for column in ("anchor", "positive")]
    return b"\n".join(sides)


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column, or a field inside a struct by its dotted name; dictionaries as their values."""
    first, *path = [name] if name in batch.schema.names else name.split(".")
    values = batch.column(first)
    for key in path:
        values = pc.struct_field(values, key)
    if pt.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values


def _converted(column: str, values: pa.Array, langs: Langs) -> pa.Array:
    """Values as the schema's type. Raises ArrowInvalid where a string is not UTF-8."""
    kind = PARSED.field(column).type
    if column in _TEXTUAL:
        texts = _checked(values, kind)
        if column in ("anchor", "positive"):
            return texts.fill_null("") if texts.null_count else texts
        if column == "url":
            return texts
        return columns.language_column(texts, columns.declared(column, langs))
    if column == "negatives":
        return _negatives(values)
    if column == "label" and not _is_text(values.type):
        return values.cast(kind)
    return _checked(values, kind) if column == "label" else values.cast(kind, safe=False)


def _checked(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pt.is_null(values.type):
        return values.cast(kind)
    return values.cast(pa.large_binary()).cast(pa.large_string()).cast(kind)


def _negatives(values: pa.Array) -> pa.Array:
    kind = PARSED.field("negatives").type
    if pt.is_null(values.type):
        return values.cast(kind)
    if _is_text(values.type):
        texts = _checked(values, pa.large_string())
        return pa.array([None if text is None else [text] for text in texts.to_pylist()], kind)
    values = values.cast(pa.list_(values.type.value_type))
    texts = _checked(values.values, pa.large_string())
    offsets = values.offsets
    if values.null_count:
        return pa.array(values.to_pylist(), kind)
    return pa.ListArray.from_arrays(offsets, texts)


def _is_text(kind: pa.DataType) -> bool:
    if pt.is_dictionary(kind):
        return _is_text(kind.value_type)
    return (
        pt.is_string(kind) or pt.is_large_string(kind) or pt.is_binary(kind) or pt.is_large_binary(kind)
        or pt.is_string_view(kind) or pt.is_binary_view(kind) or pt.is_null(kind)
    )  # fmt: skip


def _fits(column: str, kind: pa.DataType) -> bool:
    if column in _TEXTUAL:
        return _is_text(kind)
    if column == "negatives":
        is_list = pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind)
        return _is_text(kind) or (is_list and _is_text(kind.value_type) and not pt.is_dictionary(kind.value_type))
    if column == "score":
        return pt.is_floating(kind) or pt.is_integer(kind) or pt.is_decimal(kind) or pt.is_null(kind)
    return _is_text(kind) or pt.is_integer(kind) or pt.is_boolean(kind) or pt.is_floating(kind)


def _type(schema: pa.Schema, name: str) -> pa.DataType | None:
    """The type of a column or of a struct's field; None where there is none."""
    if name in schema.names:
        return schema.field(name).type
    first, *path = name.split(".")
    kind = schema.field(first).type if first in schema.names else None
    for key in path:
        if kind is None or not pt.is_struct(kind) or kind.get_field_index(key) < 0:
            return None
        kind = kind.field(key).type
    return kind


def check_columns(spec: Any, uri: str, schema: pa.Schema) -> None:
    """Raises SourceError: a column is missing, or of another type. A builder needs one of its columns at least."""
    place = linefiles.where(spec)
    lost = [name for name in getattr(spec, "where", ()) if _type(schema, name) is None]
    if lost:
        raise linefiles.missing_columns(place, uri, lost, schema.names, "column", "where")
    if spec.builder is not None:
        if not wanted(spec, schema):
            raise linefiles.missing_columns(place, uri, fields.needed(spec), schema.names, "column", "builder")
        return
    types = {column: (name, _type(schema, name)) for column, name in columns.used(spec.columns).items()}
    missing = [name for name, kind in types.values() if kind is None]
    if missing:
        raise linefiles.missing_columns(place, uri, missing, schema.names, "column")
    for column, (name, kind) in types.items():
        if kind is not None and not _fits(column, kind):
            allowed = {"score": "a number", "negatives": "a list of strings", "label": "a string or a number"}
            raise SourceError(
                f"{place}: column {name!r} of {uri} is {kind}; `columns.{column}` must be "
                f"{allowed.get(column, 'a string')}. Name another column, or convert it."
            )
