"""Objectives that follow a teacher.

score_distillation       L = 1/n sum_i KL( softmax_k(z_ik / u) || softmax_k(c_ik / t) )
    over the 1 + h passages of row i, its positive first: c_ik cosines with the anchor, z_ik a cross-encoder's scores
    (Wang et al. 2024, multilingual E5, 2402.05672, section 2). Not multiplied by t^2, as some do.
embedding_distillation   L = 1/n sum_i mean over student sides x of D( f(x_i), g(y_i) )
    f the student, g the frozen teacher, y the teacher's side, or x itself with `own`; D the mean over dimensions of
    squared differences, or 1 - cos. Teacher on the English side, student on both: Reimers & Gurevych 2020
    (2004.09813, section 2), who sum over the sides. With the metric `contrastive`,
        D = -log( exp(cos(f(x_i), g(y_i)) / t) / sum_j exp(cos(f(x_i), g(y_j)) / t) )
    over the rows j that share no text with i, and i: the teacher's space stays where it is, and gives the negatives.
clft                     L = 1/n sum_i [ 1 - cos(f(y_i), g(y_i)) + beta (1 - cos(f(y_i), f(x_i))) ]
    y the teacher's (English) side, x the other ("Multilingual representations in embeddings models", ICLR 2024 blog).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pairmill.errors import PairmillError
from pairmill.spec import objectives as spec
from pairmill.train.objectives import false_negatives
from pairmill.train.objectives.base import Embedded, Meta, Objective, Rows, cosine, unit

TEMPERATURE = 0.05


class ScoreDistillation(Objective):
    """anchor, positive (n, d), negatives (n, h, d), scores (n, 1 + h). `agreement`: share of rows whose best passage is
    the teacher's best."""

    name = "score_distillation"

    def __init__(self, options: spec.ScoreDistillation) -> None:
        super().__init__()
        self.temperature, self.teacher_temperature = options.temperature, options.teacher_temperature

    def compute(self, embedded: Embedded, meta: Meta, rows: Rows) -> tuple[Tensor, dict[str, Tensor]]:
        positive = rows.of(self.required(embedded.positive, "positive"))
        negatives = rows.of(self.required(embedded.negatives, "negatives"))
        scores = rows.of(self.required(meta.scores, "scores"))
        passages = torch.cat([positive[:, None], negatives], 1)
        if scores.shape != passages.shape[:2] or passages.shape[1] < 2:
            raise PairmillError(
                f"objective {self.name}: {scores.shape[1]} scores a row for {passages.shape[1]} passages. "
                "Give one score for the positive and one for each hard negative, at least two in all."
            )
        cosines = cosine(rows.of(embedded.anchor)[:, None], passages)
        student = (cosines / self.temperature).log_softmax(1)
        teacher = (scores.to(cosines.dtype) / self.teacher_temperature).log_softmax(1)
        divergence = (teacher.exp() * (teacher - student)).sum(1)
        agreement = (cosines.argmax(1) == scores.argmax(1)).to(cosines.dtype).mean()
        return rows.mean(divergence), {
            "agreement": agreement,
            "positive_similarity": cosines[:, 0].detach().mean(),
            "negative_similarity": cosines[:, 1:].detach().mean(),
        }


class _Taught(Objective):
    def _teacher(self, embedded: Embedded, side: str) -> Tensor:
        """The frozen teacher's embeddings of a side, (n, d). Raises PairmillError where its d is not the student's."""
        field = f"teacher_{side}"
        teacher = self.required(getattr(embedded, field), field).detach()
        if teacher.shape[-1] != embedded.anchor.shape[-1]:
            raise PairmillError(
                f"objective {self.name}: the teacher's embeddings have {teacher.shape[-1]} dimensions, the student's "
                f"{embedded.anchor.shape[-1]}. Choose a teacher with the student's dimensions."
            )
        return teacher.to(embedded.anchor.dtype)

    def _student(self, embedded: Embedded, side: str) -> Tensor:
        return self.required(getattr(embedded, side), side)


class EmbeddingDistillation(_Taught):
    """anchor, positive, teacher_anchor, teacher_positive (n, d), those that the options name."""

    name = "embedding_distillation"

    def __init__(self, options: spec.EmbeddingDistillation) -> None:
        super().__init__()
        self.options = options

    def compute(self, embedded: Embedded, meta: Meta, rows: Rows) -> tuple[Tensor, dict[str, Tensor]]:
        distances: list[Tensor] = []
        statistics: dict[str, Tensor] = {}
        for side in self.options.student_sides:
            read = side if self.options.teacher_side == "own" else self.options.teacher_side
            student = rows.of(self._student(embedded, side))
            teacher = rows.of(self._teacher(embedded, read))
            cosines = cosine(student, teacher)
            statistics[f"teacher_similarity_{side}"] = cosines.detach().mean()
            if self.options.metric == "contrastive":
                distances.append(self._cross_entropy(student, self._teacher(embedded, read), cosines, meta, rows))
            else:
                distances.append(1 - cosines if self.options.metric == "cosine" else self._squared(student, teacher))
        return rows.mean(torch.stack(distances).mean(0)), statistics

    def _cross_entropy(self, student: Tensor, teacher: Tensor, own: Tensor, meta: Meta, rows: Rows) -> Tensor:
        """(m,) of the slice's students among all teacher embeddings (n, d); `own` (m,) are the cosines with theirs."""
        temperature = self.options.temperature or TEMPERATURE
        logits = unit(student) @ unit(teacher).T / temperature
        related = false_negatives.related(meta, None, rows, spec.FalseNegatives())
        if related is not None:
            mask = related & ~false_negatives.own(rows, logits.device)
            logits = logits.masked_fill(mask, torch.finfo(logits.dtype).min)
        return logits.logsumexp(1) - own / temperature

    def _squared(self, student: Tensor, teacher: Tensor) -> Tensor:
        if self.options.normalize:
            student, teacher = unit(student), unit(teacher)
        return (student - teacher).square().mean(-1)


class CrossLingualDistillation(_Taught):
    """anchor, positive (n, d), and teacher_anchor or teacher_positive (n, d)."""

    name = "clft"

    def __init__(self, options: spec.CrossLingualDistillation) -> None:
        super().__init__()
        self.teacher_side, self.beta = options.teacher_side, options.beta
        self.other_side = "positive" if self.teacher_side == "anchor" else "anchor"

    def compute(self, embedded: Embedded, meta: Meta, rows: Rows) -> tuple[Tensor, dict[str, Tensor]]:
        english = rows.of(self._student(embedded, self.teacher_side))
        foreign = rows.of(self._student(embedded, self.other_side))
        kept = cosine(english, rows.of(self._teacher(embedded, self.teacher_side)))
        crossed = cosine(english, foreign)
        return rows.mean(1 - kept + self.beta * (1 - crossed)), {
            f"teacher_similarity_{self.teacher_side}": kept.detach().mean(),
            "positive_similarity": crossed.detach().mean(),
        }
