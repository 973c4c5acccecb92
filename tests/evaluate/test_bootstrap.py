"""Weighted scores are the scores of the rows drawn; intervals cover what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import average_precision_score

from pairmill.evaluate import bootstrap

#: Few different values, so that ties are common.
COLUMN = st.integers(0, 6)


def repeated(values: dict[str, np.ndarray], counts: np.ndarray) -> dict[str, np.ndarray]:
    """The rows as often as they were drawn."""
    return {name: np.repeat(column, counts) for name, column in values.items()}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(COLUMN, COLUMN, st.integers(0, 3)), min_size=4, max_size=30))
def test_correlations_of_weights_are_those_of_the_rows_drawn(rows: list[tuple[int, int, int]]) -> None:
    cosine, gold, counts = (np.array(column) for column in zip(*rows, strict=True))
    values = {"cosine": cosine.astype(float), "gold": gold.astype(float)}
    drawn = repeated(values, counts)
    if len(set(drawn["cosine"])) < 2 or len(set(drawn["gold"])) < 2:
        return
    taken = counts[None].astype(float)
    for measure, reference in ((bootstrap.spearman, spearmanr), (bootstrap.pearson, pearsonr)):
        expected = reference(drawn["cosine"], drawn["gold"])[0]
        assert measure(values, taken)[0] == pytest.approx(expected, abs=1e-9)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(COLUMN, st.booleans(), st.integers(0, 3)), min_size=3, max_size=30))
def test_average_precision_of_weights_is_that_of_the_rows_drawn(rows: list[tuple[int, bool, int]]) -> None:
    cosine, label, counts = (np.array(column) for column in zip(*rows, strict=True))
    values = {"cosine": cosine.astype(float), "label": label.astype(float)}
    drawn = repeated(values, counts)
    if not drawn["label"].any():
        return
    found = bootstrap.average_precision("cosine")(values, counts[None].astype(float))[0]
    assert found == pytest.approx(average_precision_score(drawn["label"], drawn["cosine"]), abs=1e-9)


def test_every_draw_takes_as_many_rows_as_there_are_and_is_the_same_again() -> None:
    blocks = list(bootstrap.weights(700, 5000))
    drawn = np.concatenate(blocks)
    assert len(blocks) > 1 and drawn.shape == (5000, 700)
    assert (drawn.sum(1) == 700).all()
    assert np.array_equal(drawn, np.concatenate(list(bootstrap.weights(700, 5000))))
    assert np.array_equal(drawn[:100], np.concatenate(list(bootstrap.weights(700, 100))))
    assert drawn.var() == pytest.approx(1 - 1 / 700, rel=0.02)


def test_intervals_cover_the_true_mean_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        values = {"accuracy": (random.random(150) < 0.7).astype(float)}
        low, high = bootstrap.interval(bootstrap.drawn(bootstrap.mean("accuracy"), values, 400))
        covered += low <= 0.7 <= high
    assert 178 <= covered <= 199


def test_scores_that_rows_do_not_tell_have_no_measure() -> None:
    rows = {"accuracy": np.ones(3)}
    assert bootstrap.measure_of("accuracy", rows) is not None
    assert bootstrap.measure_of("f1", rows) is None
    assert bootstrap.measure_of("cosine_spearman", rows) is None
    assert bootstrap.measure_of("max_ap", rows) is None
