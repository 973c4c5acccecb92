"""Values of some records as a table with the schema PARSED, and the records whose values are not what they must be.

Whole columns are converted at once; only where Arrow refuses one are its values looked at one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.pairs.batch import Batch, Quarantined
from pairmill.pairs.schema import PARSED
from pairmill.pairs.sources.languages import declared_language
from pairmill.spec.inputs import Columns, Langs

_FIELDS = tuple((field.name, field.type) for field in PARSED)
OPTIONAL = ("negatives", "anchor_lang", "positive_lang", "score", "label", "url")


class WrongValue(ValueError):
    """A value is not of the column's type."""


def used(columns: Columns) -> dict[str, str]:
    """Schema column -> the input's name for it, where it has one."""
    named = {name: getattr(columns, name) for name in ("anchor", "positive", *OPTIONAL)}
    return {name: value for name, value in named.items() if value is not None}


def _number(value: Any) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise WrongValue(f"{type(value).__name__} instead of a number")
    try:
        return float(value)
    except (ValueError, OverflowError) as error:
        raise WrongValue(str(error)) from error


def _label(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    raise WrongValue(f"{type(value).__name__} instead of a label")


def _texts(value: Any) -> list[str] | None:
    if value is None:
        return None
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise WrongValue(f"{type(value).__name__} instead of a list of strings")
    return texts


def _language(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise WrongValue(f"{type(value).__name__} instead of a language code")


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    raise WrongValue(f"{type(value).__name__} instead of a string")


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "anchor": _text, "positive": _text, "negatives": _texts, "score": _number, "label": _label,
    "anchor_lang": _language, "positive_lang": _language, "url": _text,
}  # fmt: skip


def _array(column: str, values: list[Any], langs: Langs) -> pa.Array:
    kind = PARSED.field(column).type
    if column in ("anchor", "positive"):
        array = pa.array(values, kind)
        return array.fill_null("") if array.null_count else array
    if column in ("anchor_lang", "positive_lang"):
        return _languages(values, declared(column, langs))
    convert = _CONVERT[column]
    return pa.array([convert(value) for value in values], kind)


def declared(column: str, langs: Langs) -> str | None:
    """The input's own language of `anchor_lang` or `positive_lang`."""
    return langs.anchor if column == "anchor_lang" else langs.positive


def meaning(code: str | None, default: str | None) -> str | None:
    """A row's language: its own code, null where that is no language; the input's where it has none."""
    return declared_language(code) if code and code.strip() else default


def _languages(values: list[Any], default: str | None) -> pa.Array:
    for kind in set(map(type, values)) - {str, type(None)}:
        raise WrongValue(f"{kind.__name__} instead of a language code")
    known = {code: meaning(code, default) for code in set(values)}
    if len(known) == 1:
        return pa.repeat(pa.scalar(known.popitem()[1], pa.string()), len(values))
    return pa.array([known[code] for code in values], pa.string())


def wrong_values(values: dict[str, list[Any]], names: dict[str, str]) -> dict[int, str]:
    """Index -> what is wrong with it, for the records that have a value which `arrays` refuses."""
    found: dict[int, str] = {}
    for column, items in values.items():
        for index, value in enumerate(items):
            try:
                _CONVERT[column](value)
            except WrongValue as error:
                found.setdefault(index, f"{names[column]}: {error}")
    return found


def arrays(values: dict[str, list[Any]], langs: Langs) -> dict[str, pa.Array]:
    """Python values as Arrow arrays of the schema's types. Raises WrongValue or ArrowTypeError at another type."""
    return {column: _array(column, items, langs) for column, items in values.items()}


def strings(texts: list[bytes]) -> pa.Array:
    """A large_string array. Raises ArrowInvalid where one is not UTF-8. (4 times as fast as `pa.array`.)"""
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=offsets[1:])
    return _strings(b"".join(texts), offsets)


def line_strings(data: bytes, ends: np.ndarray) -> pa.Array:
    """Lines as a large_string array: `data` without its line feeds, which stand at `ends`. Raises ArrowInvalid."""
    offsets = np.zeros(len(ends) + 1, np.int64)
    np.subtract(ends, np.arange(len(ends)), out=offsets[1:])
    return _strings(data.replace(b"\n", b""), offsets)


def _strings(data: bytes, offsets: np.ndarray) -> pa.Array:
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    array = pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, buffers)
    array.validate(full=True)
    return array


def language_column(codes: pa.Array, default: str | None) -> pa.Array:
    """`meaning` of an Arrow array of codes."""
    encoded = codes.cast(pa.string()).dictionary_encode()
    known = [meaning(code, default) for code in encoded.dictionary.to_pylist()]
    return pa.array([*known, default], pa.string()).take(encoded.indices.fill_null(len(known)))


def table(columns: dict[str, pa.Array], langs: Langs, origin_file: str, rows: Any) -> pa.Table:
    """A table with the schema PARSED. `rows`: the origin_row of each row, an array, a list or a range."""
    length = len(columns["anchor"])
    every: dict[str, pa.Array] = dict(columns)
    for name in ("anchor_lang", "positive_lang"):
        if name not in every:
            every[name] = pa.repeat(pa.scalar(declared(name, langs), pa.string()), length)
    every["origin_file"] = pa.repeat(pa.scalar(origin_file, pa.string()), length)
    if isinstance(rows, range):
        rows = np.arange(rows.start, rows.stop, rows.step, dtype=np.int64)
    every["origin_row"] = pa.array(rows, pa.int64())
    return pa.table([every[name] if name in every else pa.nulls(length, kind) for name, kind in _FIELDS], PARSED)


def only_quarantine(entries: Iterable[Quarantined]) -> Batch:
    """A batch of unreadable records."""
    listed = list(entries)
    return Batch(PARSED.empty_table(), len(listed), quarantine=listed)
