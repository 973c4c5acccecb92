"""Verdicts of claims, and the figures that they and objectives are made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from pairmill.errors import PairmillError
from pairmill.runs.storage import open_storage
from pairmill.spec.load import loads
from pairmill.sweep import claims, figures

SPEC = """kind: sweep
name: x
trial: {kind: train, model: {package: m}, data: [{name: a, run: r, holdout: 9}], steps: 9}
variants: {a: {}, b: {batch_size: 32}}
seeds: [1, 2, 3]
objective: {held_out: accuracy}
claims:
  - {text: B beats A., better: b, than: a, by: 0.1}
  - {text: B is faster., better: b, than: a, metric: training.seconds, mode: min}
"""
TASK = {
    "name": "sts.b",
    "main_score": "cosine_spearman",
    "dims": {
        "full": {
            "mean": {"cosine_spearman": {"value": 0.8}, "cosine_pearson": {"value": 0.7}},
            "subsets": {"en-de": {"scores": {"cosine_spearman": {"value": 0.9}}}},
        },
        "64": {"mean": {"cosine_spearman": {"value": 0.1}}, "subsets": {}},
    },
}


def trials(one: list[float], other: list[float]) -> list[dict[str, Any]]:
    """Variants a and b, their objectives by seed; in seconds ten times as much."""
    return [
        {
            "name": name,
            "runs": [
                {"seed": seed, "run": "", "figures": {"objective": v, "claim 0": v, "claim 1": 10 * v}}
                for seed, v in enumerate(found, 1)
            ],
        }
        for name, found in (("a", one), ("b", other))
    ]


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ([0.30, 0.31, 0.32], "held"),
        ([0.02, 0.03, 0.04], "not held"),  # better, but by less than was claimed
        ([-0.3, -0.31, -0.32], "not held"),
        ([0.0, 0.1, 0.3], "open"),
        ([0.3], "open"),
        ([0.30, 0.31], "open"),  # the third seed's run failed
        ([0.5, 0.5, 0.5], "open"),  # no seed changes anything, and there are no rows
        ([], "open"),
    ],
)
def test_a_claim_holds_where_its_whole_interval_lies_above_what_was_claimed(
    tmp_path: Path, gains: list[float], verdict: str
) -> None:
    spec, storage = loads(SPEC, "x").spec, open_storage(str(tmp_path))
    found = claims.verdict(spec, spec.claims[0], 0, trials([0.5] * 3, [0.5 + gain for gain in gains]), storage)
    assert found["verdict"] == verdict and len(found["seeds"]) == len(gains)
    assert found["asked"] == 3 and found["over"] == ("rows" if gains == [0.5] * 3 else "seeds")


def test_the_interval_is_that_of_a_paired_t_test_and_lower_may_be_better(tmp_path: Path) -> None:
    spec, storage = loads(SPEC, "x").spec, open_storage(str(tmp_path))
    one, other = [0.50, 0.61, 0.45], [0.42, 0.55, 0.40]
    found = claims.verdict(spec, spec.claims[1], 1, trials(one, other), storage)
    expected = stats.ttest_rel([10 * v for v in one], [10 * v for v in other]).confidence_interval(0.95)
    assert found["interval"] == pytest.approx([expected.low, expected.high])
    assert found["mean"] > 0 and found["mode"] == "min" and found["metric"] == "training.seconds"


def test_scores_of_tasks_are_found_by_name_main_score_or_subset() -> None:
    summary = {"tasks": [TASK], "training": {"steps": 9}, "list": [{"a": 1}]}
    paths = {
        "tasks.sts.b.main_score": 0.8,
        "tasks.sts.b.cosine_pearson": 0.7,
        "tasks.sts.b.en-de.main_score": 0.9,
        "tasks.sts.b.dims.64.mean.cosine_spearman.value": 0.1,
        "training.steps": 9,
        "list.0.a": 1,
    }
    for told in (summary, json.loads(json.dumps(summary, sort_keys=True))):  # as the storage has it
        assert {path: figures.value_at(told, path) for path in paths} == paths


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("tasks.stsb.main_score", "tasks has no 'stsb'. It has: 0, sts.b"),
        ("tasks.sts.b.ndcg", "has no 'ndcg'. Subsets: en-de. Scores: cosine_spearman, cosine_pearson, main_score."),
        ("tasks.sts.b.fr.main_score", "has no 'fr.main_score'"),
        ("training", "is no number; it has steps"),
        ("tasks.sts.b.dims.full.mean.cosine_pearson.value.x", "value has no 'x'. It has: nothing"),
    ],
)
def test_a_path_that_leads_nowhere_names_what_there_is(path: str, told: str) -> None:
    with pytest.raises(PairmillError) as caught:
        figures.value_at({"tasks": [TASK], "training": {"steps": 9}}, path)
    assert told in str(caught.value)


def test_the_objective_of_a_training_is_that_of_the_step_its_model_comes_from() -> None:
    spec = loads(SPEC, "x").spec
    groups = {step: {"a": {"accuracy": step / 10}, "b": {"accuracy": 0.0}} for step in (0, 3, 9)}
    evaluations = [{"step": step, "groups": found} for step, found in groups.items()]
    for result, expected in ((9, 0.45), (3, 0.15)):
        summary = {"training": {"result_step": result}, "evaluations": evaluations}
        assert figures.objective_of(spec.trial, spec.objective, summary) == pytest.approx(expected)
    with pytest.raises(PairmillError, match="no held-out group has 'spearman'. They have: accuracy"):
        figures.held_out(evaluations[0]["groups"], "spearman")
