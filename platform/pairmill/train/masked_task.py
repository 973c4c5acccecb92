"""Learning to guess hidden tokens: whole-word masks of each batch, the loss over all of its ranks' hidden tokens.

1. A rank masks its rows; a row's mask depends on the seed, the step and the row, so ranks and restarts change nothing.
2. The hidden tokens of all ranks are counted: the loss is their mean.
3. Each micro-batch goes forward and backward by itself, for the losses of parts add up to that of the whole.

Held-out rows have the same masks at every evaluation. Beside the model's figures stand those of guessing by the tokens'
frequency in the group's own training rows, of which at most `COUNTED` are read (they stand in random order).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from pairmill.model.masked import MaskedEncoder
from pairmill.spec.pretrain import Masking, PretrainSpec
from pairmill.train.batches import split
from pairmill.train.gradient_cache import Randomness, World, micro_batches
from pairmill.train.masking import Masked, Vocabulary, mask, row_keys
from pairmill.train.objectives.mlm import MlmLoss, mlm_loss, unigram_loss
from pairmill.train.reader import Batch, Ragged, Reader

COUNTED = 20_000  # training rows of a group whose tokens the baseline counts
EVALUATION = -1  # the step whose masks held-out rows have
NOT_HIDDEN = -1


class Rows(NamedTuple):
    """Masked sequences: what the model reads, and of each token its label, or NOT_HIDDEN."""

    inputs: list[np.ndarray]
    labels: list[np.ndarray]

    @property
    def hidden(self) -> np.ndarray:
        """The labels (M,) of all hidden tokens."""
        labels = np.concatenate([*self.labels, np.empty(0, np.int64)])
        return labels[labels != NOT_HIDDEN]


def masked_rows(
    tokens: Ragged, rows: np.ndarray, vocabulary: Vocabulary, masking: Masking, seed: int, step: int
) -> Rows:
    """The sequences `tokens`, of these row numbers (n,), with the masks of a step."""
    keys = row_keys(seed, step, rows)
    made = mask(tokens.values, tokens.offsets, vocabulary, keys, masking.share, masking.replace)
    labels = np.full(len(tokens.values), NOT_HIDDEN, np.int64)
    labels[made.positions] = made.labels
    return Rows(split(Ragged(made.inputs, tokens.offsets)), split(Ragged(labels, tokens.offsets)))


@dataclass
class MaskedTokens:
    """A `loop.Task`. `training` and `holdout` read the column `tokens` of groups; `trained` and `held_out` are these
    groups' rows, by name."""

    spec: PretrainSpec
    encoder: MaskedEncoder
    vocabulary: Vocabulary
    training: Reader
    trained: dict[str, int]
    holdout: Reader
    held_out: dict[str, int]
    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        self.parts = nn.ModuleDict({"encoder": self.encoder})
        self._frequencies = lru_cache(maxsize=None)(self._count)

    def backward(self, number: int, read: Batch, weight: float) -> dict[str, float]:
        rows = self._masked(read.tokens["tokens"], read.step.rows[read.part], number)
        (total,) = self._summed(len(rows.hidden))
        randomness = Randomness(self.spec.seed, number, self.world.rank)
        loss = correct = 0.0
        for piece, part in enumerate(micro_batches(rows.inputs, self.spec.resources.micro_batch)):
            randomness.start(piece)
            found = self._loss(rows, part, int(total))
            (found.loss * weight).backward()
            loss, correct = loss + float(found.loss.detach()), correct + int(found.correct)
        loss, correct = self._summed(loss, correct)
        return {"loss": loss, "accuracy": correct / max(total, 1)}

    def evaluate(self) -> dict[str, dict[str, Any]]:
        return {name: self._group(name, min(rows, self.spec.evaluate.rows)) for name, rows in self.held_out.items()}

    def _group(self, name: str, count: int) -> dict[str, Any]:
        """Figures of a group's first `count` held-out rows, each rank doing its share."""
        numbers = np.arange(count)[self.world.rank :: self.world.size]
        sums = np.zeros(5)
        if len(numbers):
            rows = self._masked(self.holdout.read(name, numbers, ["tokens"])["tokens"], numbers, EVALUATION)
            labels, frequencies = rows.hidden, self._frequencies(name)
            for part in micro_batches(rows.inputs, self.spec.resources.micro_batch):
                found = self._loss(rows, part, 1)
                sums[:2] += float(found.loss), int(found.correct)
            guessed = unigram_loss(frequencies, labels) * len(labels) if len(labels) else 0.0
            sums[2:] = guessed, (labels == frequencies.argmax()).sum(), len(labels)
        *figures, hidden = self._summed(*sums)
        names = ("loss", "accuracy", "unigram_loss", "unigram_accuracy")
        means = {name: value / max(hidden, 1) for name, value in zip(names, figures, strict=True)}
        return {"rows": count, "tokens": int(hidden), **means}

    def _masked(self, tokens: Ragged, rows: np.ndarray, step: int) -> Rows:
        return masked_rows(tokens, rows, self.vocabulary, self.spec.masking, self.spec.seed, step)

    def _loss(self, rows: Rows, part: np.ndarray, total: int) -> MlmLoss:
        """The loss of the rows `part`, as a share of that of `total` hidden tokens."""
        with torch.autocast(self.encoder.device.type, torch.bfloat16, enabled=self.spec.precision == "bf16"):
            hidden, _, order = self.encoder.hidden([rows.inputs[i] for i in part])
            labels = np.concatenate([rows.labels[i] for i in part[order]])
            positions = np.flatnonzero(labels != NOT_HIDDEN)
            inputs = np.concatenate([rows.inputs[i] for i in part[order]])
            return mlm_loss(self.encoder.head, hidden, Masked(inputs, positions, labels[positions]), total)

    def _count(self, name: str) -> np.ndarray:
        """How often each token (V,) that may be hidden stands in the group's training rows."""
        rows = np.arange(min(self.trained.get(name, 0), COUNTED))
        size = len(self.vocabulary.special)
        if not len(rows):
            return np.zeros(size, np.int64)
        tokens = self.training.read(name, rows, ["tokens"])["tokens"].values
        return np.bincount(tokens, minlength=size) * ~self.vocabulary.special

    def _summed(self, *values: float) -> list[float]:
        """Each value's sum over the ranks."""
        return self.world.sum(torch.tensor(values, dtype=torch.float64, device=self.encoder.device)).tolist()
