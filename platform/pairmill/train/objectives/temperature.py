"""Fixed and learned temperatures.

A learned one is the parameter s = log(1 / temperature), as in CLIP (Radford et al. 2021, section 2.3). Before each use
the parameter itself is brought back between its bounds: a clamp in the formula would leave it without a gradient.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pairmill.spec.objectives import LearnedTemperature


class Temperature(nn.Module):
    """`temperature(similarities)` divides them by the temperature; any shape."""

    def __init__(self, spec: float | LearnedTemperature) -> None:
        super().__init__()
        self.log_scale: nn.Parameter | None = None
        if isinstance(spec, LearnedTemperature):
            self.log_scale = nn.Parameter(torch.tensor(-math.log(spec.initial)))
            self.bounds = (-math.log(spec.max), -math.log(spec.min))
        else:
            self.fixed = spec

    def forward(self, similarities: Tensor) -> Tensor:
        if self.log_scale is None:
            return similarities / self.fixed
        with torch.no_grad():
            self.log_scale.clamp_(*self.bounds)
        return similarities * self.log_scale.exp().to(similarities.dtype)

    def value(self, like: Tensor) -> Tensor:
        """The temperature, a scalar on the device of `like`."""
        if self.log_scale is None:
            return like.new_tensor(self.fixed)
        return torch.exp(-self.log_scale.detach())
