"""Promises of thresholds: which rules are active, with which bounds, for which rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pairmill.curate.thresholds import ActiveRule, active_rules, apply, rules_for, scored_rules
from pairmill.spec.filters import MOST_ACTIVE, Filters
from pairmill.spec.load import loads
from pairmill.spec.rule import FAMILIES
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
    brackets = next(r for r in active_rules(Filters(rules={"brackets": "on"}), 0.5) if r.name == "brackets")
    assert "bitext" not in RULES["brackets"].presets and brackets.max == RULES["brackets"].max
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
    data = table(scores(3, letters_positive=[1, 0.125, 1], html_anchor=[0, 0.7, 0]), ["en"] * 3, ["de"] * 3)
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


@pytest.mark.parametrize("name", RULES)
def test_presets_give_bounds_on_the_sides_of_the_typical_ones(name: str) -> None:
    rule = RULES[name]
    assert rule.presets.keys() <= {preset for presets in FAMILIES.values() for preset in presets}
    for low, high in (*rule.presets.values(), *rule.per_language.values()):
        assert (low is None, high is None) == (rule.min is None, rule.max is None)
        assert low is None or high is None or low <= high


def test_strict_keeps_no_row_that_bitext_or_lenient_reject() -> None:
    for rule in RULES.values():
        given = [rule.presets.get(preset) for preset in ("strict", "bitext", "lenient")]
        lows = [-np.inf if bound is None or bound[0] is None else bound[0] for bound in given]
        highs = [np.inf if bound is None or bound[1] is None else bound[1] for bound in given]
        assert lows == sorted(lows, reverse=True) and highs == sorted(highs), rule.name


def test_a_rules_own_bounds_for_a_language_hold_until_the_spec_sets_them() -> None:
    data = table(scores(2, min_chars_anchor=[1, 1]), ["zh-Hant", "en"], ["en", "en"])
    assert first(Filters(), data) == [None, "min_chars"]
    assert first(Filters(rules={"min_chars": 2}), data) == ["min_chars", "min_chars"]
    assert first(Filters(rules={"min_chars": "off"}), data) == [None, None]
    assert first(Filters(per_language={"zh": {"min_chars": 2}}), data) == ["min_chars", "min_chars"]


def test_a_pair_of_languages_wins_over_a_language_in_either_direction() -> None:
    filters = Filters(
        per_language={"de": {"length_ratio": 9, "min_chars": 1}},
        per_pair={"de-en": {"length_ratio": 2, "min_chars": 9}},
    )
    columns = scores(4, length_ratio=[2.5, 2.5, 2.5, 1], min_chars_positive=[20, 20, 20, 5])
    data = table(columns, ["de", "en", "de", "de-AT"], ["en", "de-AT", "fr", "en"])
    assert first(filters, data) == ["length_ratio", "length_ratio", None, "min_chars"]
    both = Filters(per_pair={"de-en": {"length_ratio": 2}, "en-de": {"length_ratio": 4}})
    assert first(both, data) == ["length_ratio", None, None, None]


def test_pairs_of_languages_may_have_scripts_and_regions() -> None:
    filters = Filters(per_pair={"pt-BR-zh-Hant": {"length_ratio": 2}})
    data = table(scores(2, length_ratio=[2.5, 2.5]), ["pt-BR", "pt"], ["zh-Hant", "zh-Hant"])
    assert first(filters, data) == ["length_ratio", None]


@pytest.mark.parametrize("pair", ["de", "de-", "de-EN", "de_en", "xyzw-en", "de-qq"])
def test_what_is_no_pair_of_languages_is_refused(pair: str) -> None:
    with pytest.raises(ValueError, match=r"pair of languages|BCP-47"):
        Filters(per_pair={pair: {"length_ratio": 2}})


def test_an_unknown_rule_of_a_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="length_ratoi"):
        Filters(per_pair={"de-en": {"length_ratoi": 2}})


def test_active_rules_survive_json() -> None:
    filters = Filters(per_language={"ja": {"html": 0.1}}, per_pair={"de-en": {"length_ratio": {"max": 2}}})
    for rule in active_rules(filters, 0.5):
        assert ActiveRule.from_json(RULES[rule.name], rule.to_json()) == rule


def test_no_more_rules_than_bits_can_be_on() -> None:
    for preset in ("bitext", "strict", "lenient", "web"):
        assert len(active_rules(Filters.model_validate({"preset": preset}), 0.5)) <= MOST_ACTIVE
    assert len(RULES) > MOST_ACTIVE
    with pytest.raises(ValueError, match="at most 64 can be"):
        Filters.model_validate({"rules": dict.fromkeys(RULES, "on")})


def scored(text: str) -> list[str]:
    inputs = "kind: curate\nname: x\ninputs: [{name: t, format: jsonl, path: x.jsonl}]\n"
    return [rule.name for rule in scored_rules(loads(inputs + text, "x.yaml").spec)]


def test_presets_of_a_family_share_their_scores_and_web_has_its_own() -> None:
    bitext = scored("")
    assert bitext == scored("filters: {preset: strict}") == scored("filters: {preset: lenient}")
    assert bitext == scored("filters: {rules: {html: off, length_ratio: 2}}")
    assert bitext == [name for name, rule in RULES.items() if rule.presets.keys() - {"web"}]
    assert scored("filters: {preset: web}") == [name for name, rule in RULES.items() if "web" in rule.presets]
    assert scored("filters: {preset: none}") == []


def test_rules_that_a_spec_names_are_scored_too() -> None:
    assert scored("filters: {preset: none, rules: {numbers: on, html: off}}") == ["numbers"]
    assert scored("filters: {preset: none, per_pair: {de-en: {brackets: on}}}") == ["brackets"]
    assert scored("filters: {preset: none}\ndedup: {near: {keep: {best: letters_positive}}}") == ["letters"]


def test_rules_on_translations_do_not_apply_to_other_forms_unless_named():
    spec = loads(
        "kind: curate\nname: x\ninputs: [{name: a, format: jsonl, path: a}]\nfilters: {rules: {numbers: 0.5}}", "x.yaml"
    ).spec
    pair = {rule.name for rule in rules_for(spec, "title-body") if rule.per == "pair"}
    assert pair == {"identical", "numbers"}
    assert rules_for(spec, "bitext") == scored_rules(spec)
