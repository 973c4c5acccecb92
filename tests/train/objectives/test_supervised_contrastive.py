"""The supervised contrastive loss against equation 2 of Khosla et al., and labels in the contrastive core."""

from __future__ import annotations

import torch
from objectivekit import N, assert_equal, cos, embedded, gradients, mean, meta, objective
from torch import Tensor

from pairmill.train.objectives import Embedded

LABELS = torch.tensor([0, 1, 0, 2, 1, 0, 3])


def equation_2(e: Embedded, i: int, t: float) -> Tensor:
    others = [a for a in range(N) if a != i]
    positives = [p for p in others if LABELS[p] == LABELS[i]]
    denominator = sum((cos(e.anchor[i], e.anchor[a]) / t).exp() for a in others)
    return -mean(((cos(e.anchor[i], e.anchor[p]) / t).exp() / denominator).log() for p in positives)


def test_value_and_gradients_are_those_of_equation_2_over_rows_that_have_a_positive() -> None:
    e = embedded(1)
    loss = objective({"name": "supervised_contrastive", "temperature": 0.1})
    paired = [0, 1, 2, 4, 5]
    assert_equal(loss(e, meta(label=LABELS)), mean(equation_2(e, i, 0.1) for i in paired), e)
    assert loss.statistics["paired"] == len(paired) / N


def test_a_batch_of_all_different_labels_asks_for_nothing() -> None:
    e = embedded(2)
    loss = objective("supervised_contrastive")(e, meta(label=torch.arange(N)))
    assert float(loss.detach()) == 0
    assert all(bool((gradient == 0).all()) for gradient in gradients(loss, *e))


def test_pairs_of_labelled_texts_are_no_negatives_of_pairs_with_their_label() -> None:
    e = embedded(3)
    options = {"directions": ["a2p", "p2a"], "partition": "per_direction", "false_negatives": {"same_label": True}}
    ours = objective({"name": "contrastive", "temperature": 0.1, **options, "weight": 2})(e, meta(label=LABELS))

    def row(i: int) -> Tensor:
        candidates = [j for j in range(N) if j == i or LABELS[j] != LABELS[i]]
        forward = [(cos(e.anchor[i], e.positive[j]) / 0.1).exp() for j in candidates]
        forward += [(cos(e.anchor[i], negative) / 0.1).exp() for negative in e.negatives[i]]
        backward = [(cos(e.positive[i], e.anchor[j]) / 0.1).exp() for j in candidates]
        positive = (cos(e.anchor[i], e.positive[i]) / 0.1).exp()
        return -(positive / sum(forward)).log() - (positive / sum(backward)).log()

    assert_equal(ours, mean(row(i) for i in range(N)), e)
