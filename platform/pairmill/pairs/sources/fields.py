"""Records with named fields (JSON objects, XML elements) as pairs, and the check that the fields named exist at all.

A field inside an object is named by its path, `meta.lang`; a key that is that whole name comes before the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pyarrow as pa

from pairmill.pairs.batch import QUARANTINE_BYTES, Batch, Quarantined
from pairmill.pairs.sources import columns, linefiles
from pairmill.pairs.sources.records import Records

#: A field that the first so many records of a file all lack is missing from the file.
MISSING_AFTER = 1000


def needed(spec: Any) -> list[str]:
    """The names that an input's `where` and its columns or builder read; empty for a builder that does not say."""
    builder = getattr(spec, "builder", None)
    if builder is not None and not hasattr(builder, "fields"):
        return []
    names = columns.used(spec.columns).values() if builder is None else builder.fields()
    return list(dict.fromkeys([*names, *getattr(spec, "where", ())]))


def values(records: Sequence[dict[str, Any]], name: str) -> list[Any]:
    """Each record's field; None where it has none."""
    try:
        return [record[name] for record in records]
    except KeyError:
        found = [record.get(name) for record in records]
    if "." in name:
        path = name.split(".")
        pairs = zip(records, found, strict=True)
        found = [_follow(record, path) if value is None else value for record, value in pairs]
    return found


def _follow(record: Any, path: list[str]) -> Any:
    for key in path:
        record = record.get(key) if type(record) is dict else None
    return record


def _has(record: Any, name: str) -> bool:
    if name in record:
        return True
    *path, last = name.split(".")
    inner = _follow(record, path)
    return type(inner) is dict and last in inner


def pairs(
    spec: Any, records: Sequence[dict[str, Any]], rows: Sequence[int], uri: str
) -> tuple[pa.Table, dict[int, str]]:
    """The records as a table with the schema PARSED, without those that have a value of another type.

    Returns it with index -> what is wrong for those.
    """
    names = columns.used(spec.columns)
    found = {column: values(records, name) for column, name in names.items()}
    try:
        return columns.table(columns.arrays(found, spec.langs), spec.langs, uri, rows), {}
    except (columns.WrongValue, pa.ArrowTypeError):
        wrong = columns.wrong_values(found, names)
        good = [index for index in range(len(records)) if index not in wrong]
        kept = {column: [items[index] for index in good] for column, items in found.items()}
        made = columns.arrays(kept, spec.langs)
        return columns.table(made, spec.langs, uri, [rows[index] for index in good]), wrong


def batch(spec: Any, some: Records) -> Batch:
    """Records as pairs by the input's `columns`."""
    rows, records = [row for row, _ in some.items], [record for _, record in some.items]
    table, wrong = pairs(spec, records, rows, some.uri)
    entries = [
        Quarantined("wrong_type", some.uri, rows[index], None, detail, _bytes(records[index]))
        for index, detail in wrong.items()
    ]
    quarantine = sorted([*some.quarantine, *entries], key=lambda entry: entry.origin_row or 0)
    return Batch(table, some.count, some.no_pair, quarantine)


def _bytes(record: dict[str, Any]) -> bytes:
    return orjson.dumps(record, default=repr, option=orjson.OPT_NON_STR_KEYS)[:QUARANTINE_BYTES]


class Watch:
    """Watches the start of a file for fields that no record has. A builder needs one of its fields at least."""

    def __init__(self, spec: Any, where: str, uri: str, first: bool = True, whole: bool = True):
        self.where, self.uri, self.whole = where, uri, whole
        self.builds = getattr(spec, "builder", None) is not None
        self.unseen = set(needed(spec)) if first else set()
        self.seen: dict[str, None] = {}
        self.objects = 0

    def look(self, records: Sequence[dict[str, Any]]) -> None:
        if not self.unseen:
            return
        for record in records:
            self.objects += 1
            self.seen.update(dict.fromkeys(record) if len(self.seen) < 100 else {})
            if self.builds:
                if any(name in record or name.partition(".")[0] in record for name in self.unseen):
                    self.unseen = set()
            else:
                self.unseen = {name for name in self.unseen if not _has(record, name)}
            if not self.unseen:
                return
            if self.objects >= MISSING_AFTER:
                self._refuse()

    def end(self) -> None:
        """Call it when the piece is read."""
        if self.unseen and self.objects and self.whole:
            self._refuse()

    def _refuse(self) -> None:
        key = "builder" if self.builds else "columns"
        raise linefiles.missing_columns(self.where, self.uri, sorted(self.unseen), list(self.seen), "field", key)
