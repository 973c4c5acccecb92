"""Margin scores, bitext mining and consistency ranks against written-out loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.mine import consistency
from pairmill.mine.margin import margin, neighbour_mean
from pairmill.mine.matching import Neighbours, best_threshold, mine

KINDS = ("ratio", "distance", "absolute")


def unit(random: np.random.Generator, rows: int, dims: int = 4) -> np.ndarray:
    vectors = random.normal(size=(rows, dims)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def nearest(queries: np.ndarray, others: np.ndarray, k: int) -> Neighbours:
    """The k nearest by sorting all."""
    cosines = queries @ others.T
    ids = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    found = np.take_along_axis(cosines, ids, 1)
    lacking = k - ids.shape[1]
    return Neighbours(
        np.pad(found, ((0, 0), (0, max(lacking, 0))), constant_values=-np.inf),
        np.pad(ids, ((0, 0), (0, max(lacking, 0))), constant_values=-1).astype(np.int64),
    )


def written_out(x: int, y: int, left: np.ndarray, right: np.ndarray, k: int, kind: str) -> float:
    """Equations 2 to 4 of Artetxe & Schwenk, word for word."""
    cosine = float(left[x] @ right[y])
    of_x = sorted((float(left[x] @ z) for z in right), reverse=True)[:k]
    of_y = sorted((float(right[y] @ z) for z in left), reverse=True)[:k]
    base = sum(c / (2 * len(of_x)) for c in of_x) + sum(c / (2 * len(of_y)) for c in of_y)
    if kind == "ratio":
        return cosine / base if base > 0 else float("nan")
    return cosine - base if kind == "distance" else cosine


@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(1, 7), st.integers(1, 5), st.sampled_from(KINDS))
@settings(max_examples=30, deadline=None)
def test_margins_are_those_of_the_formula(seed: int, n: int, m: int, k: int, kind: str) -> None:
    random = np.random.default_rng(seed)
    left, right = unit(random, n), unit(random, m)
    means = neighbour_mean(nearest(left, right, k).cosines), neighbour_mean(nearest(right, left, k).cosines)
    found = margin(left @ right.T, means[0][:, None], means[1][None, :], kind)
    for x in range(n):
        for y in range(m):
            expected = written_out(x, y, left, right, k, kind)
            assert found[x, y] == pytest.approx(expected, rel=1e-3, abs=2e-5, nan_ok=True)


def pairs_by_hand(left: np.ndarray, right: np.ndarray, k: int, kind: str, retrieval: str) -> set[tuple[int, int]]:
    def best(own: np.ndarray, other: np.ndarray, swap: bool) -> list[tuple[float, int, int]]:
        found = []
        for x in range(len(own)):
            near = sorted(range(len(other)), key=lambda y: -float(own[x] @ other[y]))[:k]
            pairs = [(y, x) if swap else (x, y) for y in near]
            scored = [(written_out(a, b, left, right, k, kind), a, b) for a, b in pairs]
            scored = [one for one in scored if np.isfinite(one[0])]
            if scored:
                found.append(max(scored, key=lambda one: one[0]))
        return found

    forward, backward = best(left, right, False), best(right, left, True)
    if retrieval == "forward":
        return {pair[1:] for pair in forward}
    if retrieval == "backward":
        return {pair[1:] for pair in backward}
    both = {pair[1:] for pair in forward} & {pair[1:] for pair in backward}
    if retrieval == "intersection":
        return both
    taken: set[tuple[int, int]] = set()
    for _, a, b in sorted(forward + backward, key=lambda one: -one[0]):
        if all(a != c and b != d for c, d in taken):
            taken.add((a, b))
    return taken


@given(
    st.integers(0, 10_000),
    st.integers(1, 8),
    st.integers(1, 8),
    st.integers(1, 4),
    st.sampled_from(KINDS),
    st.sampled_from(("max", "forward", "backward", "intersection")),
)
@settings(max_examples=30, deadline=None)
def test_mined_pairs_are_those_that_a_loop_finds(seed: int, n: int, m: int, k: int, kind: str, retrieval: str) -> None:
    random = np.random.default_rng(seed)
    left, right = unit(random, n), unit(random, m)
    found = mine(nearest(left, right, k), nearest(right, left, k), kind, retrieval)
    pairs = list(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert set(pairs) == pairs_by_hand(left, right, k, kind, retrieval)
    assert (np.diff(found.scores) <= 0).all()
    if retrieval in ("max", "intersection"):
        assert len(set(found.left.tolist())) == len(set(found.right.tolist())) == len(pairs)


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.7, 0.9, 1.2]), st.booleans()), max_size=12),
    st.integers(0, 5),
)
@settings(deadline=None)
def test_the_threshold_has_the_best_f1_of_all(pairs: list[tuple[float, bool]], missed: int) -> None:
    scores = np.array([score for score, _ in pairs], np.float32)
    right = np.array([true for _, true in pairs], bool)
    total = int(right.sum()) + missed

    def f1(threshold: float) -> float:
        taken = scores >= threshold
        hits = int((taken & right).sum())
        return 2 * hits / (int(taken.sum()) + total) if hits else 0.0

    cut = best_threshold(scores, right, total)
    assert cut.f1 == pytest.approx(max([f1(score) for score in scores.tolist()], default=0.0))
    assert f1(cut.threshold) == pytest.approx(cut.f1)


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 30), st.integers(2, 12))
@settings(max_examples=30, deadline=None)
def test_ranks_count_the_better_passages_of_other_texts(seed: int, n: int, m: int, kinds: int) -> None:
    random = np.random.default_rng(seed)
    texts = np.unique(random.integers(0, kinds, m))
    passages = unit(random, kinds)
    queries, own = unit(random, n), random.integers(0, kinds, n)
    found = consistency.ranks(queries, passages[own], passages[texts], own, texts)
    for row in range(n):
        mine_ = float(queries[row] @ passages[own[row]])
        better = [t for t in texts.tolist() if t != own[row] and float(queries[row] @ passages[t]) > mine_ + 1e-5]
        about = [t for t in texts.tolist() if t != own[row] and float(queries[row] @ passages[t]) > mine_ - 1e-5]
        assert 1 + len(better) <= found[row] <= 1 + len(about)


def test_ranks_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    pool, queries = unit(random, 700, 16), unit(random, 60, 16)
    own = np.arange(60) * 11
    whole = consistency.ranks(queries, pool[own], pool, own, np.arange(700))
    monkeypatch.setattr(consistency, "QUERIES", 7)
    monkeypatch.setattr(consistency, "PASSAGES", 64)
    assert consistency.ranks(queries, pool[own], pool, own, np.arange(700)).tolist() == whole.tolist()
    assert len(set(whole.tolist())) > 20


@given(st.lists(st.integers(1, 300_000), max_size=40))
@settings(deadline=None)
def test_the_histogram_counts_every_rank_once(found: list[int]) -> None:
    counts = consistency.histogram(np.array(found, np.int64))
    bounds = [0, *consistency.CLASSES, 10**9]
    assert counts == [sum(low < rank <= high for rank in found) for low, high in zip(bounds, bounds[1:], strict=False)]
