"""IBM Model 1 against its written-out loops."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pairmill.model.alignment import LONGEST, ROUNDS, translations

SIDE = st.lists(st.integers(0, 5), max_size=6)


def written_out(pairs: list[tuple[list[int], list[int]]]) -> dict[tuple[int, int], tuple[float, float]]:
    """(source, target) -> probability and count; source -1 is none."""
    pairs = [pair for pair in pairs if all(pair)]
    probability: dict[tuple[int, int], float] = defaultdict(lambda: 1.0)
    counts: dict[tuple[int, int], float] = {}
    for _ in range(ROUNDS):
        counts = defaultdict(float)
        for source, target in pairs:
            for made in target:
                total = sum(probability[by, made] for by in [-1, *source])
                for by in [-1, *source]:
                    counts[by, made] += probability[by, made] / total
        totals: dict[int, float] = defaultdict(float)
        for (by, _), count in counts.items():
            totals[by] += count
        probability.update({link: count / totals[link[0]] for link, count in counts.items()})
    return {link: (probability[link], count) for link, count in counts.items()}


@given(st.lists(st.tuples(SIDE, SIDE), max_size=8))
def test_links_are_those_of_the_definition(pairs: list[tuple[list[int], list[int]]]) -> None:
    found = translations(*([pair[side] for pair in pairs] for side in (0, 1)))
    expected = {link: value for link, value in written_out(pairs).items() if link[0] >= 0}
    assert list(zip(found.source.tolist(), found.target.tolist(), strict=True)) == sorted(expected)
    if expected:
        values = np.array([expected[link] for link in sorted(expected)])
        np.testing.assert_allclose(np.stack([found.probability, found.times], 1), values, rtol=1e-9)


def test_words_that_stand_with_one_another_alone_are_translations() -> None:
    found = translations([[1, 2], [1, 3], [2, 3]] * 20, [[11, 12], [11, 13], [12, 13]] * 20)
    for word in (1, 2, 3):
        of = found.source == word
        assert found.target[of][found.probability[of].argmax()] == word + 10


def test_a_side_too_long_is_left_out() -> None:
    assert len(translations([[1] * (LONGEST + 1)], [[2]]).source) == 0
