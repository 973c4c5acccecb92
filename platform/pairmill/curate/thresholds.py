"""Thresholds: from scores and the spec's filters to a verdict on each row.

A rule's bounds are those of the preset (its typical ones where it is switched on outside of its presets), changed by
`filters.rules`. For single rows the first of these that says something about the rule wins:

1. `filters.per_pair` for the row's two languages, in this order or the other;
2. `filters.per_language` for the language of the side (a rule on the pair: of the anchor, then of the positive);
3. the rule's own bounds for the language, if `filters.rules` gives none.

Languages go by their exact code, then by the base code: `de-AT`, then `de`. A score of NaN or null means that the rule
does not apply to the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.curate.language.codes import base, canonical
from pairmill.spec.curate import CurateSpec
from pairmill.spec.filters import MOST_ACTIVE, Bounds, Filters, split_pair
from pairmill.spec.rule import Bound, Rule, family
from pairmill.spec.rules import RULES


@dataclass(frozen=True)
class ActiveRule:
    """A rule with its bounds, and with those that differ for some languages (BCP-47 code) or pairs of languages."""

    rule: Rule
    min: float | None
    max: float | None
    enabled: bool = True  # False: on only where `per_language` or `per_pair` says so
    per_language: dict[str, ActiveRule] = field(default_factory=dict)
    per_pair: dict[tuple[str, str], ActiveRule] = field(default_factory=dict)

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
        """What holds for a language: its exact code, else its base code."""
        return next((self.per_language[code] for code in _codes(language) if code in self.per_language), None)

    def pair_override(self, anchor: str | None, positive: str | None) -> ActiveRule | None:
        """What holds for a pair of languages, in this order, else in the other."""
        pairs = [(a, p) for a in _codes(anchor) for p in _codes(positive)]
        both = [*pairs, *[(p, a) for a, p in pairs]]
        return next((self.per_pair[pair] for pair in both if pair in self.per_pair), None)

    def at(self, column: str, anchor: str | None, positive: str | None) -> ActiveRule:
        """What applies to one of the rule's columns in a row of these languages."""
        languages = (
            (anchor, positive) if column == self.name else (positive,) if column.endswith("_positive") else (anchor,)
        )
        own = (self.override(language) for language in languages)
        return self.pair_override(anchor, positive) or next(filter(None, own), self)

    def to_json(self) -> dict[str, Any]:
        """Its bounds as a spec would write them."""
        own: dict[str, Any] = {"enabled": self.enabled, "min": self.min, "max": self.max}
        if self.per_language:
            own["per_language"] = {code: other.to_json() for code, other in self.per_language.items()}
        if self.per_pair:
            own["per_pair"] = {"-".join(pair): other.to_json() for pair, other in self.per_pair.items()}
        return own

    @classmethod
    def from_json(cls, rule: Rule, data: dict[str, Any]) -> ActiveRule:
        """The inverse of `to_json`."""
        languages = {code: cls.from_json(rule, other) for code, other in data.get("per_language", {}).items()}
        pairs = {split_pair(pair): cls.from_json(rule, other) for pair, other in data.get("per_pair", {}).items()}
        return cls(rule, data["min"], data["max"], data["enabled"], languages, pairs)


@dataclass(frozen=True)
class Verdict:
    """Per row (n,): what failed. Rule numbers are positions in the list of rules that was applied."""

    first: np.ndarray  # int16: the first failing rule, -1 where all pass
    failing: np.ndarray  # uint64: bit i is set where rule i fails
    value: np.ndarray  # float32: the score that failed first; of a rule on both sides, the anchor's if it fails
    threshold: np.ndarray  # float32: the bound it broke; both NaN where all pass


def scored_rules(spec: CurateSpec) -> list[Rule]:
    """The rules whose scores are computed: those of the preset's family, those the spec names, in the table's order.

    So one may move between the presets of a family, or switch a rule off, without annotating anew.
    """
    near = spec.dedup.near
    best = near.keep["best"] if near and isinstance(near.keep, dict) else None
    presets, named = family(spec.filters.preset), spec.filters.named
    return [
        rule
        for rule in RULES.values()
        if rule.name in named or best in rule.columns or any(preset in rule.presets for preset in presets)
    ]


def rules_for(spec: CurateSpec, form: str) -> list[Rule]:
    """The scored rules that apply to pairs of a form.

    Rules on the pair expect a translation: to other forms (a title and its body, a question and its answer) they do not
    apply, `identical` aside, unless `filters.rules` names them.
    """
    return [
        rule
        for rule in scored_rules(spec)
        if form == "bitext" or rule.per != "pair" or rule.name == "identical" or rule.name in spec.filters.rules
    ]


def active_rules(
    filters: Filters,
    min_confidence: float,
    table: Mapping[str, Rule] = RULES,
    moved: Mapping[str, Mapping[str, float]] | None = None,
) -> list[ActiveRule]:
    """The rules that the filters switch on, for all texts or for some language, in the order of the table.

    The rule `language` takes its max from `min_confidence` unless a max is set. `moved`: bounds to set otherwise, by
    rule and `min` or `max`; what has bounds of its own for a language or pair keeps them.
    """
    rules = []
    for name, rule in table.items():
        low, high = rule.presets.get(filters.preset, (rule.min, rule.max))
        if name == "language":
            high = min_confidence
        active = ActiveRule(rule, low, high, enabled=filters.preset in rule.presets)
        if name in filters.rules:
            active = _changed(active, filters.rules[name])
        at = (moved or {}).get(name, {})
        active = replace(active, min=at.get("min", active.min), max=at.get("max", active.max))
        per_language = {canonical(code): other for code, other in _per_language(active, filters)}
        per_pair = {
            (canonical(anchor), canonical(positive)): _changed(active, settings[name])
            for (anchor, positive), settings in ((split_pair(pair), s) for pair, s in filters.per_pair.items())
            if name in settings
        }
        active = replace(active, per_language=per_language, per_pair=per_pair)
        if active.enabled or any(other.enabled for other in [*per_language.values(), *per_pair.values()]):
            rules.append(active)
    return rules


def _per_language(active: ActiveRule, filters: Filters) -> Iterator[tuple[str, ActiveRule]]:
    """The rule's own bounds by language, then what the filters say."""
    setting = filters.rules.get(active.name)
    if active.enabled and (setting is None or setting == Bounds()):
        yield from ((code, _bounded(active, bound)) for code, bound in active.rule.per_language.items())
    for code, settings in filters.per_language.items():
        if active.name in settings:
            yield code, _changed(active, settings[active.name])


def apply(rules: list[ActiveRule], table: pa.Table) -> Verdict:
    """Judge every row of a table that has the rules' score columns, `anchor_lang` and `positive_lang`."""
    assert len(rules) <= MOST_ACTIVE, "the spec's filters allow no more"
    rows = len(table)
    languages = Languages(table["anchor_lang"]), Languages(table["positive_lang"])
    first, failing = np.full(rows, -1, np.int16), np.zeros(rows, np.uint64)
    value, threshold = np.full(rows, np.nan, np.float32), np.full(rows, np.nan, np.float32)
    for number, active in enumerate(rules):
        for column in active.rule.columns:
            scores = numbers(table[column])
            low, high = bounds_of(active, column, *languages)
            below, above = scores < low, scores > high
            failed = below | above
            if not failed.any():
                continue
            now = failed & (first < 0)
            first[now] = number
            value[now] = scores[now]
            threshold[now] = np.where(below, low, high)[now]
            failing[failed] |= np.uint64(1 << number)
    return Verdict(first, failing, value, threshold)


def unscored(rules: list[ActiveRule], table: pa.Table) -> np.ndarray:
    """Which rows (n,) of such a table have no value where one of the rules has a bound for them."""
    languages = Languages(table["anchor_lang"]), Languages(table["positive_lang"])
    lacking = np.zeros(len(table), bool)
    for active in rules:
        for column in active.rule.columns:
            low, high = bounds_of(active, column, *languages)
            lacking |= np.isnan(numbers(table[column])) & (np.isfinite(low) | np.isfinite(high))
    return lacking


class Languages:
    """A column of languages as distinct codes and, per row, which of them (the last one: null)."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        encoded = column.combine_chunks().dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        self.codes: list[str | None] = [*encoded.dictionary.to_pylist(), None]
        self.which = encoded.indices.fill_null(len(self.codes) - 1).to_numpy(zero_copy_only=False)


def bounds_of(active: ActiveRule, column: str, anchor: Languages, positive: Languages) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest passing score per row, float32: arrays (n,), or (1,) where no language differs."""
    if not active.per_language and not active.per_pair:
        low, high = np.array([active.bounds], np.float32).T
        return low, high
    pairs, which = np.unique(anchor.which.astype(np.int64) * len(positive.codes) + positive.which, return_inverse=True)
    bounds = [
        active.at(column, anchor.codes[pair // len(positive.codes)], positive.codes[pair % len(positive.codes)]).bounds
        for pair in pairs.tolist()
    ]
    low, high = np.array(bounds, np.float32).reshape(-1, 2)[which].T
    return low, high


def numbers(column: pa.ChunkedArray) -> np.ndarray:
    """A score column as floats (n,), NaN where there is no score."""
    whole = column.combine_chunks()
    floats = whole.cast(pa.float64()) if pa.types.is_integer(whole.type) else whole
    return floats.fill_null(np.nan).to_numpy(zero_copy_only=False)


def _codes(language: str | None) -> tuple[str, ...]:
    return () if language is None else (canonical(language), base(language))


def _changed(active: ActiveRule, setting: Bounds | float) -> ActiveRule:
    if isinstance(setting, Bounds):
        return _bounded(replace(active, enabled=setting.enabled), (setting.min, setting.max))
    if active.rule.direction == "high":
        return replace(active, enabled=True, min=setting)
    return replace(active, enabled=True, max=setting)


def _bounded(active: ActiveRule, bound: Bound) -> ActiveRule:
    """With the bounds that are given; the others stay."""
    low, high = bound
    return replace(active, min=active.min if low is None else low, max=active.max if high is None else high)
