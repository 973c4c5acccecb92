"""Learning from pairs: embeddings of both sides, an objective per data entry, retrieval among held-out rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from pairmill.spec.train import TrainSpec
from pairmill.train import batches, held_out
from pairmill.train.gradient_cache import Cached, Embed, Randomness, Tokens, World
from pairmill.train.objectives.base import Objective
from pairmill.train.reader import Batch, Reader


@dataclass
class Pairs:
    """A `loop.Task`. `encoder` gives vectors; `objectives`, and what they need (`needs`), are by data entry."""

    spec: TrainSpec
    encoder: nn.Module
    objectives: dict[str, Objective]
    needed: dict[str, frozenset[str]]
    holdout: Reader
    held_out: list[dict[str, Any]]
    teacher: nn.Module | None = None
    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        own = nn.ModuleList(dict.fromkeys(self.objectives.values()))
        self.parts = nn.ModuleDict({"encoder": self.encoder, "objectives": own})

    def backward(self, number: int, read: Batch, weight: float) -> dict[str, float]:
        entry = read.step.group.entry
        teach = self._embed(self.teacher) if self.teacher is not None else None
        micro_batch = self.spec.resources.micro_batch
        cached = Cached(self._embed(self.encoder), self.objectives[entry], self.world, micro_batch, teach)
        batch = batches.of(read, self.needed[entry])
        figures = cached.backward(batch, Randomness(self.spec.seed, number, self.world.rank), weight)
        if self.world.size == 1:
            return figures
        names = sorted(figures)
        values = torch.tensor([figures[name] for name in names], dtype=torch.float64, device=device_of(self.encoder))
        summed = self.world.sum(values)
        return dict(zip(names, (summed / self.world.size).tolist(), strict=True))

    def evaluate(self) -> dict[str, dict[str, Any]]:
        rows, micro_batch = self.spec.evaluate.rows, self.spec.resources.micro_batch
        return held_out.evaluate(self._embed(self.encoder), self.holdout, self.held_out, rows, micro_batch, self.world)

    def _embed(self, module: nn.Module) -> Embed:
        half, device = self.spec.precision == "bf16", device_of(self.encoder)

        def embed(tokens: Tokens) -> torch.Tensor:
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                vectors: torch.Tensor = module(tokens)
            return vectors.float() if half else vectors

        return embed


def device_of(module: nn.Module) -> torch.device:
    return next(module.parameters()).device
