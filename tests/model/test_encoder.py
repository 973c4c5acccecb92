"""Packed and bucketed passes give what one padded batch gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import tiny_models
from pairmill.model.encoder import Encoder, evaluating, pad
from pairmill.model.packing import Packing
from pairmill.model.pooling import pool_padded

TEXTS = [*tiny_models.sequences(30, seed=1, longest=20), np.array([7], np.int32)]


def plain(kind: str, pooling: Any, **options: Any) -> Any:
    """Vectors by transformers' own attention on one padded batch."""
    model = tiny_models.transformer(kind, **options).double()
    model.set_attn_implementation("sdpa" if kind == "modernbert" else "eager")  # its eager one gives NaN for padding
    ids, mask = pad(TEXTS, model.config.pad_token_id)
    return model, pool_padded(model(input_ids=ids, attention_mask=mask).last_hidden_state, mask, pooling)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("kind", [*tiny_models.PACKED, *tiny_models.PADDED])
def test_vectors_and_gradients_are_those_of_one_padded_batch(kind: str, pooling: Any) -> None:
    ours = tiny_models.encoder(kind, pooling)
    assert ours.packed == (kind in tiny_models.PACKED)
    model, expected = plain(kind, pooling)
    found = ours(TEXTS)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)
    weights = torch.randn(expected.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for vectors in (found, expected):
        (vectors * weights).sum().backward()
    theirs = dict(model.named_parameters())
    compared = 0
    for name, parameter in ours.model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, theirs[name].grad, rtol=0, atol=1e-8, msg=name)
            compared += 1
    assert compared > 10


@pytest.mark.parametrize("kind", tiny_models.PACKED)
def test_a_row_may_be_longer_than_the_models_positions(kind: str) -> None:
    model = tiny_models.encoder(kind)
    assert sum(map(len, TEXTS)) > model.model.config.max_position_embeddings
    one_by_one = torch.cat([model([text]) for text in TEXTS])
    torch.testing.assert_close(model(TEXTS), one_by_one, rtol=0, atol=1e-8)


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "mt5", "modernbert", "distilbert"])
@pytest.mark.parametrize("lora", [False, True])
def test_gradient_checkpointing_gives_equal_gradients(kind: str, lora: bool) -> None:
    from pairmill.model.adapters import add_lora
    from pairmill.spec.model import Lora

    found = []
    for checkpointing in (False, True):
        model = tiny_models.transformer(kind, dropout=0.2).double()
        if lora:
            torch.manual_seed(1)
            model = add_lora(model, Lora(rank=2, targets="all-linear")).double()
        encoder = Encoder(model, "mean", 0).train()
        if checkpointing:
            encoder.model.gradient_checkpointing_enable()
        torch.manual_seed(2)
        vectors = encoder(TEXTS)
        (vectors**2).sum().backward()
        found.append({n: p.grad for n, p in encoder.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys() and len(found[0]) > 5
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=0, atol=1e-8, msg=name)


def test_evaluating_turns_dropout_off_and_back_on() -> None:
    model = tiny_models.encoder(dropout=0.3).train()
    with evaluating(model):
        assert torch.equal(model(TEXTS), model(TEXTS)) and not model(TEXTS).requires_grad
    assert model.training and not torch.equal(model(TEXTS), model(TEXTS))


def test_lengths_that_do_not_ascend_are_refused() -> None:
    for lengths in ([3, 2], [0, 1], []):
        with pytest.raises(ValueError, match="positive and ascending"):
            Packing(np.array(lengths))
