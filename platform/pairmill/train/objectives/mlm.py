"""Masked-language modelling: the cross-entropy of the tokens that were masked (BERT, arXiv 1810.04805, section 3.1).

    L = -1/M Σ_{t masked} log softmax(head(h_t))[x_t]

M is the number of masked tokens of the whole global batch, so the losses of ranks and memory chunks add up to that of
one big batch. The head, the dearest matrix of a small model, reads the hidden states of masked tokens only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from pairmill.train.masking import Masked

Head = Callable[[torch.Tensor], torch.Tensor]


class MlmLoss(NamedTuple):
    loss: torch.Tensor  # scalar: the sum over these masked tokens, divided by the normaliser
    correct: torch.Tensor  # scalar int64: masked tokens whose likeliest token is the right one


def mlm_loss(head: Head, hidden: torch.Tensor, masked: Masked, normaliser: int) -> MlmLoss:
    """The loss of one packed row: `hidden` (T, d) of `masked.inputs`, `head` (M, d) -> (M, V) of `masked.mlm_head`.

    `normaliser` is the number of masked tokens of the global batch. Without a masked token the loss is 0.
    """
    positions, labels = (torch.from_numpy(given).to(hidden.device) for given in (masked.positions, masked.labels))
    logits = head(hidden[positions])
    total = functional.cross_entropy(logits.float() if logits.dtype.itemsize < 4 else logits, labels, reduction="sum")
    return MlmLoss(total / max(normaliser, 1), (logits.detach().argmax(-1) == labels).sum())


def unigram_loss(counts: np.ndarray, labels: np.ndarray) -> float:
    """The mean loss, in nats, of guessing masked tokens `labels` (M,) by their `counts` (V,) in training alone.

    Every token is counted once more (add-one), so that tokens unseen in training have a finite loss.
    """
    share = (counts + 1) / (counts.sum() + len(counts))
    return float(-np.log(share[labels]).mean())
