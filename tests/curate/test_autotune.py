"""Autotune: what distributions it reads, what it leaves alone, and the spec that it writes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pairmill.curate import annotate, thresholds
from pairmill.curate.autotune import MIN_ROWS, propose
from pairmill.curate.tuned import tuned_spec
from pairmill.spec.load import loads
from pairmill.spec.rules import RULES

TEXT = """
kind: curate
name: tune
inputs: [{name: rows, format: jsonl, path: "rows-${env:PART}.jsonl"}]
filters:
  rules: {numbers: off}
  per_pair: {de-en: {repetition: {max: 0.4}}}
"""


@pytest.fixture
def loaded(monkeypatch):
    monkeypatch.setenv("PART", "7")
    return loads(TEXT, "tune.yaml")


def scores(spec, ratio: np.ndarray, pair=("de", "en")) -> pa.Table:
    """Annotated rows that pass every rule but, perhaps, `length_ratio`."""
    rows = len(ratio)
    columns = {}
    bounds = {rule.name: rule.bounds for rule in thresholds.active_rules(spec.filters, 0.5)}
    for field in annotate.schema(spec):
        columns[field.name] = pa.nulls(rows, field.type)
    for rule in RULES.values():
        low, high = bounds.get(rule.name, (-np.inf, np.inf))
        clean = float(np.clip(0, low, high))
        for column in rule.columns:
            if column in columns:
                columns[column] = pa.array(np.full(rows, clean), pa.float32())
    columns["length_ratio"] = pa.array(ratio, pa.float32())
    columns |= {
        f"{side}_lang": pa.repeat(pa.scalar(code), rows)
        for side, code in zip(("anchor", "positive"), pair, strict=True)
    }
    return pa.table(columns)


def clean_ratio(rows: int, spread: float) -> np.ndarray:
    return np.exp(np.abs(np.random.default_rng(5).normal(0, spread, rows)))


def test_noise_does_not_move_the_bound(loaded):
    clean = clean_ratio(2_000, 0.25)
    noisy = np.concatenate([clean, np.linspace(2.7, 9, 100)])
    without, with_noise = (propose(scores(loaded.spec, ratio), loaded.spec, "percentile") for ratio in (clean, noisy))
    assert [p.rule for p in with_noise] == ["length_ratio"]
    assert with_noise[0].bound < 3 and with_noise[0].rejects == pytest.approx(100 / 2_100, abs=0.01)
    assert not without or without[0].bound == pytest.approx(with_noise[0].bound, rel=0.1)


def test_a_wide_language_pair_gets_a_wider_bound(loaded):
    (wide,) = propose(scores(loaded.spec, clean_ratio(2_000, 0.45)), loaded.spec, "percentile")
    assert wide.bound > 3 and wide.rejects < wide.rejected_before


def test_two_clusters_are_separated_between_them(loaded):
    ratio = np.concatenate([clean_ratio(900, 0.15), np.linspace(2.6, 2.9, 100)])
    (found,) = propose(scores(loaded.spec, ratio), loaded.spec, "clusters")
    assert found.rule == "length_ratio" and 2 <= found.bound < 2.6
    assert found.rejects == pytest.approx(0.1, abs=0.005)


def test_bounds_stay_between_strict_and_lenient(loaded):
    (found,) = propose(scores(loaded.spec, clean_ratio(2_000, 2.0)), loaded.spec, "percentile")
    strict, lenient = (RULES["length_ratio"].presets[preset][1] for preset in ("strict", "lenient"))
    assert strict <= found.bound <= lenient


def test_too_few_rows_and_constant_scores_propose_nothing(loaded):
    assert propose(scores(loaded.spec, clean_ratio(MIN_ROWS - 1, 0.3)), loaded.spec, "percentile") == []
    assert propose(scores(loaded.spec, np.full(1_000, 1.5)), loaded.spec, "percentile") == []


@pytest.mark.parametrize(
    "filters",
    [
        "{per_pair: {en-de: {length_ratio: 4}}}",
        "{per_language: {de: {length_ratio: 4}}}",
        "{per_pair: {de-en: {length_ratio: off}}}",
    ],
)
def test_what_the_spec_says_for_a_language_or_pair_is_not_tuned(filters):
    spec = loads(TEXT.partition("filters:")[0].replace("${env:PART}", "1") + f"filters: {filters}\n", "tune.yaml").spec
    noisy = scores(spec, np.concatenate([clean_ratio(2_000, 0.25), np.linspace(2.7, 9, 100)]), ("de-AT", "en"))
    assert propose(noisy, spec, "percentile") == []


def test_spellings_of_a_language_are_one_pair_and_what_no_spec_can_name_is_left_out(loaded):
    ratio = np.concatenate([clean_ratio(300, 0.25), np.linspace(2.7, 9, 20)])
    pairs = [("pt_BR", "en"), ("pt-BR", "en"), ("English", "Deutsch"), ("", "en"), ("ca-valencia", "en")]
    table = pa.concat_tables([scores(loaded.spec, ratio, pair) for pair in pairs])
    found = propose(table, loaded.spec, "percentile")
    assert {(p.pair, p.rows) for p in found} == {("pt-BR-en", 640)}
    assert "pt-BR-en:" in tuned_spec(loaded, found, "a test")


def test_the_spec_written_is_valid_keeps_its_own_settings_and_says_why(loaded):
    ratio = np.concatenate([clean_ratio(2_000, 0.25), np.linspace(2.7, 9, 100)])
    text = tuned_spec(loaded, propose(scores(loaded.spec, ratio), loaded.spec, "percentile"), "a test")
    tuned = loads(text, "tuned.yaml").spec
    assert tuned.filters.per_pair["de-en"]["repetition"].max == 0.4
    assert 2 <= tuned.filters.per_pair["de-en"]["length_ratio"].max < 3
    assert tuned.filters.rules["numbers"].enabled is False
    assert "# median" in text and "2,100 rows" in text
    assert "${env:PART}" in text, "references to the environment stay references"
