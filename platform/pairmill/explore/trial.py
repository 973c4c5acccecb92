"""Try a threshold: what a run would keep if one bound of one rule were another, counted from its rows.

With the bound at the new place, a kept row that no longer passes is lost; a row that was rejected by this rule alone
and now passes is gained. The bounds of single languages and language pairs stay as they are. Duplicates are not decided
again: a gained row may turn out to be one, and a lost row may make room for one. `sensitivity` in the run's summary,
where it is there, has the exact numbers at some thresholds.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pairmill.curate.explain import held
from pairmill.curate.thresholds import ActiveRule
from pairmill.errors import SpecError
from pairmill.explore.contents import Contents, Part
from pairmill.explore.database import Database, Question, quoted
from pairmill.explore.rows import shown

BORDER = 25
BOUNDS = ("min", "max")


@dataclass(frozen=True)
class Trial:
    """`kept` now, `lost` and `gained` at the new threshold; the nearest rows that would pass (`inside`) and not."""

    kept: int
    lost: int
    gained: int
    inside: list[dict[str, Any]]
    outside: list[dict[str, Any]]

    @property
    def then(self) -> int:
        return self.kept - self.lost + self.gained


@dataclass(frozen=True)
class Moved:
    """A rule's bound and where it is to be tried."""

    rule: ActiveRule
    bound: str
    value: float

    @property
    def now(self) -> float:
        return float(getattr(self.rule, self.bound))

    @property
    def then(self) -> ActiveRule:
        return replace(self.rule, min=self.value) if self.bound == "min" else replace(self.rule, max=self.value)


def choices(contents: Contents) -> list[tuple[ActiveRule, str]]:
    """The rules and bounds that can be moved: in force, finite, with scores in the rows."""
    known = contents.parts["kept"].columns if "kept" in contents.parts else {}
    return [
        (rule, bound)
        for rule in held(contents.summary).values()
        if rule.enabled and all(column in known for column in rule.rule.columns)
        for bound in BOUNDS
        if (value := getattr(rule, bound)) is not None and math.isfinite(value)
    ]


def moved(contents: Contents, name: str, bound: str, value: float | None) -> Moved:
    """What the form asks for. Raises SpecError: no such rule, no such bound."""
    fitting = [(rule, own) for rule, own in choices(contents) if rule.name == name and own == (bound or own)]
    if not fitting:
        names = ", ".join(dict.fromkeys(rule.name for rule, _ in choices(contents)))
        raise SpecError(f"rule: {name!r} has no bound {bound or 'at all'} in this run. Rules: {names or 'none'}.")
    rule, own = fitting[0]
    return Moved(rule, own, float(getattr(rule, own)) if value is None else value)


def attempt(database: Database, asked: Question, contents: Contents, change: Moved) -> Trial:
    """Count, and find the rows at the border."""
    kept = contents.part("kept")
    passes, parameters = _passes(change.then, contents)
    lost = _count(database, asked, kept, f"NOT ({passes})", parameters)
    rejected, alone = contents.parts.get("rejected"), (change.rule.name, change.rule.name)
    gained = _count(database, asked, rejected, f"{_ALONE} AND {passes}", [*alone, *parameters]) if rejected else 0
    sides = [_border(database, asked, contents, change, inside) for inside in (True, False)]
    return Trial(kept.rows, lost, gained, *sides)


#: Rows that this rule rejected and no other would have.
_ALONE = "(reason = ? AND len(failed) = 1 AND failed[1] = ?)"


def _count(database: Database, asked: Question, part: Part, condition: str, parameters: list[Any]) -> int:
    if not part.paths:
        return 0
    places = [database.place(path) for path in part.paths]
    sql = f"SELECT count(*) AS rows FROM read_parquet(?) WHERE {condition}"
    return int(asked.rows(sql, [places, *parameters])[0]["rows"])


def _passes(rule: ActiveRule, contents: Contents) -> tuple[str, list[Any]]:
    """SQL for the rows that pass a rule: by language pair, where its bounds differ for some."""
    columns = rule.rule.columns
    by_bounds: dict[tuple[tuple[float, float], ...], list[str]] = {}
    rows: Counter[tuple[tuple[float, float], ...]] = Counter()
    for row in contents.summary.get("languages") or []:
        anchor, positive = row["anchor_lang"], row["positive_lang"]
        bounds = tuple(rule.at(column, anchor, positive).bounds for column in columns)
        by_bounds.setdefault(bounds, []).append(f"{anchor or ''} {positive or ''}")
        rows[bounds] += row["rows"]
    usual = rows.most_common(1)[0][0] if rows else tuple(rule.bounds for _ in columns)
    rest, parameters = _within(columns, usual)
    if len(by_bounds) < 2:
        return rest, parameters
    cases, found = [], []
    for bounds, languages in by_bounds.items():
        if bounds != usual:
            condition, values = _within(columns, bounds)
            cases.append(f"WHEN list_contains(?, {_LANGUAGES}) THEN {condition}")
            found += [languages, *values]
    return f"CASE {' '.join(cases)} ELSE {rest} END", [*found, *parameters]


_LANGUAGES = "concat(coalesce(anchor_lang, ''), ' ', coalesce(positive_lang, ''))"


def _within(columns: tuple[str, ...], bounds: tuple[tuple[float, float], ...]) -> tuple[str, list[Any]]:
    """Scores are compared as float32, as select does; NaN and null pass."""
    terms, parameters = [], []
    for column, limits in zip(columns, bounds, strict=True):
        for sign, limit in zip(("<", ">"), limits, strict=True):
            if math.isfinite(limit):
                terms.append(f"NOT coalesce(NOT isnan({quoted(column)}) AND {quoted(column)} {sign} ?::FLOAT, false)")
                parameters.append(float(np.float32(limit)))
    return f"({' AND '.join(terms) or 'true'})", parameters


def _border(
    database: Database, asked: Question, contents: Contents, change: Moved, inside: bool
) -> list[dict[str, Any]]:
    """The rows next to the new threshold on one side of it, the nearest first."""
    low = change.bound == "min"
    columns = [
        f"CASE WHEN isnan({quoted(name)}) THEN NULL ELSE {quoted(name)} END" for name in change.rule.rule.columns
    ]
    nearest = f"{'least' if low else 'greatest'}({', '.join(columns)})"
    sign = (">=" if low else "<=") if inside else ("<" if low else ">")
    selects: list[str] = []
    parameters: list[Any] = []
    for part, condition in ((contents.parts.get("kept"), "true"), (contents.parts.get("rejected"), _ALONE)):
        if part is not None and part.paths:
            selects.append(
                f"SELECT pair_id, '{part.name}' AS part, {nearest} AS score FROM read_parquet(?) WHERE {condition}"
            )
            parameters += [[database.place(path) for path in part.paths]]
            parameters += [change.rule.name, change.rule.name] if condition is _ALONE else []
    if not selects:
        return []
    order = "ASC" if low == inside else "DESC"
    union, sorting = " UNION ALL ".join(selects), f"ORDER BY score {order}, pair_id LIMIT {BORDER}"
    sql = f"SELECT * FROM ({union}) WHERE score {sign} ?::FLOAT {sorting}"
    found = asked.rows(sql, [*parameters, float(np.float32(change.value))])
    texts = _texts(database, asked, contents, found, change)
    return [{**texts[item["pair_id"]], **item} for item in found if item["pair_id"] in texts]


def _texts(
    database: Database, asked: Question, contents: Contents, found: list[dict[str, Any]], change: Moved
) -> dict[int, dict[str, Any]]:
    """The rows themselves, by id."""
    rows: dict[int, dict[str, Any]] = {}
    for name in ("kept", "rejected"):
        ids = sorted(item["pair_id"] for item in found if item["part"] == name)
        if ids:
            part = contents.part(name)
            paths = dict.fromkeys(path for pair_id in ids for path in part.paths_of(pair_id))
            columns = shown(part, list(change.rule.rule.columns))
            marks = ", ".join("?" for _ in ids)
            sql = f"SELECT {columns} FROM read_parquet(?) WHERE pair_id IN ({marks})"
            rows |= {row["pair_id"]: row for row in asked.rows(sql, [[*map(database.place, paths)], *ids])}
    return rows
