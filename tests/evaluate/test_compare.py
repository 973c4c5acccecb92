"""Comparisons: chance is not taken for a difference, a difference is found, several lines are corrected for."""

from __future__ import annotations

import numpy as np
import pytest

from pairmill.evaluate import compare
from pairmill.evaluate.compare import Pair


def pair(metric: str, one: np.ndarray, other: np.ndarray, **shared: np.ndarray) -> Pair:
    about = {"id": np.array([str(i) for i in range(len(one))]), "length": np.ones(len(one)), **shared}
    return Pair({**about, metric: one}, {**about, metric: other})


def p_of(given: Pair, metric: str, draws: int = 400) -> float:
    effect = compare._effect(given, metric, draws)
    assert effect is not None
    return compare.p_value(effect.other - effect.one, effect.drawn, effect.permuted)


@pytest.mark.parametrize("metric", ["accuracy", "cosine_spearman"])
def test_two_models_that_differ_by_chance_alone_are_rarely_called_different(metric: str) -> None:
    random = np.random.default_rng(0)
    values = []
    for _ in range(120):
        if metric == "accuracy":
            one, other = (random.random((2, 80)) < 0.6).astype(float)
            values.append(p_of(pair("accuracy", one, other), metric))
        else:
            gold = random.normal(size=80)
            one, other = gold + random.normal(size=(2, 80))
            values.append(p_of(pair("cosine", one, other, gold=gold), metric))
    assert 0.005 <= np.mean(np.array(values) < 0.05) <= 0.12
    assert 0.25 <= np.mean(np.array(values) < 0.5) <= 0.7


def test_a_difference_is_found_where_the_rows_agree_on_it() -> None:
    random = np.random.default_rng(1)
    one = random.random(300)
    assert p_of(pair("ndcg_at_10", one, one + 0.05 + 0.2 * random.normal(size=300)), "ndcg_at_10") < 0.01
    gold = random.normal(size=300)
    noise = random.normal(size=(2, 300))
    better = pair("cosine", gold + 1.5 * noise[0], gold + 0.7 * noise[1], gold=gold)
    assert p_of(better, "cosine_spearman") < 0.01


def test_permutations_are_those_of_all_sign_flips() -> None:
    differences = np.array([0.5, -0.25, 1.0, 0.125])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T
    exact = np.mean(np.abs(signs @ differences / 4) >= abs(differences.mean()) - 1e-12)
    permuted = np.concatenate(list(compare._permutations(differences, 20_000)))
    assert compare.p_value(differences.mean(), differences, permuted) == pytest.approx(exact, abs=0.02)


def test_holm_corrects_as_in_his_paper() -> None:
    assert compare.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert compare.holm([0.9, 0.8]) == [1.0, 1.0]
    assert compare.holm([]) == []


def test_a_score_that_is_none_is_no_difference_and_draws_without_one_do_not_count() -> None:
    random = np.random.default_rng(2)
    gold = random.normal(size=40)
    flat = pair("cosine", np.ones(40), gold + random.normal(size=40), gold=gold)
    assert compare._effect(flat, "cosine_spearman", 1000) is None
    label = np.zeros(40)
    label[3] = 1  # a third of the draws have no positive row, and so no average precision
    one, other = random.random((2, 40))
    found = compare._effect(pair("cosine", one, other, label=label), "cosine_ap", 1000)
    assert found is not None and 200 < np.isnan(found.drawn).sum() < 500
    known = found.drawn[np.isfinite(found.drawn)]
    expected = (1 + np.count_nonzero(np.abs(known - 0.1) >= 0.1)) / (1 + len(known))
    assert compare.p_value(0.1, found.drawn, None) == pytest.approx(expected)
