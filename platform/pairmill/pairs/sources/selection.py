"""Which records of its files an input means: `where`. The others are counted under `no_pair` as `not_selected`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pairmill.pairs.sources import fields, linefiles
from pairmill.pairs.sources.records import Records
from pairmill.spec.base import Between

NOT_SELECTED = "not_selected"


def passes(record: dict[str, Any], where: Mapping[str, Between | list[str]]) -> bool:
    """Whether a record has the values asked for; one without such a column has none of them."""
    return all(_is_meant(fields.values([record], name)[0], meant) for name, meant in where.items())


def _is_meant(value: Any, meant: Between | list[str]) -> bool:
    if isinstance(meant, list):
        return str(value) in meant
    if value is None:
        return False
    return (meant.min is None or str(value) >= meant.min) and (meant.below is None or str(value) < meant.below)


def selected(spec: Any, found: Iterator[Records]) -> Iterator[Records]:
    """The records that the input means. Raises SourceError where none of many has a column that `where` names."""
    where = getattr(spec, "where", None)
    return _selected(spec, where, found) if where else found


def _selected(spec: Any, where: Mapping[str, Between | list[str]], found: Iterator[Records]) -> Iterator[Records]:
    unseen, looked = set(where), 0
    for some in found:
        for _, record in some.items if unseen else ():
            unseen = {name for name in unseen if fields.values([record], name)[0] is None}
            looked += 1
            if unseen and looked >= fields.MISSING_AFTER:
                raise linefiles.missing_columns(
                    linefiles.where(spec), some.uri, sorted(unseen), list(record), "column", "where"
                )
        items = [(row, record) for row, record in some.items if passes(record, where)]
        out = len(some.items) - len(items)
        yield replace(some, items=items, no_pair={**some.no_pair, NOT_SELECTED: out} if out else some.no_pair)
