"""Packed batches: sequences laid end to end, without a single padding token.

1. The sequences of a micro-batch are sorted by length and laid end to end as one row of T tokens; positions restart.
2. Everything but attention works token by token, so it needs no change.
3. Attention is that of a Hugging Face model with the implementation `pairmill_packed`, to which the model's forward
   hands on its keyword argument `packing`. Sequences of equal length lie side by side, so each such group is a plain
   (sequences, heads, length, width) tensor, without a copy and without a mask.

On a GPU, in half precision, all groups are one call of PyTorch's attention for variable lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

IMPLEMENTATION = "pairmill_packed"


class Packing:
    """Where the sequences of a packed row are. `lengths` (n,) must ascend: see `order`."""

    def __init__(self, lengths: np.ndarray):
        self.lengths = np.asarray(lengths, np.int64)
        if len(self.lengths) == 0 or self.lengths[0] < 1 or (np.diff(self.lengths) < 0).any():
            raise ValueError("packing: lengths must be positive and ascending, of one sequence at least")
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        values, counts = np.unique(self.lengths, return_counts=True)
        self.groups = list(zip(values.tolist(), counts.tolist(), strict=True))  # (length, sequences), in order
        self.sizes = [length * count for length, count in self.groups]  # tokens of each group

    @staticmethod
    def order(lengths: np.ndarray) -> np.ndarray:
        """The order (n,) in which sequences are packed: by length, ties as given."""
        return np.argsort(lengths, kind="stable")

    @cached_property
    def positions(self) -> np.ndarray:
        """(T,) int64: each token's place in its sequence."""
        return np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1], self.lengths)

    @cached_property
    def sequence_of(self) -> np.ndarray:
        """(T,) int64: each token's sequence."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def by_group(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        """(1, heads, T, width) as views (sequences, heads, length, width), one per group."""
        parts = tokens[0].split(self.sizes, dim=1)
        return [
            part.unflatten(1, (count, length)).transpose(0, 1)
            for part, (length, count) in zip(parts, self.groups, strict=True)
        ]


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    packing: Packing | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention within each sequence: query, key, value (1, heads, T, width) -> (1, T, heads, width)."""
    if packing is None:
        raise ValueError(f"attention {IMPLEMENTATION!r} needs packing=Packing(...) in the model's forward")
    if query.is_cuda and query.dtype in (torch.float16, torch.bfloat16) and not dropout:
        return _variable_length(query, key, value, scaling, packing), None
    found = []
    for q, k, v in zip(*map(packing.by_group, (query, key, value)), strict=True):
        out = scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=scaling)
        found.append(out.transpose(1, 2).flatten(0, 1))
    return torch.cat(found)[None], None


def _variable_length(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None, packing: Packing
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    offsets = torch.from_numpy(packing.offsets.astype(np.int32)).to(query.device, non_blocking=True)
    longest = int(packing.lengths[-1])
    q, k, v = (tokens[0].transpose(0, 1) for tokens in (query, key, value))
    found = varlen_attn(q, k, v, offsets, offsets, longest, longest, scale=scaling)
    assert isinstance(found, torch.Tensor), "the log-sum-exp was not asked for"
    return found[None]


def _no_mask(*arguments: Any, **options: Any) -> None:
    """A packed row has nothing to mask."""


def register() -> None:
    """Make the implementation known to transformers."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(IMPLEMENTATION, packed_attention)
    AttentionMaskInterface.register(IMPLEMENTATION, _no_mask)


def pack(tokens: Sequence[np.ndarray]) -> tuple[np.ndarray, Packing, np.ndarray]:
    """Token ids of sequences -> (ids (T,), packing, order (n,)): sequence `order[i]` is the i-th in the row."""
    lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
    order = Packing.order(lengths)
    return np.concatenate([tokens[i] for i in order]).astype(np.int64), Packing(lengths[order]), order
