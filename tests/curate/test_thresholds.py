"""Promises of thresholds: which rules are active, with which bounds, for which rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pairmill.curate.thresholds import active_rules, apply
from pairmill.spec.curate import Filters
from pairmill.spec.rules import RULES


def scores(rows: int, **changed: list[float]) -> dict[str, np.ndarray]:
    """Clean scores of every column, but for the given ones."""
    clean = {name: 1 if rule.direction == "high" else 0 for name, rule in RULES.items()}
    clean |= {"empty": 20, "min_chars": 20, "max_chars": 20, "length_ratio": 1}
    columns = {c: np.full(rows, clean[name], np.float32) for name, rule in RULES.items() for c in rule.columns}
    return columns | {name: np.array(values, np.float32) for name, values in changed.items()}


def table(columns: dict[str, np.ndarray], anchor: list[str | None], positive: list[str | None]) -> pa.Table:
    languages = {"anchor_lang": pa.array(anchor, pa.string()), "positive_lang": pa.array(positive, pa.string())}
    return pa.table({**columns, **languages})


def first(filters: Filters, data: pa.Table) -> list[str | None]:
    rules = active_rules(filters, 0.5)
    return [rules[number].name if number >= 0 else None for number in apply(rules, data).first]


def test_presets_and_changes_decide_which_rules_are_active_in_table_order() -> None:
    assert [r.name for r in active_rules(Filters(), 0.5)] == [n for n, r in RULES.items() if "bitext" in r.presets]
    assert active_rules(Filters(preset="none"), 0.5) == []
    changed = Filters(preset="none", rules={"html": 0.1, "empty": "on"})
    assert [(r.name, r.min, r.max) for r in active_rules(changed, 0.5)] == [("empty", 1, None), ("html", None, 0.1)]
    assert "identical" not in [r.name for r in active_rules(Filters(rules={"identical": "off"}), 0.5)]


@pytest.mark.parametrize(
    ("setting", "bounds"), [(0.6, (0.6, None)), ({"min": 0.4}, (0.4, None)), ({"max": 0.9}, (0.3, 0.9))]
)
def test_settings_replace_the_given_bounds_only(setting: object, bounds: tuple[float, float | None]) -> None:
    letters = next(r for r in active_rules(Filters(rules={"letters": setting}), 0.5) if r.name == "letters")
    assert (letters.min, letters.max) == bounds


def test_language_takes_its_bound_from_min_confidence_unless_set() -> None:
    def bound(filters: Filters) -> float | None:
        return next(r.max for r in active_rules(filters, 0.7) if r.name == "language")

    assert bound(Filters()) == 0.7
    assert bound(Filters(rules={"language": 0.9})) == 0.9


def test_first_failing_rule_all_failing_rules_value_and_bound_are_reported() -> None:
    data = table(scores(3, letters_positive=[1, 0.125, 1], html_anchor=[0, 0.5, 0]), ["en"] * 3, ["de"] * 3)
    rules = active_rules(Filters(), 0.5)
    verdict = apply(rules, data)
    names = [rule.name for rule in rules]
    assert verdict.first.tolist() == [-1, names.index("letters"), -1]
    assert verdict.failing.tolist() == [0, 1 << names.index("letters") | 1 << names.index("html"), 0]
    assert (verdict.value[1], verdict.threshold[1]) == (np.float32(0.125), np.float32(0.3))
    assert np.isnan(verdict.value[[0, 2]]).all() and np.isnan(verdict.threshold[[0, 2]]).all()


def test_bounds_themselves_pass() -> None:
    data = table(scores(2, letters_anchor=[0.3, 0.2999], length_ratio=[3.0, 1.0]), ["en"] * 2, ["de"] * 2)
    assert first(Filters(), data) == [None, "letters"]


def test_nan_and_null_scores_do_not_apply() -> None:
    data = table(scores(2, language_anchor=[np.nan, 0.9]), ["en"] * 2, ["de"] * 2)
    where = data.column_names.index("script_anchor")
    data = data.set_column(where, "script_anchor", pa.array([None, None], pa.float32()))
    assert first(Filters(), data) == [None, "language"]


def test_a_sides_own_language_changes_its_bound_by_exact_then_base_code() -> None:
    filters = Filters(per_language={"zh": {"min_chars": 5}, "de": {"min_chars": 50}, "de-AT": {"min_chars": "off"}})
    few = scores(5, min_chars_anchor=[3, 3, 3, 1, 3], min_chars_positive=[20] * 5)
    data = table(few, ["zh-Hant", "en", "de-AT", "de-AT", None], ["en"] * 5)
    assert first(filters, data) == ["min_chars", None, None, None, None]
    assert first(filters, table(few, ["de-CH"] * 5, ["zh"] * 5)) == ["min_chars"] * 5


def test_a_rule_on_the_pair_looks_up_the_anchors_language_first() -> None:
    filters = Filters(per_language={"en": {"length_ratio": 9.0}, "zh": {"length_ratio": 2.0}})
    data = table(scores(4, length_ratio=[5, 5, 5, 5]), ["en", "zh", "fr", "fr"], ["zh", "en", "zh", "fr"])
    assert first(filters, data) == [None, "length_ratio", "length_ratio", "length_ratio"]
    assert apply(active_rules(filters, 0.5), data).threshold.tolist()[1:] == [2, 2, 3]


def test_a_rule_may_be_on_for_one_language_alone() -> None:
    filters = Filters(preset="none", per_language={"ja": {"html": 0.1}})
    data = table(scores(2, html_anchor=[0.5, 0.5]), ["ja", "en"], ["en", "en"])
    assert first(filters, data) == ["html", None]


def test_codes_in_filters_and_rows_are_compared_in_one_spelling() -> None:
    filters = Filters(per_language={"pt-br": {"min_chars": 50}})
    data = table(scores(2), ["pt-BR", "pt"], ["en", "en"])
    assert first(filters, data) == ["min_chars", None]


def test_empty_and_chunked_tables_are_judged() -> None:
    data = table(scores(2, html_anchor=[0, 1]), ["en"] * 2, ["de"] * 2)
    assert first(Filters(), data.slice(2)) == []
    assert first(Filters(), pa.concat_tables([data, data.slice(1)])) == [None, "html", "html"]
