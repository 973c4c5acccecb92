"""Cached gradients are those of one plain forward and backward pass over the whole batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import tiny_models
from pairmill.spec.objectives import Contrastive
from pairmill.train import batches, objectives
from pairmill.train.gradient_cache import Batch, Cached, Randomness, micro_batches
from pairmill.train.objectives.base import Embedded
from pairmill.train.plan import Group, Plan
from pairmill.train.reader import batch as read

LEARNED = {"name": "contrastive", "temperature": {"initial": 0.1}}
TERMS: dict[str, list[dict[str, Any]]] = {
    "hard negatives, all directions": [{**LEARNED, "directions": ["a2p", "p2a", "a2a", "p2p"]}],
    "own hard negatives, margin": [{**LEARNED, "negatives": "own", "false_negatives": {"margin": 0.05}}],
    "a guide": [{**LEARNED, "negatives": "off", "false_negatives": {"margin": 0.0, "judge": "guide"}}],
    "a sum with a correlation": [{**LEARNED, "weight": 0.5}, {"name": "pearson", "weight": 2.0}],
    "embedding distillation": [{"name": "embedding_distillation", "teacher_side": "anchor"}, LEARNED],
}


def objective_of(terms: list[dict[str, Any]]) -> Any:
    return objectives.build(tiny_models.spec(objective=terms, teacher="initial").objective).double()


def batch_of(terms: list[dict[str, Any]]) -> Batch:
    """Rows with hard negatives, some with a text that stands in other rows too."""
    step = Plan([Group("a", "a", 12)], 12, 1).step(0)
    got = read(tiny_models.Memory({"a": tiny_models.rows(12, negatives=2)}), step)
    needed = frozenset({"positive", "teacher_anchor", "teacher_positive"})
    return batches.of(got, needed)


def gradients(model: Any, objective: Any, back: Any) -> dict[str, torch.Tensor]:
    for module in (model, objective):
        module.zero_grad()
    back()
    named = [*model.named_parameters(), *objective.named_parameters()]
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


@pytest.mark.parametrize("terms", TERMS.values(), ids=TERMS)
@pytest.mark.parametrize("micro_batch", [1, 40, 150, 10_000])
def test_gradients_in_micro_batches_are_those_of_the_plain_batch(terms: list[dict[str, Any]], micro_batch: int) -> None:
    model, teacher, objective = tiny_models.encoder(), tiny_models.encoder(seed=5), objective_of(terms)
    batch = batch_of(terms)

    def plain() -> None:
        assert batch.positive is not None and batch.negatives is not None
        negatives = model(batch.negatives).unflatten(0, (12, 2))
        with torch.no_grad():
            taught = teacher(batch.teacher["anchor"]), teacher(batch.teacher["positive"])
        (objective(Embedded(model(batch.anchor), model(batch.positive), negatives, *taught), batch.meta) * 3).backward()

    def cached() -> None:
        Cached(model, objective, micro_batch=micro_batch, teach=teacher).backward(batch, Randomness(0, 0, 0), 3.0)

    expected, found = gradients(model, objective, plain), gradients(model, objective, cached)
    assert expected.keys() == found.keys()
    assert any("temperature" in name or "scale" in name for name in found), sorted(found)[-3:]
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-8, msg=name)


def test_with_dropout_both_passes_of_a_micro_batch_draw_the_same_numbers() -> None:
    """The gradient by the cache is that of the embeddings it saw: checked by the vectors of both passes."""
    model, objective = tiny_models.encoder(dropout=0.3).train(), objective_of([LEARNED])
    seen: list[torch.Tensor] = []

    def encode(tokens: Any) -> torch.Tensor:
        seen.append(model(tokens))
        return seen[-1]

    Cached(encode, objective, micro_batch=60).backward(batch_of([LEARNED]), Randomness(3, 1, 0))
    half = len(seen) // 2
    assert half > 3
    for first, second in zip(seen[:half], seen[half:], strict=True):
        assert torch.equal(first, second) and not first.requires_grad and second.requires_grad
    assert not torch.equal(model([np.arange(5, 9)]), model([np.arange(5, 9)])), "dropout is on"


def test_the_same_seed_and_step_give_the_same_gradients_with_dropout_and_others_do_not() -> None:
    model, objective = tiny_models.encoder(dropout=0.3).train(), objective_of([LEARNED])
    batch = batch_of([LEARNED])

    def found(seed: int, step: int, rank: int) -> torch.Tensor:
        cached = Cached(model, objective, micro_batch=60)
        grads = gradients(model, objective, lambda: cached.backward(batch, Randomness(seed, step, rank)))
        return torch.cat([g.ravel() for g in grads.values()])

    assert torch.equal(found(1, 2, 0), found(1, 2, 0))
    for other in ((2, 2, 0), (1, 3, 0), (1, 2, 1)):
        assert not torch.allclose(found(1, 2, 0), found(*other))


def test_similarities_computed_in_parts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, objective = tiny_models.encoder(), objective_of([LEARNED])
    cached, batch = Cached(model, objective, micro_batch=60), batch_of([LEARNED])

    def back() -> None:
        assert cached.backward(batch, Randomness(0, 0, 0))["loss"] == pytest.approx(loss, abs=1e-9)

    loss = cached.backward(batch, Randomness(0, 0, 0))["loss"]
    whole = gradients(model, objective, back)
    monkeypatch.setattr("pairmill.train.gradient_cache.SIMILARITIES", 150)
    for name, value in gradients(model, objective, back).items():
        torch.testing.assert_close(value, whole[name], rtol=0, atol=1e-8)


def test_micro_batches_hold_all_texts_once_and_at_most_so_many_tokens() -> None:
    texts = tiny_models.sequences(50, longest=30)
    pieces = list(micro_batches(texts, 64))
    assert sorted(np.concatenate(pieces).tolist()) == list(range(50))
    assert max(sum(len(texts[i]) for i in piece) for piece in pieces) <= 64
    assert [len(piece) for piece in micro_batches(texts, 1)] == [1] * 50


def test_a_defaults_temperature_needs_no_parameters() -> None:
    assert list(objectives.build([Contrastive()]).parameters()) == []
