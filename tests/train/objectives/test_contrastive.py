"""The contrastive core against its formula in plain loops and against sentence-transformers."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from objectivekit import GivenEmbeddings, H, N, assert_equal, cos, embedded, features, gradients, mean, meta, objective
from sentence_transformers.sentence_transformer.losses import GISTEmbedLoss, MultipleNegativesRankingLoss
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from pairmill.errors import PairmillError
from pairmill.train.objectives import Embedded, Meta

ALL = ["a2p", "a2a", "p2a", "p2p"]
SETTINGS = [
    {"directions": ["a2p"], "negatives": "off"},
    {"directions": ["a2p"], "negatives": "own"},
    {"directions": ["a2p"], "negatives": "batch"},
    {"directions": ["p2a"]},
    {"directions": ["a2p", "p2a"], "partition": "per_direction"},
    {"directions": ["a2p", "p2a"], "partition": "joint", "negatives": "own"},
    {"directions": ["p2a", "p2p"], "partition": "joint"},
    {"directions": ["a2p", "a2a"], "partition": "joint", "negatives": "off"},
    {"directions": ALL, "partition": "joint", "negatives": "batch"},
]
MASKS: list[dict[str, Any]] = [
    {"same_text": False},
    {"same_text": True},
    {"same_label": True},
    {"margin": 0.05},
    {"margin": -0.2, "kind": "relative"},
    {"margin": 0.1, "judge": "guide"},
    {"margin": 0.3, "kind": "relative", "judge": "guide", "same_text": False},
]
REPEATED = meta(
    anchor_ids=torch.tensor([1, 1, 2, 3, 4, 5, 6]),
    positive_ids=torch.tensor([11, 12, 13, 13, 5, 14, 15]),
    negative_ids=torch.tensor([[20, 11], [11, 21], [22, 23], [13, 24], [25, 4], [26, 27], [28, 1]]),
)


def written_out(options: dict[str, Any], e: Embedded, m: Meta, t: float) -> Tensor:
    """The loss by the definition in the module's docstring, one candidate at a time."""
    masks = {"same_text": True, "same_label": False, "margin": None, "kind": "absolute", "judge": "model"}
    masks |= options.get("false_negatives", {})
    guided = masks["judge"] == "guide"
    side = {"a": e.anchor, "p": e.positive}
    judge = {"a": e.teacher_anchor, "p": e.teacher_positive} if guided else side

    def masked_by_margin(i: int, similarity: Tensor) -> bool:
        if masks["margin"] is None:
            return False
        limit = cos(judge["a"][i], judge["p"][i])
        limit = limit - masks["margin"] * (1 if masks["kind"] == "absolute" else abs(limit))
        return bool(similarity > limit)

    def masked(i: int, j: int, direction: str) -> bool:
        texts = [{int(m.anchor_ids[k]), int(m.positive_ids[k])} for k in (i, j)]
        same_text = masks["same_text"] and texts[0] & texts[1]
        same_label = masks["same_label"] and m.label[i] == m.label[j]
        similarity = cos(judge[direction[0]][i], judge[direction[2]][j])
        return bool(same_text or same_label or masked_by_margin(i, similarity))

    def hard(i: int) -> list[Tensor]:
        kind = options.get("negatives", "own" if masks["same_label"] else "batch")
        found = []
        for j, k in product({"off": [], "own": [i], "batch": range(N)}[kind], range(H)):
            similarity = cos(e.anchor[i], e.negatives[j, k])
            known = int(m.negative_ids[j, k]) in (int(m.anchor_ids[i]), int(m.positive_ids[i]))
            judged = not guided and j != i and masked_by_margin(i, similarity)
            if not (masks["same_text"] and known) and not judged:
                found.append((similarity / t).exp())
        return found

    def denominator(i: int, direction: str) -> Tensor:
        terms = hard(i) if direction == "a2p" else []
        for j in range(N):
            crossing = direction in ("a2p", "p2a")
            if (crossing and i == j) or (i != j and not masked(i, j, direction)):
                terms.append((cos(side[direction[0]][i], side[direction[2]][j]) / t).exp())
        return torch.stack(terms).sum() if terms else torch.zeros((), dtype=torch.float64)

    def row(i: int) -> Tensor:
        positive = (cos(e.anchor[i], e.positive[i]) / t).exp()
        sums = [denominator(i, direction) for direction in options["directions"]]
        if options.get("partition", "joint") == "joint":
            return -(positive / sum(sums)).log()
        return mean(-(positive / each).log() for each in sums)

    return mean(row(i) for i in range(N))


@pytest.mark.parametrize("masks", MASKS, ids=str)
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_value_and_gradients_are_those_of_the_written_out_formula(setting: dict, masks: dict) -> None:
    if masks.get("same_label") and setting.get("negatives") == "batch":
        setting = setting | {"negatives": "own"}
    options = setting | {"false_negatives": masks}
    e = embedded(1)
    ours = objective({"name": "contrastive", "temperature": 0.1, **options})(e, REPEATED)
    assert_equal(ours, written_out(options, e, REPEATED, 0.1), e)


@pytest.mark.parametrize("masks", MASKS[1:], ids=str)
def test_every_mask_of_these_tests_takes_something_away(masks: dict) -> None:
    plain = objective({"name": "contrastive", "negatives": "own", "false_negatives": {"same_text": False}})
    masking = objective({"name": "contrastive", "negatives": "own", "false_negatives": masks})
    assert masking(embedded(1), REPEATED) < plain(embedded(1), REPEATED)
    assert masking.statistics["masked"] > 0 == plain.statistics["masked"]


def theirs(directions: tuple[str, ...], partition: str, *columns: Tensor) -> Tensor:
    names = {"a2p": "query_to_doc", "p2a": "doc_to_query", "a2a": "query_to_query", "p2p": "doc_to_doc"}
    loss = MultipleNegativesRankingLoss(
        nn.Identity(), scale=20.0, directions=tuple(names[d] for d in directions), partition_mode=partition
    )
    return loss.compute_loss_from_embeddings(list(columns), None)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize(
    ("directions", "partition"),
    [(("a2p",), "joint"), (("a2p", "p2a"), "per_direction"), (("a2p", "p2a"), "joint"), (("a2p", "a2a"), "joint")],
)
def test_info_nce_and_bidirectional_equal_sentence_transformers(directions: tuple, partition: str, hard: bool) -> None:
    e = embedded(2)
    options = {"directions": directions, "partition": partition, "negatives": "batch" if hard else "off"}
    ours = objective({"name": "contrastive", "temperature": 0.05, **options})(e, meta())
    columns = [e.anchor, e.positive] + (list(e.negatives.unbind(1)) if hard else [])
    assert_equal(ours, theirs(directions, partition, *columns), e)


def test_improved_loss_of_gte_counts_the_positive_twice_and_equals_sentence_transformers() -> None:
    e, t = embedded(3), 0.05
    ours = objective({"name": "contrastive", "directions": ALL, "temperature": t, "negatives": "off"})(e, meta())
    q, d = e.anchor, e.positive

    def z(i: int) -> Tensor:
        every, others = range(N), [j for j in range(N) if j != i]
        first = sum((cos(q[i], d[j]) / t).exp() for j in every)
        second = sum((cos(q[i], q[j]) / t).exp() for j in others)
        third = sum((cos(q[j], d[i]) / t).exp() for j in every)
        return first + second + third + sum((cos(d[j], d[i]) / t).exp() for j in others)

    assert_equal(ours, mean(-((cos(q[i], d[i]) / t).exp() / z(i)).log() for i in range(N)), e)
    assert_equal(ours, theirs(("a2p", "a2a", "p2a", "p2p"), "joint", q, d), e)


def test_nli_triplets_of_m_st5_equal_sentence_transformers() -> None:
    e = embedded(4, h=1)
    ours = objective({"name": "contrastive", "temperature": 0.05})(e, meta(h=1))
    assert_equal(ours, theirs(("a2p",), "joint", e.anchor, e.positive, e.negatives[:, 0]), e)


@pytest.mark.parametrize("kind", ["absolute", "relative"])
@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_guide_masks_equal_gist_embed_of_sentence_transformers(kind: str, margin: float) -> None:
    e = embedded(5)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"a": 0}, unk_token="a")))
    model, guide = GivenEmbeddings(tokenizer), GivenEmbeddings(tokenizer)
    guide.forward = lambda features: {"sentence_embedding": features["guide"]}
    gist = GISTEmbedLoss(model, guide, temperature=0.05, margin_strategy=kind, margin=margin)
    columns = features(e.anchor, e.positive)
    for column, teacher in zip(columns, (e.teacher_anchor, e.teacher_positive), strict=True):
        column["guide"] = teacher
    masks = {"margin": margin, "kind": kind, "judge": "guide"}
    options = {"directions": ["a2p", "a2a", "p2p"], "negatives": "off", "false_negatives": masks}
    ours = objective({"name": "contrastive", "temperature": 0.05, **options})
    assert_equal(ours(e, meta()), gist(columns, None), e)
    assert ours.statistics["masked"] > 0


def test_a_batch_of_one_text_keeps_every_rows_own_positive() -> None:
    same = meta(anchor_ids=torch.ones(N, dtype=torch.int64), positive_ids=torch.ones(N, dtype=torch.int64))
    loss = objective({"name": "contrastive", "directions": ["a2p", "p2a"], "negatives": "off"})
    e = embedded(6)
    torch.testing.assert_close(loss(e, same), torch.tensor(2.0, dtype=torch.float64).log())
    assert loss.statistics["accuracy"] == 1 and loss.statistics["masked"] == N - 1
    assert all(bool(g.isfinite().all()) for g in gradients(loss(e, same), *e))


def test_learned_temperature_has_the_gradient_of_the_formula_and_stays_within_its_bounds() -> None:
    loss = objective({"name": "contrastive", "temperature": {"initial": 0.1, "min": 0.05, "max": 0.5}})
    (scale,) = loss.parameters()
    e, step = embedded(7), 1e-5
    loss(e, REPEATED).backward()
    logs = [float(-scale.detach()) + sign * step for sign in (-1, 1)]
    setting = {"directions": ["a2p"]}
    low, high = (written_out(setting, e, REPEATED, math.exp(x)).item() for x in logs)
    assert scale.grad is not None
    assert float(scale.grad) == pytest.approx((low - high) / (2 * step), rel=1e-5)
    with torch.no_grad():
        scale.fill_(50.0)
    loss.zero_grad()
    loss(e, REPEATED).backward()
    assert loss.statistics["temperature"] == pytest.approx(0.05)
    assert float(scale.grad) != 0, "at its bound the temperature can still be learned"


def test_statistics_of_a_batch_known_by_hand() -> None:
    anchor = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    positive = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 3.0]])
    loss = objective({"name": "contrastive", "temperature": 0.5, "false_negatives": {"same_text": False}})
    loss(Embedded(anchor, positive), Meta(torch.arange(3)))
    figures = loss.statistics
    assert figures["accuracy"] == pytest.approx(1 / 3), "row 1 ties with row 2's positive, row 2 loses to it"
    assert figures["positive_similarity"] == pytest.approx(2 / 3)
    assert figures["negative_similarity"] == pytest.approx((0 + 0 + 0 + 1 - 1 + 0) / 6)
    assert figures["temperature"] == 0.5 and figures["masked"] == 0


def test_masked_candidates_are_counted_without_the_row_itself_whatever_the_direction() -> None:
    twice = meta(anchor_ids=torch.tensor([0, 0, 1, 2, 3, 4, 5]))
    for directions in (["a2p"], ["p2a"], ["a2a", "a2p"], ["p2p", "p2a"]):
        loss = objective({"name": "contrastive", "directions": directions})
        loss(embedded(9), twice)
        assert loss.statistics["masked"] == pytest.approx(2 / N), directions


def test_hard_negatives_that_are_asked_for_must_be_there() -> None:
    bare = embedded()._replace(negatives=None)
    assert bool(objective("contrastive")(bare, meta()).isfinite())
    with pytest.raises(PairmillError, match=r"the batch has no negatives\. Give the data entry rows with negatives"):
        objective({"name": "contrastive", "negatives": "batch"})(bare, meta())


def test_bfloat16_embeddings_under_autocast_are_compared_in_float32() -> None:
    coarse = [x.detach().to(torch.bfloat16) for x in embedded(8)]
    loss = objective({"name": "contrastive", "temperature": 0.02})
    with torch.autocast("cpu", torch.bfloat16):
        ours = loss(Embedded(*coarse), meta())
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours.double(), loss(Embedded(*(x.double() for x in coarse)), meta()), rtol=1e-5, atol=0)
