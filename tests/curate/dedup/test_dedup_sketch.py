"""Sketches: the estimate is right on average, and hardly ever so low that a link is lost."""

import numpy as np
import pytest

from pairmill.curate.dedup.minhash import lowest
from pairmill.curate.dedup.sketch import most_different, sketch, words


def different_bits(jaccard: float, size: int, pairs: int, slots: int = 128) -> np.ndarray:
    """Bits in which the sketches of pairs of sets with that similarity differ."""
    rng = np.random.default_rng(4)
    common = round(2 * size * jaccard / (1 + jaccard))
    sets = rng.integers(0, 2**64, (pairs, 2 * size - common), np.uint64)
    both = np.stack([sets[:, :size], np.roll(sets, size - common, axis=1)[:, :size]], axis=1)
    both[:, 1, :] = np.concatenate([sets[:, :common], sets[:, size:]], axis=1)
    offsets = np.arange(0, both.size + 1, size)
    found = sketch(lowest(both.reshape(-1), offsets, slots)).reshape(pairs, 2, words(slots))
    return np.bitwise_count(found[:, 0] ^ found[:, 1]).sum(axis=1)


@pytest.mark.parametrize("size", [20, 400])
@pytest.mark.parametrize("jaccard", [0.3, 0.6, 0.8])
def test_the_estimate_is_unbiased_and_as_exact_as_theory_says(jaccard: float, size: int) -> None:
    estimate = 1 - 2 * different_bits(jaccard, size, 3_000) / 128
    common = round(2 * size * jaccard / (1 + jaccard))
    exact = common / (2 * size - common)
    assert abs(estimate.mean() - exact) < 0.01
    assert estimate.std() == pytest.approx(np.sqrt((1 - exact**2) / 128), rel=0.15)


def test_one_pair_in_a_thousand_at_the_threshold_is_lost_at_most() -> None:
    assert (different_bits(0.8, 200, 20_000) > most_different(0.8, 128)).mean() < 0.001


def test_slots_that_do_not_fill_a_word_are_padded_alike() -> None:
    assert sketch(np.full((3, 70), 5, np.uint32)).shape == (3, words(70)) == (3, 2)
    assert different_bits(1.0, 50, 100, slots=70).sum() == 0
