"""Which rows of a run: the fields of the filter form, and the condition that they make.

Columns come from the closed list of the part's own columns; whatever the reader typed is a bound parameter.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pairmill.errors import SpecError
from pairmill.explore.contents import PARTS, Contents, Part
from pairmill.explore.database import quoted

TEXT = 500
SCORES = 8
SIDES = ("anchor", "positive")
UNKNOWN = "unknown"
_CODE = "([a-z]{2,3}(?:-(?:[A-Z][a-z]{3}|[A-Z]{2}|[0-9]{3}))*)"  # as in pairs/kept.py
_PAIR = re.compile(f"{_CODE}-{_CODE}")


@dataclass(frozen=True)
class Range:
    """The values of a score column: from `low` to `high`, both included (None: no bound)."""

    column: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Filters:
    """The fields of the form; an empty one asks for nothing.

    `language` is a code (either side: `de` takes in `de-AT`), a pair of codes in either order, or `unknown`. `q` is a
    text that the sides, or one `side`, contain; `case`: in just these capitals and small letters.
    """

    part: str = "kept"
    source: str = ""
    language: str = ""
    reason: str = ""
    file: str = ""
    q: str = ""
    side: str = ""
    case: str = ""
    scores: tuple[Range, ...] = ()

    @classmethod
    def read(cls, query: Mapping[str, Any], many: Mapping[str, Sequence[str]]) -> Filters:
        """From a URL: `query` has the first value of each field, `many` all of the score fields.

        Raises SpecError: an unknown part or side, a text too long, a bound that is no number.
        """
        given = {
            field.name: str(query.get(field.name, "")).strip(" ") for field in fields(cls) if field.name != "scores"
        }
        given["part"] = given["part"] or "kept"
        _among("part", given["part"], PARTS)
        _among("side", given["side"], ("", *SIDES))
        for name, value in given.items():
            if len(value) > TEXT:
                raise SpecError(f"{name}: {len(value):,} characters. Allowed: {TEXT}.")
        columns, lows, highs = (list(many.get(name, ())) for name in ("score", "min", "max"))
        if len(columns) > SCORES:
            raise SpecError(f"score: {len(columns)} columns. Allowed: {SCORES}.")
        ranges = [
            Range(column, number(f"min of {column}", _at(lows, place)), number(f"max of {column}", _at(highs, place)))
            for place, column in enumerate(columns)
            if column
        ]
        return cls(**given, scores=tuple(ranges))

    def query(self, **changes: Any) -> dict[str, Any]:
        """The fields that ask for something, as `links.path` takes them."""
        given = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "scores"}
        scores = {
            "score": [score.column for score in self.scores],
            "min": ["" if score.low is None else f"{score.low:g}" for score in self.scores],
            "max": ["" if score.high is None else f"{score.high:g}" for score in self.scores],
        }
        return {name: value for name, value in {**given, **scores, **changes}.items() if value not in ("", [], None)}

    @property
    def any(self) -> bool:
        """Whether anything but the part is asked for."""
        return self != Filters(self.part)

    def condition(self, part: Part) -> tuple[str, list[Any]]:
        """SQL for the rows of a part, and its parameters. Raises SpecError where the part has no such column."""
        terms: list[str] = []
        parameters: list[Any] = []

        def add(term: str, *values: Any) -> None:
            terms.append(term)
            parameters.extend(values)

        if self.source:
            add(f"{_column(part, 'source', 'source')} = ?", self.source)
        if self.reason:
            add(f"{_column(part, 'reason', 'error' if part.name == 'quarantine' else 'reason')} = ?", self.reason)
        if self.file:
            add(f"contains({_column(part, 'file', 'origin_file')}, ?)", self.file)
        if self.language:
            add(*_language(part, self.language))
        for score in self.scores:
            add(*_range(part, score))
        if self.q:
            add(*self._text(part))
        return " AND ".join(terms) or "true", parameters

    def _text(self, part: Part) -> tuple[Any, ...]:
        if part.name == "quarantine":
            return "(contains(detail, ?) OR contains(data::VARCHAR, encode(?)::VARCHAR))", self.q, self.q
        sides = [_column(part, "q", side) for side in ([self.side] if self.side else SIDES)]
        if self.case:
            fits, text = "contains({}, ?)", self.q
        else:  # takes half the time of comparing in small letters
            fits, text = "regexp_matches({}, ?, 'i')", re.escape(self.q)
        return f"({' OR '.join(map(fits.format, sides))})", *[text for _ in sides]


def check(filters: Filters, contents: Contents) -> Part:
    """The part that is asked for. Raises SpecError where the run has none, or no such columns."""
    part = contents.part(filters.part)
    filters.condition(part)
    return part


def _language(part: Part, entry: str) -> tuple[Any, ...]:
    anchor, positive = (_column(part, "language", f"{side}_lang") for side in SIDES)
    if entry == UNKNOWN:
        return (f"({anchor} IS NULL OR {positive} IS NULL)",)
    pair = _PAIR.fullmatch(entry)
    if pair is None:
        return f"({_takes_in(anchor)} OR {_takes_in(positive)})", *_codes(entry), *_codes(entry)
    one, other = (_codes(code) for code in pair.groups())
    both = f"({_takes_in(anchor)} AND {_takes_in(positive)})"
    return f"({both} OR {both})", *one, *other, *other, *one


def _takes_in(column: str) -> str:
    return f"({column} = ? OR starts_with({column}, ?))"


def _codes(code: str) -> list[str]:
    return [code, f"{code}-"]


def _range(part: Part, score: Range) -> tuple[Any, ...]:
    """NaN, which DuckDB holds for the largest number, is no value."""
    _among("score", score.column, part.scores)
    column = f"{quoted(score.column)}::FLOAT"
    terms, values = [f"NOT isnan({column})"], []
    for sign, bound in ((">=", score.low), ("<=", score.high)):
        if bound is not None:
            terms.append(f"{column} {sign} ?::FLOAT")
            values.append(bound)
    return f"({' AND '.join(terms)})", *values


def _column(part: Part, field: str, name: str) -> str:
    if name not in part.columns:
        raise SpecError(f"{field}: {part.name} rows have no {name}. Leave it empty.")
    return quoted(name)


def _among(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise SpecError(f"{name}: {value!r} is unknown. Allowed: {', '.join(filter(None, allowed)) or 'none'}.")


def _at(values: Sequence[str], place: int) -> str:
    return values[place] if place < len(values) else ""


def number(name: str, text: str) -> float | None:
    """What a field holds; None where it is empty. Raises SpecError where it is no finite number."""
    if not text.strip():
        return None
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise SpecError(f"{name}: {text[:40]!r} is no number.")
    return found
