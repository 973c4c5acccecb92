"""Objectives: from a spec's terms to a module that computes loss and statistics. `base.py` has the contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pairmill.spec import objectives as spec
from pairmill.train.objectives.base import Embedded, Meta, Objective
from pairmill.train.objectives.combined import Matryoshka, WeightedSum
from pairmill.train.objectives.contrastive import Contrastive
from pairmill.train.objectives.distillation import CrossLingualDistillation, EmbeddingDistillation, ScoreDistillation
from pairmill.train.objectives.sts import CoSent, MeanSquaredError, Pearson
from pairmill.train.objectives.supervised_contrastive import SupervisedContrastive

__all__ = ["Embedded", "Meta", "Objective", "build"]

BUILDERS: dict[type[spec.Term], Callable[[Any], Objective]] = {
    spec.Contrastive: Contrastive,
    spec.SupervisedContrastive: SupervisedContrastive,
    spec.Pearson: lambda _: Pearson(),
    spec.MeanSquaredError: MeanSquaredError,
    spec.CoSent: CoSent,
    spec.ScoreDistillation: ScoreDistillation,
    spec.EmbeddingDistillation: EmbeddingDistillation,
    spec.CrossLingualDistillation: CrossLingualDistillation,
}


def build(terms: Sequence[spec.Term], matryoshka: spec.Matryoshka | None = None) -> Objective:
    """The weighted sum of an entry's terms, on prefixes of the embeddings where asked.

    A lone term of weight 1 is itself. Learned temperatures are the result's parameters: each call makes new ones.
    """
    objectives = [BUILDERS[type(term)](term) for term in terms]
    alone = len(objectives) == 1 and terms[0].weight == 1
    objective = objectives[0] if alone else WeightedSum(objectives, [term.weight for term in terms])
    return Matryoshka(objective, matryoshka.dims, matryoshka.weights) if matryoshka else objective
