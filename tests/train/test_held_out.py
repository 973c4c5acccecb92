"""Figures of held-out rows against plain definitions."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
import torch
import torch.nn.functional as F

import tiny_models
from pairmill.model.encoder import evaluating
from pairmill.train import held_out
from pairmill.train.gradient_cache import World


def pairs(n: int = 40, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    anchors = torch.randn(n, 8, generator=random)
    return tuple(F.normalize(v, dim=-1) for v in (anchors, anchors + torch.randn(n, 8, generator=random)))  # type: ignore[return-value]


@pytest.mark.parametrize("block", [7, 1024])
def test_figures_are_those_of_their_definitions(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(held_out, "BLOCK", block)
    a, p = pairs()
    found = held_out.retrieval(a, p, np.arange(40), np.arange(40))
    for way, similar in (("anchor_to_positive", a @ p.T), ("positive_to_anchor", p @ a.T)):
        places = [int((row > row[i]).sum()) for i, row in enumerate(similar)]
        assert found[way]["accuracy"] == pytest.approx(np.mean([place == 0 for place in places]))
        assert found[way]["mrr"] == pytest.approx(np.mean([1 / (place + 1) for place in places]))
    assert 0 < found["accuracy"] < 1
    assert found["alignment"] == pytest.approx(float((a - p).norm(dim=1).square().mean()), rel=1e-5)
    apart = [math.exp(-2 * float((x - y).square().sum())) for i, x in enumerate(a) for y in a[:i]]
    assert held_out.uniformity(a) == pytest.approx(math.log(np.mean(apart)), rel=1e-4)


def test_a_text_that_stands_in_several_rows_is_one_answer() -> None:
    a, p = pairs(4)
    a, p = a[[0, 1, 2, 2]], p[[0, 1, 2, 3]]
    p[2] = F.normalize(a[2] + 0.1, dim=0)
    p[3] = a[2]
    apart = held_out.retrieval(a, p, np.array([0, 1, 2, 3]), np.array([0, 1, 2, 3]))
    one = held_out.retrieval(a, p, np.array([0, 1, 2, 2]), np.array([0, 1, 2, 2]))
    assert one["anchor_to_positive"]["accuracy"] > apart["anchor_to_positive"]["accuracy"]


def test_rows_with_gold_scores_have_spearmans_correlation_and_labelled_texts_no_figures() -> None:
    model = tiny_models.encoder()
    scored = tiny_models.rows(9)
    labelled = scored.select(["anchor", "anchor_id"])
    reader = tiny_models.Memory({"a": scored, "b": labelled})
    groups = [{"name": name, "rows": 9} for name in "ab"]
    with evaluating(model):
        found = held_out.evaluate(model, reader, groups, 5, 30, World())
    assert set(found) == {"a"} and found["a"]["rows"] == 5
    assert -1 <= found["a"]["spearman"] == found["a"]["accuracy"] <= 1


def test_vectors_do_not_depend_on_micro_batches() -> None:
    model, texts = tiny_models.encoder(), tiny_models.sequences(11)
    with evaluating(model):
        whole = held_out.embed_all(model, texts, 10_000, World())
        torch.testing.assert_close(held_out.embed_all(model, texts, 5, World()), whole)
    assert whole.shape == (11, 32) and torch.allclose(whole.norm(dim=1), torch.ones(11))


def test_wilsons_interval_is_that_of_the_textbook() -> None:
    assert held_out.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I
    assert held_out.wilson(0, 10)[0] == 0 and held_out.wilson(10, 10)[1] == pytest.approx(1)


def test_tables_of_memory_read_like_prepared_rows() -> None:
    table = tiny_models.rows(5, negatives=2)
    got = tiny_models.Memory({"a": table}).read("a", np.array([3, 1]))
    assert got["negative_ids"].shape == (2, 2) and len(got["negatives"].offsets) == 5
    assert isinstance(table, pa.Table) and got["anchor_id"].tolist() == table["anchor_id"].take([3, 1]).to_pylist()
