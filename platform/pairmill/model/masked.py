"""A masked-language model: the encoder, and the head that guesses hidden tokens from its hidden states.

What it is saved to holds both; an encoder alone loads from there too. A head for an encoder that comes without one is
made anew, over the encoder's own word embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from pairmill.errors import SpecError
from pairmill.model.encoder import Encoder, pad
from pairmill.model.packing import Packing


class MaskedEncoder(Encoder):
    """An encoder whose `model` is a masked-language model of transformers."""

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden states (..., d) -> logits (..., vocabulary)."""
        return mlm_head(self.model)(hidden)

    def hidden(self, tokens: Sequence[np.ndarray]) -> tuple[torch.Tensor, Packing, np.ndarray]:
        """As an encoder's. Models that cannot run packed run padded here, and their padding is taken out behind."""
        if self.packed:
            return super().hidden(tokens)
        lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
        order = Packing.order(lengths)
        ids, mask = (given.to(self.device) for given in pad([tokens[i] for i in order], self.pad_id))
        return self._run(input_ids=ids, attention_mask=mask)[mask.bool()], Packing(lengths[order]), order

    def _run(self, **given: Any) -> torch.Tensor:
        return self.model.base_model(**given).last_hidden_state


def mlm_head(model: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """The head of a masked-language model: hidden states (…, d) of its `base_model` -> logits (…, V)."""
    if callable(getattr(model, "decoder", None)) and callable(getattr(model, "head", None)):  # ModernBERT
        return lambda hidden: model.decoder(model.head(hidden))
    for name in ("head", "cls", "lm_head"):  # ours; BERT and its kin; RoBERTa and its kin, MPNet
        if callable(getattr(model, name, None)):
            return getattr(model, name)
    raise SpecError(
        f"{type(model).__name__} has no head for masked tokens that Pairmill knows. Known are the heads of BERT, "
        "RoBERTa, XLM-R, MPNet, ModernBERT and our own ALiBi encoder: start from one of these"
    )
