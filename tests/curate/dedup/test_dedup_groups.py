"""Groups: stars inside band buckets, joined to components."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate.dedup import groups as gr
from pairmill.curate.dedup.minhash import estimate


def plain(
    bands: np.ndarray, sketches: np.ndarray, valid: np.ndarray, least: float, rounds: int
) -> tuple[list[int], int, int]:
    label = list(range(len(bands)))
    refused = unresolved = 0
    for band in range(bands.shape[1]):
        buckets: dict[int, list[int]] = {}
        for row in np.flatnonzero(valid).tolist():
            buckets.setdefault(int(bands[row, band]), []).append(row)
        for members in buckets.values():
            for _ in range(rounds):
                if len(members) < 2:
                    break
                head, *others = members
                members = []
                for row in others:
                    if estimate(sketches[head], sketches[row]) >= least:
                        low, high = sorted((label[head], label[row]))
                        label = [low if x == high else x for x in label]
                    else:
                        members.append(row)
                refused += len(members)
            unresolved += len(members) if len(members) > 1 else 0
    return label, refused, unresolved


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 25), st.integers(0, 2**32), st.sampled_from([1, 2, 32]))
def test_groups_equal_the_plain_definition(n: int, seed: int, rounds: int) -> None:
    rng = np.random.default_rng(seed)
    bands = rng.integers(0, 6, (n, 3)).astype(np.uint64)
    sketches = rng.integers(0, 3, (n, 8)).astype(np.uint8)
    valid = rng.random(n) < 0.8
    found = gr.near_groups(bands, sketches, valid, 0.5, rounds=rounds)
    labels, refused, unresolved = plain(bands, sketches, valid, 0.5 - gr.MARGIN, rounds)
    assert (found.labels.tolist(), found.refused, found.unresolved) == (labels, refused, unresolved)
    assert found.labels.dtype == np.int64


def test_rows_that_are_not_valid_stay_alone() -> None:
    same = np.zeros((3, 2), np.uint64), np.zeros((3, 8), np.uint8)
    found = gr.near_groups(*same, np.array([True, False, True]), 0.8)
    assert found.labels.tolist() == [0, 1, 0] and found.links == 1


def test_no_rows_make_no_groups() -> None:
    found = gr.near_groups(np.zeros((0, 16), np.uint64), np.zeros((0, 128), np.uint8), np.zeros(0, bool), 0.8)
    assert found == (pytest.approx([]), 0, 0, 0)


def test_unlike_rows_in_a_bucket_are_refused_and_the_rest_counted() -> None:
    sketches = np.arange(50, dtype=np.uint8)[:, None].repeat(8, axis=1)
    found = gr.near_groups(np.zeros((50, 1), np.uint64), sketches, np.ones(50, bool), 0.8)
    assert found.labels.tolist() == list(range(50))
    assert found.unresolved == 50 - gr.ROUNDS and found.links == 0
