"""Objectives made of objectives: weighted sums, and Matryoshka.

    sum          L = sum_k w_k L_k
    matryoshka   L = sum_m w_m L(first m dimensions of every embedding)   (Kusupati et al. 2022, 2205.13147, section 3)

Prefixes are cut before any normalisation, a teacher's too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import itemgetter

from torch import Tensor, nn

from pairmill.errors import PairmillError
from pairmill.train.objectives.base import Embedded, Meta, Objective, Rows


class WeightedSum(Objective):
    """Terms and their weights. Statistics are the terms', as `<name>.<statistic>`, a repeated name with its number."""

    name = "sum"

    def __init__(self, terms: Sequence[Objective], weights: Sequence[float]) -> None:
        super().__init__()
        self.terms = terms
        self.parts = nn.ModuleList(terms)
        self.weights = tuple(weights)
        self.prefixes = _prefixes([term.name for term in terms])

    def compute(self, embedded: Embedded, meta: Meta, rows: Rows) -> tuple[Tensor, dict[str, Tensor]]:
        loss = embedded.anchor.new_zeros(())
        statistics: dict[str, Tensor] = {}
        for prefix, weight, term in zip(self.prefixes, self.weights, self.terms, strict=True):
            loss = loss + weight * term(embedded, meta, slice(rows.start, rows.stop))
            statistics |= {f"{prefix}{key}": value for key, value in term.latest.items()}
        return loss, statistics


class Matryoshka(Objective):
    """An objective on prefixes. Statistics are those of the longest, and `loss_<m>` for each."""

    name = "matryoshka"

    def __init__(self, objective: Objective, dims: Sequence[int], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.objective = objective
        self.weighted = sorted(zip(dims, weights or [1.0] * len(dims), strict=True))

    def compute(self, embedded: Embedded, meta: Meta, rows: Rows) -> tuple[Tensor, dict[str, Tensor]]:
        longest, full = self.weighted[-1][0], embedded.anchor.shape[-1]
        if longest > full:
            raise PairmillError(
                f"matryoshka.dims: {longest} is longer than the model's embeddings, which have {full} dimensions. "
                f"Name lengths up to {full}."
            )
        loss = embedded.anchor.new_zeros(())
        statistics: dict[str, Tensor] = {}
        for length, weight in self.weighted:
            prefixes = embedded.map(itemgetter((..., slice(length))))
            loss = loss + weight * self.objective(prefixes, meta, slice(rows.start, rows.stop))
            statistics |= self.objective.latest
            statistics[f"loss_{length}"] = self.objective.latest["loss"]
        return loss, statistics


def _prefixes(names: Sequence[str]) -> list[str]:
    if len(names) == 1:
        return [""]
    seen: Counter[str] = Counter()
    prefixes = []
    for name in names:
        seen[name] += 1
        prefixes.append(f"{name}{seen[name] if seen[name] > 1 else ''}.")
    return prefixes
