"""Thresholds: from scores and the spec's filters to a verdict on each row.

A rule's bounds are those of the table, changed by `filters.rules`, changed by `filters.per_language` for the language
of the side (the exact code, then the base code: `de-AT`, then `de`). A rule on the pair looks up the anchor's language
first, then the positive's. A score of NaN or null means that the rule does not apply to the row.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from pairmill.curate.language.codes import base, canonical
from pairmill.spec.curate import Bounds, Filters
from pairmill.spec.rules import RULES, Rule


@dataclass(frozen=True)
class ActiveRule:
    """A rule with its bounds, and with those that differ for some languages (by BCP-47 code)."""

    rule: Rule
    min: float | None
    max: float | None
    enabled: bool = True  # False: on only where `per_language` says so
    per_language: dict[str, ActiveRule] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.rule.name

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest passing value; infinite where there is no bound or the rule is off."""
        low = -np.inf if self.min is None or not self.enabled else self.min
        high = np.inf if self.max is None or not self.enabled else self.max
        return low, high

    def override(self, language: str | None) -> ActiveRule | None:
        """What `per_language` says for a language: its exact code, else its base code."""
        if language is None or not self.per_language:
            return None
        return self.per_language.get(canonical(language)) or self.per_language.get(base(language))


@dataclass(frozen=True)
class Verdict:
    """Per row (n,): what failed. Rule numbers are positions in the list of rules that was applied."""

    first: np.ndarray  # int16: the first failing rule, -1 where all pass
    failing: np.ndarray  # uint64: bit i is set where rule i fails
    value: np.ndarray  # float32: the score that failed first; of a rule on both sides, the anchor's if it fails
    threshold: np.ndarray  # float32: the bound it broke; both NaN where all pass


def active_rules(filters: Filters, min_confidence: float) -> list[ActiveRule]:
    """The rules that the filters switch on, for all texts or for some language, in the order of the table.

    The rule `language` takes its max from `min_confidence` unless a max is set.
    """
    rules = []
    for name, rule in RULES.items():
        limit = min_confidence if name == "language" else rule.max
        active = ActiveRule(rule, rule.min, limit, enabled=filters.preset in rule.presets)
        if name in filters.rules:
            active = _changed(active, filters.rules[name])
        per_language = {
            canonical(code): _changed(active, settings[name])
            for code, settings in filters.per_language.items()
            if name in settings
        }
        active = replace(active, per_language=per_language)
        if active.enabled or any(other.enabled for other in active.per_language.values()):
            rules.append(active)
    return rules


def apply(rules: list[ActiveRule], table: pa.Table) -> Verdict:
    """Judge every row of a table that has the rules' score columns, `anchor_lang` and `positive_lang`."""
    rows = len(table)
    anchor, positive = _Languages(table["anchor_lang"]), _Languages(table["positive_lang"])
    first, failing = np.full(rows, -1, np.int16), np.zeros(rows, np.uint64)
    value, threshold = np.full(rows, np.nan, np.float32), np.full(rows, np.nan, np.float32)
    for number, active in enumerate(rules):
        columns = active.rule.columns
        looked_up = [(anchor, positive)] if len(columns) == 1 else [(anchor,), (positive,)]
        for column, languages in zip(columns, looked_up, strict=True):
            scores = _scores(table[column])
            low, high = _bounds(active, languages)
            below, above = scores < low, scores > high
            failed = below | above
            now = failed & (first < 0)
            first[now] = number
            value[now] = scores[now]
            threshold[now] = np.where(below, low, high)[now]
            failing[failed] |= np.uint64(1 << number)
    return Verdict(first, failing, value, threshold)


class _Languages:
    """A column of languages as distinct codes and, per row, which of them (the last one: null)."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        encoded = column.combine_chunks().dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        self.codes: list[str | None] = [*encoded.dictionary.to_pylist(), None]
        self.which = encoded.indices.fill_null(len(self.codes) - 1).to_numpy(zero_copy_only=False)


def _bounds(active: ActiveRule, languages: tuple[_Languages, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest passing score per row, float32: arrays (n,), or (1,) where no language differs."""
    low, high = np.array([active.bounds], np.float32).T
    if not active.per_language:
        return low, high
    for language in reversed(languages):
        chosen = [active.override(code) for code in language.codes]
        differs = np.array([other is not None for other in chosen])[language.which]
        table = np.array([(other or active).bounds for other in chosen], np.float32)[language.which]
        low, high = np.where(differs, table[:, 0], low), np.where(differs, table[:, 1], high)
    return low, high


def _scores(column: pa.ChunkedArray) -> np.ndarray:
    return column.combine_chunks().fill_null(np.nan).to_numpy(zero_copy_only=False)


def _changed(active: ActiveRule, setting: Bounds | float) -> ActiveRule:
    if isinstance(setting, Bounds):
        low = active.min if setting.min is None else setting.min
        high = active.max if setting.max is None else setting.max
        return replace(active, enabled=setting.enabled, min=low, max=high)
    if active.rule.direction == "high":
        return replace(active, enabled=True, min=setting)
    return replace(active, enabled=True, max=setting)
