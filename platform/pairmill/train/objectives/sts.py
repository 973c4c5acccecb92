"""Objectives for gold similarities: y_i the gold score, c_i = cos(anchor_i, positive_i).

    pearson   L = -r(c, y), the correlation over the batch (third stage of Jina's bilingual models, 2402.17016)
    mse       L = 1/n sum_i (c_i - (y_i - low) / (high - low))^2
    cosent    L = log(1 + sum over pairs with y_i > y_j of exp((c_j - c_i) / t))      (CoSENT; t = 1/20 by habit)

Pearson and CoSENT are no sums over rows: a slice returns its share of the whole.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pairmill.errors import PairmillError
from pairmill.spec import objectives as spec
from pairmill.train.objectives.base import Embedded, Meta, Objective, Rows, cosine


class _Scored(Objective):
    def _scores(self, embedded: Embedded, meta: Meta) -> tuple[Tensor, Tensor]:
        """Cosines and gold scores, both (n,) and of one type."""
        cosines = cosine(embedded.anchor, self.required(embedded.positive, "positive"))
        return cosines, self.required(meta.score, "score").to(cosines.dtype)


class Pearson(_Scored):
    """anchor, positive (n, d), score (n,). Where all gold scores of the batch are equal, the loss is 0."""

    name = "pearson"

    def compute(self, embedded: Embedded, meta: Meta, rows: Rows) -> tuple[Tensor, dict[str, Tensor]]:
        cosines, gold = self._scores(embedded, meta)
        correlation = pearson(cosines, gold)
        return -correlation * rows.share, {
            "pearson": correlation.detach(),
            "positive_similarity": rows.of(cosines).detach().mean(),
        }


class MeanSquaredError(_Scored):
    """anchor, positive (n, d), score (n,) within `scale`."""

    name = "mse"

    def __init__(self, options: spec.MeanSquaredError) -> None:
        super().__init__()
        self.low, self.high = options.scale

    def compute(self, embedded: Embedded, meta: Meta, rows: Rows) -> tuple[Tensor, dict[str, Tensor]]:
        cosines, gold = self._scores(embedded, meta)
        least, most = gold.aminmax()
        if not (self.low <= least and most <= self.high):
            raise PairmillError(
                f"objective mse: gold scores from {float(least):g} to {float(most):g} are not within the scale "
                f"{self.low:g} to {self.high:g}. Set scale to the lowest and highest score of the data."
            )
        error = rows.of(cosines) - (rows.of(gold) - self.low) / (self.high - self.low)
        return rows.mean(error.square()), {
            "pearson": pearson(cosines, gold).detach(),
            "positive_similarity": rows.of(cosines).detach().mean(),
        }


class CoSent(_Scored):
    """anchor, positive (n, d), score (n,). Time n log n, memory n."""

    name = "cosent"

    def __init__(self, options: spec.CoSent) -> None:
        super().__init__()
        self.temperature = options.temperature

    def compute(self, embedded: Embedded, meta: Meta, rows: Rows) -> tuple[Tensor, dict[str, Tensor]]:
        cosines, gold = self._scores(embedded, meta)
        ordered, order = gold.sort()
        logits = cosines[order] / self.temperature
        above = torch.logcumsumexp(-logits.flip(0), 0).flip(0)
        first_above = torch.searchsorted(ordered, ordered, right=True)
        ranked = first_above < len(ordered)
        terms = logits[ranked] + above[first_above[ranked]]
        loss = torch.cat([terms, logits.new_zeros(1)]).logsumexp(0)
        return loss * rows.share, {
            "pearson": pearson(cosines, gold).detach(),
            "positive_similarity": rows.of(cosines).detach().mean(),
        }


def pearson(cosines: Tensor, gold: Tensor) -> Tensor:
    """Correlation of two (n,), a scalar; 0, with gradient 0, where either does not vary beyond rounding."""
    centred, ideal = cosines - cosines.mean(), gold - gold.mean()
    rounding = 8 * torch.finfo(cosines.dtype).eps * len(cosines) ** 0.5
    constant = (centred.norm() <= rounding) | (gold == gold[0]).all()
    length = torch.where(constant, 1.0, centred.norm() * ideal.norm())
    return torch.where(constant, 0.0, (centred * ideal).sum() / length)
