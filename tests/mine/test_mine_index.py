"""Indexes: exact ones find what sorting finds, shards find what the whole finds, the others miss little and say so."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("faiss", reason="needs the extra pairmill[mine]")

from pairmill.errors import PairmillError
from pairmill.mine import index
from pairmill.spec.mine import Index


def clustered(rows: int, dims: int = 32, seed: int = 0) -> np.ndarray:
    """Unit vectors around common centres, as those of texts are."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(60, dims))
    vectors = centres[random.integers(0, 60, rows)] + 0.6 * random.normal(size=(rows, dims))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return clustered(3000)


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    return clustered(200, seed=1)


def made(vectors: np.ndarray, **given: object) -> object:
    return index.build(vectors, index.choose(len(vectors), vectors.shape[1], 10**9, Index.model_validate(given)))


@pytest.fixture(scope="module")
def exact(vectors: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return index.search(made(vectors, kind="flat"), queries, 10)


def test_flat_search_finds_what_sorting_finds(
    vectors: np.ndarray, queries: np.ndarray, exact: tuple[np.ndarray, np.ndarray]
) -> None:
    cosines = queries @ vectors.T
    expected = np.argsort(-cosines, axis=1, kind="stable")[:, :10]
    assert (exact[1] == expected).mean() > 0.999  # cosines that differ by rounding alone may change places
    np.testing.assert_allclose(exact[0], np.take_along_axis(cosines, expected, 1), atol=1e-6)


@pytest.mark.parametrize("cuts", [(0, 3000), (0, 1, 3000), (0, 999, 1000, 2100, 3000)])
def test_shards_find_what_the_whole_finds(
    cuts: tuple[int, ...], vectors: np.ndarray, queries: np.ndarray, exact: tuple[np.ndarray, np.ndarray]
) -> None:
    parts = []
    for start, stop in zip(cuts, cuts[1:], strict=False):
        cosines, ids = index.search(made(vectors[start:stop], kind="flat"), queries, 10)
        parts.append((cosines, np.where(ids >= 0, ids + start, -1)))
    cosines, ids = index.merge(parts, 10)
    np.testing.assert_allclose(cosines, exact[0], atol=1e-6)
    assert (ids == exact[1]).mean() > 0.999


def test_equal_cosines_come_in_the_order_of_ids() -> None:
    same = np.tile(clustered(1), (5, 1))
    for kind in ("flat", "ivf"):
        assert index.search(made(same, kind=kind), same[:1], 3)[1].tolist() == [[0, 1, 2]]


def test_where_there_are_fewer_the_rest_is_marked() -> None:
    few = clustered(3)
    for kind in ("flat", "ivf", "hnsw", "ivf-sq", "ivf-pq"):
        cosines, ids = index.search(made(few, kind=kind), few, 5)
        assert (ids[:, 3:] == -1).all() and np.isneginf(cosines[:, 3:]).all() and (ids[:, 0] == np.arange(3)).all()


@pytest.mark.parametrize(("threads", "products"), [(1, 1), (1, 1 << 24), (2, 500)])
def test_lists_that_are_all_searched_are_exact(
    threads: int,
    products: int,
    vectors: np.ndarray,
    queries: np.ndarray,
    exact: tuple[np.ndarray, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index, "PRODUCTS", products)
    cosines, ids = index.search(made(vectors, kind="ivf", lists=40, probes=40), queries, 10, threads)
    np.testing.assert_allclose(cosines, exact[0], atol=1e-6)
    assert (ids == exact[1]).mean() > 0.999


@pytest.mark.parametrize(("kind", "least"), [("ivf", 0.95), ("hnsw", 0.95), ("ivf-sq", 0.9), ("ivf-pq", 0.3)])
def test_approximate_indexes_find_most(
    kind: str, least: float, vectors: np.ndarray, queries: np.ndarray, exact: tuple[np.ndarray, np.ndarray]
) -> None:
    cosines, ids = index.search(made(vectors, kind=kind, lists=40, probes=10), queries, 10)
    assert least <= index.recall(ids, exact[1]) <= 1
    assert (np.diff(cosines, axis=1) <= 0).all() and all(len(set(row)) == 10 for row in ids.tolist())
    if kind in ("ivf", "hnsw"):
        real = np.einsum("qd,qkd->qk", queries, vectors[ids])
        np.testing.assert_allclose(cosines, real, atol=1e-6)


def test_recall_counts_what_of_the_exact_was_found() -> None:
    found, exact = np.array([[1, 2, 9], [4, -1, -1]]), np.array([[1, 2, 3], [4, 5, -1]])
    assert index.recall(found, exact) == pytest.approx(3 / 5)


def test_the_kind_is_chosen_by_size_and_memory() -> None:
    auto, memory = Index(), 4 * 10**9
    kinds = [index.choose(rows, 384, memory, auto).kind for rows in (1000, 10**6, 5 * 10**6, 4 * 10**7)]
    assert kinds == ["flat", "ivf", "ivf-sq", "ivf-pq"]
    assert "3.09 of 4.00 GB" in str(index.choose(10**6, 384, memory, auto))
    assert index.choose(10**6, 384, memory, Index(kind="hnsw")).kind == "hnsw"


def test_queries_of_another_dimension_are_refused(vectors: np.ndarray) -> None:
    with pytest.raises(PairmillError, match="16 dimensions"):
        index.search(made(vectors[:100], kind="flat"), clustered(2, 16), 1)
