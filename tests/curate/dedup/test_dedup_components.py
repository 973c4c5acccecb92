"""Components: one process and rounds over partitions, against SciPy and in hard shapes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from pairmill.curate.dedup.components import large_star, of_links, small_star


def by_scipy(left: np.ndarray, right: np.ndarray) -> dict[int, int]:
    ids, numbers = np.unique(np.concatenate([left, right]), return_inverse=True)
    ends = numbers[: len(left)], numbers[len(left) :]
    _, label = connected_components(coo_matrix((np.ones(len(left)), ends), shape=(len(ids),) * 2), directed=False)
    smallest = {int(name): int(ids[label == name].min()) for name in np.unique(label)}
    return {int(number): smallest[int(name)] for number, name in zip(ids, label, strict=True)}


def by_rounds(left: np.ndarray, right: np.ndarray, partitions: int) -> tuple[dict[int, int], int]:
    """Small-star and large-star over partitions of ids until nothing changes; also the rounds it took."""
    links = {(max(a, b), min(a, b)) for a, b in zip(left.tolist(), right.tolist(), strict=True) if a != b}

    def each(star, pairs):  # type: ignore[no-untyped-def]
        out = set()
        for part in range(partitions):
            mine = np.array(sorted(pair for pair in pairs if pair[0] % partitions == part), np.int64).reshape(-1, 2)
            u, v = star(mine[:, 0].copy(), mine[:, 1].copy())
            out |= set(zip(u.tolist(), v.tolist(), strict=True))
        return out

    before, rounds = None, 0
    while links != before:
        before = links
        small = each(small_star, links)
        links = each(large_star, small | {(v, u) for u, v in small})
        rounds += 1
    return {**{v: v for _, v in small}, **dict(small)}, rounds


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.integers(0, 80), st.integers(0, 2**32), st.integers(1, 5))
def test_both_methods_equal_scipy_on_random_graphs(nodes: int, links: int, seed: int, partitions: int) -> None:
    rng = np.random.default_rng(seed)
    left, right = rng.integers(0, nodes, (2, links)) * 1_000_003
    expected = by_scipy(left, right)
    ids, labels = of_links(left, right)
    assert dict(zip(ids.tolist(), labels.tolist(), strict=True)) == expected
    different = left != right
    found, _ = by_rounds(left[different], right[different], partitions)
    assert found == {key: value for key, value in expected.items() if key in found}
    assert set(found) == set(np.concatenate([left[different], right[different]]).tolist())


@pytest.mark.parametrize("order", ["ascending", "shuffled"])
def test_a_chain_of_ten_thousand_is_one_component(order: str) -> None:
    chain = np.arange(10_000)
    if order == "shuffled":
        np.random.default_rng(2).shuffle(chain)
    ids, labels = of_links(chain[1:], chain[:-1])
    assert len(ids) == 10_000 and not labels.any()
    found, rounds = by_rounds(chain[1:], chain[:-1], 3)
    assert set(found.values()) == {0} and len(found) == 10_000
    assert rounds <= 30


def test_a_star_of_a_million_is_one_component() -> None:
    ids, labels = of_links(np.arange(1, 1_000_000), np.zeros(999_999, np.int64))
    assert len(ids) == 1_000_000 and not labels.any()
    u, v = small_star(np.arange(1, 1_000_000), np.zeros(999_999, np.int64))
    assert len(u) == 999_999 and not v.any()
