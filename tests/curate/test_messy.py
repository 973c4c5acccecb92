"""Preset bitext with deduplication against damaged bitext whose damage is known; and thresholds tuned on its rows."""

from __future__ import annotations

import pytest

import messy
from pairmill.curate.autotune import propose, sample
from pairmill.curate.job import run_curate
from pairmill.curate.tuned import tuned_spec
from pairmill.spec.load import loads

FLOORS = {
    "malformed_json": 1.0, "invalid_utf8": 1.0, "empty_src": 1.0, "empty_tgt": 1.0, "identical": 0.99, "url_only": 0.99,
    "exact_duplicate": 0.99, "control_chars": 0.99, "length_ratio": 0.95, "html_leftover": 0.95, "mojibake": 0.95,
    "wrong_language": 0.92, "near_duplicate >= 0.8": 0.98,
}  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return str(tmp_path_factory.mktemp("messy") / "store")


def outcomes(shared_data, store, text):
    outcome = run_curate(loads(text, "messy.yaml"), store, None, False, "pairmill run", lambda line: None)
    return messy.outcomes(shared_data, outcome.run)


@pytest.fixture(scope="module")
def preset(shared_data, store, local_ray):
    return outcomes(shared_data, store, messy.spec(shared_data))


def test_every_kind_of_damage_is_caught(preset):
    print(messy.as_text(preset))
    missed = {
        label: messy.caught(preset[label]) for label, floor in FLOORS.items() if messy.caught(preset[label]) < floor
    }
    assert not missed


def test_at_most_two_percent_of_clean_rows_are_lost(preset):
    assert messy.caught(preset["none"]) <= 0.02


@pytest.mark.parametrize("method", ["percentile", "clusters"])
def test_tuned_thresholds_are_no_worse_than_the_preset_s(shared_data, store, preset, method):
    loaded = loads(messy.spec(shared_data), "messy.yaml")
    proposals = propose(sample(loaded.spec, 5_000), loaded.spec, method)
    assert proposals
    tuned = outcomes(shared_data, store, tuned_spec(loaded, proposals, f"method {method}"))
    print(messy.as_text(tuned))
    assert messy.caught(tuned["none"]) <= messy.caught(preset["none"]) + 0.02
    worse = {label: messy.caught(tuned[label]) - messy.caught(preset[label]) for label in FLOORS}
    assert min(worse.values()) >= -0.02 - 1e-9, worse  # no more than two points
