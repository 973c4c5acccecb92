"""Training new tokens alone leaves everything else bit-equal, weight decay or not."""

from __future__ import annotations

import numpy as np
import pytest

from pairmill.model.freezing import freeze
from pairmill.spec.training import Optimizer
from pairmill.train import optimizer
from tiny_models import encoder

TOKENS = [np.array([2, 5, 9, 3], np.int32), np.array([2, 40, 41, 3], np.int32)]


@pytest.mark.parametrize(("trained", "old"), [("embeddings", None), ("new-tokens", 30)])
def test_only_the_embeddings_asked_for_change(trained, old):
    model = encoder("bert")
    freeze(model, trained, old)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    adam = optimizer.make(model, Optimizer(lr=0.1, weight_decay=0.5))
    for _ in range(3):
        adam.zero_grad()
        model(TOKENS).square().sum().backward()
        adam.step()
    table = "model.embeddings.word_embeddings.weight"
    for name, parameter in model.named_parameters():
        same = parameter.detach() == before[name]
        if name != table:
            assert same.all(), name
    changed = ~(dict(model.named_parameters())[table].detach() == before[table]).all(1)
    expected = {2, 3, 5, 9, 40, 41} if old is None else {40, 41}
    assert set(changed.nonzero().flatten().tolist()) == expected
