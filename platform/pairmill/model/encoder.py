"""The encoder: token ids in, one vector per sequence out.

Models whose attention goes through transformers' attention interface and which take position ids run packed
(`packing.py`); the others (mT5 with its relative positions, ModernBERT with its local attention) run padded, in buckets
of similar length. Both give the same vectors; which one is chosen is a property of the model type.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from pairmill.model import packing
from pairmill.model.pooling import Pooling, pool, pool_padded

#: Model types that run packed, and where their position ids start: at 0, or behind the padding id.
PACKED = {"bert": False, "electra": False, "alibi": False, "roberta": True, "xlm-roberta": True, "camembert": True}
WASTE = 0.1  # of a padded bucket: how much padding a bucket may hold before the next one starts


class Encoder(nn.Module):
    """A Hugging Face encoder with pooling. `forward` returns vectors that are not normalised."""

    def __init__(self, model: Any, pooling: Pooling = "mean", pad_id: int = 0):
        super().__init__()
        self.model = model
        self.pooling: Pooling = pooling
        self.pad_id = pad_id
        self.packed = model.config.model_type in PACKED
        if self.packed:
            if model.config.model_type != "alibi":  # it goes by groups of equal length itself
                packing.register()
                base(model).set_attn_implementation(packing.IMPLEMENTATION)
            self._first = model.config.pad_token_id + 1 if PACKED[model.config.model_type] else 0

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def forward(self, tokens: Sequence[np.ndarray]) -> torch.Tensor:
        """Token ids of n sequences (int32, specials included) -> vectors (n, d), in their order."""
        if not self.packed:
            return self._padded(tokens)
        hidden, packed, order = self.hidden(tokens)
        return pool(hidden, packed, self.pooling)[self._back(order)]

    def hidden(self, tokens: Sequence[np.ndarray]) -> tuple[torch.Tensor, packing.Packing, np.ndarray]:
        """Hidden states (T, d) of the packed sequences, their packing, and the order in which they stand."""
        ids, packed, order = packing.pack(tokens)
        positions = torch.from_numpy(packed.positions + self._first)[None].to(self.device)
        given = torch.from_numpy(ids)[None].to(self.device)
        return self._run(input_ids=given, position_ids=positions, packing=packed)[0], packed, order

    def _run(self, **given: Any) -> torch.Tensor:
        return self.model(**given).last_hidden_state

    def _padded(self, tokens: Sequence[np.ndarray]) -> torch.Tensor:
        lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
        order = packing.Packing.order(lengths)
        found = []
        for rows in buckets(lengths[order]):
            ids, mask = pad([tokens[i] for i in order[rows]], self.pad_id)
            mask = mask.to(self.device)
            hidden = self._run(input_ids=ids.to(self.device), attention_mask=mask)
            found.append(pool_padded(hidden, mask, self.pooling))
        return torch.cat(found)[self._back(order)]

    def _back(self, order: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.argsort(order)).to(self.device)


def base(model: Any) -> Any:
    """The transformers model itself, out of what peft wraps around it."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def pad(tokens: Sequence[np.ndarray], pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ragged token ids -> ids and mask (n, longest) int64, padded on the right."""
    lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, pad_id, np.int64)
    ids[mask] = np.concatenate(list(tokens))
    return torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64))


def buckets(lengths: np.ndarray) -> Iterator[slice]:
    """Cut ascending lengths so that padding is at most WASTE of a bucket."""
    start = 0
    for end in range(1, len(lengths) + 1):
        if end < len(lengths):
            size = end + 1 - start
            if size * lengths[end] * (1 - WASTE) <= lengths[start : end + 1].sum():
                continue
        yield slice(start, end)
        start = end


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Without dropout and gradients; training mode is restored behind."""
    was = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(was)
