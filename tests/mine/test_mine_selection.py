"""Hard negatives and duplicates of meaning against written-out loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.mine import groups, selection

TEXTS = st.integers(0, 8)
ROWS = st.lists(st.tuples(TEXTS, st.integers(10, 18)), min_size=1, max_size=20)


@given(ROWS, st.lists(st.lists(st.integers(8, 20), min_size=3, max_size=3), min_size=1, max_size=10))
@settings(deadline=None)
def test_texts_that_share_an_anchor_are_related(rows: list[tuple[int, int]], asked: list[list[int]]) -> None:
    anchors, positives = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    own = positives[np.arange(len(asked)) % len(rows)]
    found = selection.Relations(anchors, positives).related(own, np.array(asked, np.int64))
    of = {text: {a for a, p in rows if p == text} for text in range(8, 21)}
    for row, candidates in enumerate(asked):
        for column, text in enumerate(candidates):
            assert found[row, column] == (text == own[row] or bool(of[text] & of[int(own[row])]))


@given(
    st.integers(0, 10_000),
    st.integers(1, 6),
    st.integers(1, 9),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.one_of(st.none(), st.sampled_from([0.0, 0.1, 0.3])),
    st.one_of(st.none(), st.sampled_from([0.5, 0.95, 1.0])),
)
@settings(deadline=None)
def test_no_negative_is_related_near_or_out_of_rank(
    seed: int, n: int, k: int, rank: tuple[int, int], absolute: float | None, relative: float | None
) -> None:
    random = np.random.default_rng(seed)
    cosines = -np.sort(-random.random((n, k)).astype(np.float32), axis=1)
    cosines[random.random((n, k)).cumsum(1) > 4] = -np.inf
    related, positive = random.random((n, k)) < 0.3, random.random(n).astype(np.float32)
    low, high = min(rank), max(rank)
    found = selection.eligible(cosines, related, positive, (low, high), absolute, relative)
    for row in range(n):
        place = 0
        for column in range(k):
            usable = bool(np.isfinite(cosines[row, column])) and not related[row, column]
            place += usable
            near = absolute is not None and cosines[row, column] >= positive[row] - np.float32(absolute)
            near = near or (relative is not None and cosines[row, column] >= positive[row] * np.float32(relative))
            assert found[row, column] == (usable and low <= place <= high and not near)


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 9), st.integers(1, 12))
@settings(deadline=None)
def test_draws_take_the_smallest_keys_of_what_is_eligible(seed: int, n: int, k: int, count: int) -> None:
    random = np.random.default_rng(seed)
    found, keys = random.random((n, k)) < 0.6, random.integers(0, 2**64, (n, k), np.uint64)
    drawn = selection.draw(found, keys, count)
    assert drawn.shape == (n, count)
    for row in range(n):
        expected = sorted(np.flatnonzero(found[row]).tolist(), key=lambda column: keys[row, column])[:count]
        assert drawn[row].tolist() == expected + [-1] * (count - len(expected))


@given(st.integers(0, 10_000), st.integers(1, 25), st.sampled_from([1, 3, 1024]), st.sampled_from([0.6, 0.9]))
@settings(max_examples=30, deadline=None)
def test_every_duplicate_repeats_the_first_kept_row_that_is_near_enough(
    seed: int, n: int, block: int, threshold: float
) -> None:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(n, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    classes = random.integers(0, 2, n)
    before, groups.BLOCK = groups.BLOCK, block
    try:
        found = groups.duplicates(vectors, classes, threshold)
    finally:
        groups.BLOCK = before
    expected: list[int] = []
    for row in range(n):
        kept = [other for other in range(row) if expected[other] == other and classes[other] == classes[row]]
        near = [other for other in kept if float(vectors[row] @ vectors[other]) >= threshold]
        expected.append(near[0] if near else row)
    assert found.tolist() == expected
