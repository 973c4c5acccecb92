"""Distillation of scores and of embeddings against the formulas and against sentence-transformers."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from objectivekit import D, GivenEmbeddings, H, N, assert_equal, cos, embedded, mean, meta, objective
from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss, EmbedDistillLoss
from sentence_transformers.util import pairwise_cos_sim
from torch import Tensor

from pairmill.errors import PairmillError


def unit(vector: Tensor) -> Tensor:
    return vector / (vector * vector).sum().sqrt()


def test_score_distillation_is_the_divergence_from_the_teachers_distribution() -> None:
    e, m, t, u = embedded(1), meta(), 0.1, 2.0
    options = {"name": "score_distillation", "temperature": t, "teacher_temperature": u}

    def divergence(i: int) -> Tensor:
        passages = [e.positive[i], *e.negatives[i]]
        student = [(cos(e.anchor[i], passage) / t).exp() for passage in passages]
        teacher = [(m.scores[i, k] / u).exp() for k in range(1 + H)]
        p, q = [x / sum(teacher) for x in teacher], [x / sum(student) for x in student]
        return sum((p[k] * (p[k] / q[k]).log() for k in range(1 + H)), torch.tensor(0.0))

    ours = objective(options)(e, m)
    assert_equal(ours, mean(divergence(i) for i in range(N)), e)
    loss = DistillKLDivLoss(GivenEmbeddings(), pairwise_cos_sim, student_temperature=t, teacher_temperature=u)
    theirs = loss.compute_loss_from_embeddings([e.anchor, e.positive, *e.negatives.unbind(1)], m.scores)
    assert_equal(ours, theirs / t**2, e)


def test_score_distillation_counts_scores_and_passages() -> None:
    with pytest.raises(PairmillError, match=r"2 scores a row for 3 passages\. Give one score for the positive"):
        objective("score_distillation")(embedded(), meta(scores=torch.zeros(N, 2)))


SIDES: list[dict[str, Any]] = [
    {"teacher_side": teacher, "student_sides": students, "metric": metric, "normalize": normalize}
    for teacher, students, metric, normalize in product(
        ["anchor", "positive", "own"],
        [["anchor"], ["positive"], ["anchor", "positive"]],
        ["mse", "cosine"],
        [True, False],
    )
]


@pytest.mark.parametrize("options", SIDES, ids=lambda o: "-".join(map(str, o.values())))
def test_embedding_distillation_on_every_choice_of_sides(options: dict[str, Any]) -> None:
    e = embedded(2)
    student = {"anchor": e.anchor, "positive": e.positive}
    teacher = {"anchor": e.teacher_anchor, "positive": e.teacher_positive}

    def distance(side: str, i: int) -> Tensor:
        x = student[side][i]
        y = teacher[side if options["teacher_side"] == "own" else options["teacher_side"]][i]
        if options["metric"] == "cosine":
            return 1 - cos(x, y)
        difference = unit(x) - unit(y) if options["normalize"] else x - y
        return (difference**2).sum() / D

    written = mean(mean(distance(side, i) for side in options["student_sides"]) for i in range(N))
    assert_equal(objective({"name": "embedding_distillation", **options})(e, meta()), written, e)


@pytest.mark.parametrize("metric", ["mse", "cosine"])
def test_embedding_distillation_equals_sentence_transformers(metric: str) -> None:
    e = embedded(3)
    options = {"teacher_side": "anchor", "metric": metric, "normalize": False}
    ours = objective({"name": "embedding_distillation", **options})(e, meta())
    loss = EmbedDistillLoss(GivenEmbeddings(), metric)
    theirs = loss.compute_loss_from_embeddings([e.anchor, e.positive], [e.teacher_anchor, e.teacher_anchor])
    assert_equal(ours, theirs, e)


@pytest.mark.parametrize("side", ["anchor", "positive"])
def test_contrastive_distillation_finds_the_teachers_embedding_among_those_of_rows_with_other_texts(side: str) -> None:
    e, m, t = embedded(5), meta(), 0.1
    student, teacher = getattr(e, side), e.teacher_positive
    texts = [{int(m.anchor_ids[i]), int(m.positive_ids[i])} for i in range(N)]

    def entropy(i: int) -> Tensor:
        others = [j for j in range(N) if j == i or not texts[i] & texts[j]]
        sums = sum((cos(student[i], teacher[j]) / t).exp() for j in others)
        return -((cos(student[i], teacher[i]) / t).exp() / sums).log()

    options = {"teacher_side": "positive", "student_sides": [side], "metric": "contrastive", "temperature": t}
    written = mean(entropy(i) for i in range(N))
    assert_equal(objective({"name": "embedding_distillation", **options})(e, m), written, e)


@pytest.mark.parametrize("english", ["anchor", "positive"])
def test_clft_holds_english_to_the_teacher_and_the_other_side_to_english(english: str) -> None:
    e = embedded(4)
    first, second, teacher = e.anchor, e.positive, e.teacher_anchor
    if english == "positive":
        first, second, teacher = e.positive, e.anchor, e.teacher_positive
    written = mean(1 - cos(first[i], teacher[i]) + 0.4 * (1 - cos(first[i], second[i])) for i in range(N))
    assert_equal(objective({"name": "clft", "teacher_side": english})(e, meta()), written, e)


def test_a_teacher_of_other_dimensions_is_refused_with_both_numbers() -> None:
    e = embedded()._replace(teacher_anchor=torch.zeros(N, 5, dtype=torch.float64))
    with pytest.raises(PairmillError, match="teacher's embeddings have 5 dimensions, the student's 6"):
        objective({"name": "clft", "teacher_side": "anchor"})(e, meta())
