"""Pearson, mean squared error and CoSENT against their formulas, NumPy and sentence-transformers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from objectivekit import N, assert_equal, cos, embedded, gradients, mean, meta, objective
from sentence_transformers.sentence_transformer.losses import CoSENTLoss, CosineSimilarityLoss
from torch import nn

from pairmill.errors import PairmillError
from pairmill.train.objectives import Embedded


def test_pearson_is_the_negative_correlation_of_cosine_and_gold() -> None:
    e, m = embedded(1), meta()
    c, y = [cos(e.anchor[i], e.positive[i]) for i in range(N)], list(m.score.double())
    c0, y0 = mean(c), mean(y)
    covariance = sum((c[i] - c0) * (y[i] - y0) for i in range(N))
    spread = sum((x - c0) ** 2 for x in c) * sum((x - y0) ** 2 for x in y)
    ours = objective("pearson")(e, m)
    assert_equal(ours, -covariance / spread**0.5, e)
    numpys = np.corrcoef([float(x.detach()) for x in c], y)[0, 1]
    assert float(ours.detach()) == pytest.approx(-numpys, abs=1e-12)


@pytest.mark.parametrize("name", ["pearson", "cosent"])
def test_equal_gold_scores_ask_for_nothing(name: str) -> None:
    e = embedded(2)
    loss = objective(name)(e, meta(score=torch.full((N,), 0.1)))
    assert float(loss.detach()) == 0
    assert all(bool((gradient == 0).all()) for gradient in gradients(loss, *e))


def test_pearson_of_collapsed_embeddings_is_zero_but_nan_stays_nan() -> None:
    same = torch.ones(N, 4, dtype=torch.float64, requires_grad=True)
    loss = objective("pearson")(Embedded(same, same), meta())
    assert float(loss.detach()) == 0 and bool((gradients(loss, same)[0] == 0).all())
    assert bool(objective("pearson")(Embedded(same * torch.nan, same), meta()).isnan())


@pytest.mark.parametrize("scale", [(0.0, 1.0), (0.0, 5.0), (-1.0, 3.0)])
def test_mse_compares_the_cosine_with_gold_brought_to_zero_to_one(scale: tuple[float, float]) -> None:
    low, high = scale
    e, unit_score = embedded(3), meta().score
    gold = unit_score * (high - low) + low
    ours = objective({"name": "mse", "scale": list(scale)})(e, meta(score=gold))
    assert_equal(ours, mean((cos(e.anchor[i], e.positive[i]) - unit_score[i].double()) ** 2 for i in range(N)), e)
    theirs = CosineSimilarityLoss(nn.Identity()).compute_loss_from_embeddings([e.anchor, e.positive], unit_score)
    assert_equal(ours, theirs, e)


def test_mse_refuses_scores_outside_its_scale_and_says_what_to_set() -> None:
    with pytest.raises(PairmillError, match=r"scores from 0 to 5 are not within the scale 0 to 1\. Set scale"):
        objective("mse")(embedded(), meta(score=torch.linspace(0, 5, N)))


@pytest.mark.parametrize("ties", [False, True])
def test_cosent_ranks_all_pairs_as_gold_does(ties: bool) -> None:
    e = embedded(4)
    gold = torch.tensor([0.5, 0.25, 0.5, 1.0, 0.0, 0.25, 0.5]) if ties else meta().score
    c = [cos(e.anchor[i], e.positive[i]) for i in range(N)]
    pairs = [(i, j) for i in range(N) for j in range(N) if gold[i] > gold[j]]
    ours = objective({"name": "cosent", "temperature": 0.05})(e, meta(score=gold))
    assert_equal(ours, (1 + sum((20 * (c[j] - c[i])).exp() for i, j in pairs)).log(), e)
    assert_equal(ours, CoSENTLoss(nn.Identity()).compute_loss_from_embeddings([e.anchor, e.positive], gold), e)
