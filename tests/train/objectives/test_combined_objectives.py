"""Sums of terms, Matryoshka, and what holds for all objectives: slices add up, and lacks are named."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from objectivekit import GivenEmbeddings, N, assert_equal, embedded, features, gradients, meta, objective
from pydantic import TypeAdapter
from sentence_transformers.sentence_transformer.losses import (
    CoSENTLoss,
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
)
from torch import nn

from pairmill.errors import PairmillError
from pairmill.spec.objectives import Terms, needs
from pairmill.train.objectives import Embedded, Meta

LEARNED = {"initial": 0.07}
ANY: list[dict[str, Any]] = [
    {"name": "contrastive", "directions": ["a2p", "a2a", "p2a", "p2p"], "temperature": LEARNED},
    {"name": "contrastive", "negatives": "own", "false_negatives": {"margin": 0.1, "same_label": True}},
    {"name": "contrastive", "directions": ["a2p", "p2a"], "partition": "per_direction"},
    {"name": "contrastive", "false_negatives": {"margin": 0.1, "judge": "guide"}},
    {"name": "supervised_contrastive", "temperature": LEARNED},
    {"name": "pearson"},
    {"name": "mse"},
    {"name": "cosent"},
    {"name": "score_distillation"},
    {"name": "embedding_distillation", "teacher_side": "own"},
    {"name": "clft", "teacher_side": "positive"},
]


def name(term: dict[str, Any]) -> str:
    return "-".join(str(value) for value in term.values())


@pytest.mark.parametrize("slices", [[slice(0, 3), slice(3, 4), slice(4, 7)], [slice(i, i + 1) for i in range(N)]])
@pytest.mark.parametrize("terms", [*([term] for term in ANY), ANY], ids=lambda t: name(t[0]) if len(t) == 1 else "all")
def test_slices_add_up_to_the_whole_in_value_gradients_and_statistics(terms: list, slices: list[slice]) -> None:
    loss = objective(*terms, matryoshka={"dims": [2, 6], "weights": [0.5, 1]} if len(terms) > 1 else None)
    e, m = embedded(1), meta(anchor_ids=torch.tensor([0, 0, 1, 2, 3, 4, 5]))
    inputs = [*e, *loss.parameters()]
    whole = loss(e, m)
    figures = loss.statistics
    parts, weighted = [], dict.fromkeys(figures, 0.0)
    for rows in slices:
        parts.append(loss(e, m, rows))
        for key, value in loss.statistics.items():
            weighted[key] += value * (rows.stop - rows.start) / N
    assert_equal(torch.stack(parts).sum(), whole, inputs)
    exact = {key for key in figures if "loss" in key or key.endswith(("accuracy", "masked", "paired", "agreement"))}
    assert {key: weighted[key] for key in exact} == pytest.approx({key: figures[key] for key in exact})


@pytest.mark.parametrize("rows", [slice(3, 3), slice(0, 4, 2), slice(9, 12)])
def test_rows_must_be_a_run_of_the_batch(rows: slice) -> None:
    with pytest.raises(ValueError, match="no run of rows of a batch of 7"):
        objective("pearson")(embedded(), meta(), rows)


@pytest.mark.parametrize("term", ANY, ids=name)
def test_what_a_term_says_it_needs_is_enough_and_each_of_it_is_missed_by_name(term: dict[str, Any]) -> None:
    (checked,) = TypeAdapter(Terms).validate_python(term)
    wanted = checked.needs() | {"anchor", "anchor_ids"}
    e, m = embedded(), meta()
    least = Embedded(**{k: v if k in wanted else None for k, v in e._asdict().items()})
    known = Meta(**{k: v if k in wanted else None for k, v in m._asdict().items()})
    assert bool(objective(term)(least, known).isfinite())
    for field in checked.needs():
        less = least._replace(**{field: None}) if field in Embedded._fields else least
        unknown = known._replace(**{field: None}) if field in Meta._fields else known
        with pytest.raises(PairmillError, match=rf"{term['name']}: the batch has no {field}\."):
            objective(term)(less, unknown)


def test_needs_of_several_terms_are_those_of_all() -> None:
    terms = TypeAdapter(Terms).validate_python([{"name": "clft", "teacher_side": "anchor"}, "pearson"])
    assert needs(terms) == {"positive", "teacher_anchor", "score"}


def test_terms_add_up_by_their_weights_and_report_under_their_names() -> None:
    e, m = embedded(2), meta()
    parts = [objective(n)(e, m) for n in ("contrastive", "cosent")]
    both = objective({"name": "contrastive", "weight": 0.2}, {"name": "cosent", "weight": 3}, "cosent")
    assert_equal(both(e, m), 0.2 * parts[0] + 4 * parts[1], e)
    figures = both.statistics
    assert figures["loss"] == pytest.approx(float((0.2 * parts[0] + 4 * parts[1]).detach()))
    assert figures["contrastive.loss"] == pytest.approx(float(parts[0].detach()))
    assert figures["cosent.pearson"] == figures["cosent2.pearson"]
    assert {"contrastive.accuracy", "cosent.loss", "cosent2.loss"} <= set(figures)


def test_the_weight_of_a_lone_term_counts() -> None:
    e, m = embedded(2), meta()
    heavy = objective({"name": "pearson", "weight": 3})
    assert_equal(heavy(e, m), 3 * objective("pearson")(e, m), e)
    assert heavy.statistics["loss"] == pytest.approx(-3 * heavy.statistics["pearson"])


@pytest.mark.parametrize("term", ["contrastive", "cosent"])
def test_matryoshka_equals_sentence_transformers(term: str) -> None:
    e, m = embedded(3, h=0), meta(h=0)
    model = GivenEmbeddings()
    inner: nn.Module = MultipleNegativesRankingLoss(model) if term == "contrastive" else CoSENTLoss(model)
    theirs = MatryoshkaLoss(model, inner, [6, 4, 1], [1, 0.5, 0.25])(features(e.anchor, e.positive), m.score)
    ours = objective({"name": term, "temperature": 0.05}, matryoshka={"dims": [1, 4, 6], "weights": [0.25, 0.5, 1]})
    assert_equal(ours(e._replace(negatives=None), m), theirs, e)
    figures = ours.statistics
    parts = [figures[f"loss_{length}"] * weight for length, weight in ((1, 0.25), (4, 0.5), (6, 1))]
    assert figures["loss"] == pytest.approx(sum(parts))


def test_matryoshka_cuts_the_teacher_and_the_negatives_as_well() -> None:
    e, m = embedded(4), meta()
    terms: list[dict[str, Any]] = [
        {"name": "contrastive"},
        {"name": "embedding_distillation", "teacher_side": "anchor"},
    ]
    short = Embedded(*(x[..., :3] for x in e))
    assert_equal(objective(*terms, matryoshka={"dims": [3]})(e, m), objective(*terms)(short, m), e)
    assert all(bool((g[..., 3:] == 0).all()) for g in gradients(objective(*terms, matryoshka={"dims": [3]})(e, m), *e))


def test_matryoshka_longer_than_the_embeddings_names_both_lengths() -> None:
    with pytest.raises(PairmillError, match=r"matryoshka\.dims: 768 is longer .* which have 6 dimensions"):
        objective("pearson", matryoshka={"dims": [768, 6]})(embedded(), meta())
