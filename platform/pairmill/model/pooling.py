"""Pooling: from the hidden states of packed tokens to one vector per sequence."""

from __future__ import annotations

from typing import Literal

import torch

from pairmill.model.packing import Packing

Pooling = Literal["mean", "cls", "last"]


def pool(hidden: torch.Tensor, packing: Packing, pooling: Pooling) -> torch.Tensor:
    """Hidden states (T, d) of packed sequences -> (n, d): their mean, or that of the first or the last token."""
    if pooling == "mean":
        parts = hidden.split(packing.sizes)
        means = [
            part.unflatten(0, (count, length)).mean(1)
            for part, (length, count) in zip(parts, packing.groups, strict=True)
        ]
        return torch.cat(means)
    ends = packing.offsets[:-1] if pooling == "cls" else packing.offsets[1:] - 1
    return hidden[torch.from_numpy(ends).to(hidden.device)]


def pool_padded(hidden: torch.Tensor, mask: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """The same for padded hidden states (n, L, d) and mask (n, L), where padding is on the right."""
    if pooling == "mean":
        weights = mask.to(hidden.dtype)[..., None]
        return (hidden * weights).sum(1) / weights.sum(1)
    if pooling == "cls":
        return hidden[:, 0]
    return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(1) - 1]
