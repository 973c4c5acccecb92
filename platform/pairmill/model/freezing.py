"""Training a part of a model: its token embeddings, or those of new tokens alone (Artetxe et al. 2020, 1910.11856)."""

from __future__ import annotations

from typing import Literal

import torch

from pairmill.model.encoder import Encoder

NO_DECAY = "pairmill_no_decay"  # on a parameter: an optimiser must leave what has no gradient where it is


def freeze(encoder: Encoder, trained: Literal["all", "embeddings", "new-tokens"], old: int | None) -> None:
    """Freeze all weights but token embeddings; with `new-tokens` the first `old` rows of these get no gradient."""
    if trained == "all":
        return
    encoder.requires_grad_(False)
    weight = encoder.model.get_input_embeddings().weight
    weight.requires_grad_(True)
    setattr(weight, NO_DECAY, True)
    if trained == "new-tokens":
        assert old is not None, "a model with new tokens was made by the stage `start`, which says how many are old"
        weight.register_hook(lambda gradient: _without(gradient, old))


def _without(gradient: torch.Tensor, rows: int) -> torch.Tensor:
    gradient = gradient.clone()
    gradient[:rows] = 0
    return gradient
