"""Levers, which are the bounds of a run's rules; the points on each; and where a row's score lies among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from pairmill.curate import thresholds
from pairmill.curate.thresholds import ActiveRule, Languages
from pairmill.spec.curate import CurateSpec

MOST_POINTS = 25
NEVER = 255  # the cell of a row that passes at no point
_LIMIT = float(np.finfo(np.float32).max)
Moved = Mapping[str, Mapping[str, float]]
#: The run's rules, with some bounds set otherwise (None: none).
Rules = Callable[[Moved | None], list[ActiveRule]]


@dataclass(frozen=True)
class Lever:
    """One bound of a rule that is on."""

    number: int  # of the rule among the active ones
    bound: Literal["min", "max"]
    at: float  # the run's threshold
    free: ActiveRule  # the rule with this bound out of reach; exceptions for languages and pairs stay

    @property
    def name(self) -> str:
        return self.free.name

    @property
    def columns(self) -> tuple[str, ...]:
        return self.free.rule.columns

    @property
    def sign(self) -> int:
        """What turns scores so that low ones pass."""
        return 1 if self.bound == "max" else -1


def rules_of(spec: CurateSpec) -> Rules:
    """The rules of a spec that reads files."""
    return lambda moved: thresholds.active_rules(spec.filters, spec.language.min_confidence, moved=moved)


def levers(rules: Rules, columns: Sequence[str]) -> list[Lever]:
    """The levers of a run whose rows have these score columns."""
    active = rules(None)
    low = rules({rule.name: {"min": -_LIMIT} for rule in active})
    high = rules({rule.name: {"max": _LIMIT} for rule in active})
    found = []
    for number, rule in enumerate(active):
        if rule.enabled and set(rule.rule.columns) <= set(columns):
            if rule.min is not None and np.isfinite(rule.min):
                found.append(Lever(number, "min", rule.min, low[number]))
            if rule.max is not None and np.isfinite(rule.max):
                found.append(Lever(number, "max", rule.max, high[number]))
    return found


def points(lever: Lever, values: np.ndarray) -> list[float]:
    """At most MOST_POINTS thresholds, the run's own among them, in the order of points.

    Half of them are quantiles of `values` (n,), a sample of the scores with NaN, half of the different values: most
    rows have the same score under many a rule. Three significant digits.
    """
    values = values[np.isfinite(values)].astype(np.float64)
    half = (MOST_POINTS - 1) // 2
    chosen: list[float] = []
    for spread in (values, np.unique(values)) if len(values) else ():
        chosen += np.quantile(spread, np.linspace(0, 1, half), method="inverted_cdf").tolist()
    rounded = {float(f"{value:.3g}") + 0.0 for value in chosen} | {float(lever.at)}
    return sorted(rounded, reverse=lever.bound == "min")


def cells(lever: Lever, at: Sequence[float], table: pa.Table, languages: tuple[Languages, Languages]) -> np.ndarray:
    """For each row (n,) uint8 the first of the points `at` at which it passes the lever's rule, NEVER if none."""
    sign, rows = lever.sign, len(table)
    passes, worst = np.ones(rows, bool), np.full(rows, -np.inf)
    for column in lever.columns:
        scores = sign * thresholds.numbers(table[column]).astype(np.float64)
        bounds = [sign * bound.astype(np.float64) for bound in thresholds.bounds_of(lever.free, column, *languages)]
        low, high = bounds if sign > 0 else bounds[::-1]
        moves = high == _LIMIT
        passes &= ~(scores < low) & (moves | ~(scores > high))
        worst = np.where(moves, np.fmax(worst, scores), worst)
    steps = sign * np.array(at, np.float32).astype(np.float64)
    found = np.searchsorted(steps, worst, "left")
    return np.where(passes & (found < len(at)), found, NEVER).astype(np.uint8)


def numbered(pairs: Sequence[Sequence[str]], languages: tuple[Languages, Languages]) -> np.ndarray:
    """For each row (n,) the number of its pair of languages among `pairs`, their count if it is none of them."""
    anchor, positive = languages
    numbers = {(a, p): number for number, (a, p) in enumerate(pairs)}
    table = [[numbers.get((a or "", p or ""), len(pairs)) for p in positive.codes] for a in anchor.codes]
    found: np.ndarray = np.array(table, np.int64)[anchor.which, positive.which]
    return found


def languages_of(table: pa.Table) -> tuple[Languages, Languages]:
    return Languages(table["anchor_lang"]), Languages(table["positive_lang"])
