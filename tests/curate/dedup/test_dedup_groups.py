"""Groups: links inside band buckets, joined to components."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate.dedup.buckets import HEADS, Linker
from pairmill.curate.dedup.groups import near_groups
from pairmill.curate.dedup.sketch import most_different


def plain(bands: np.ndarray, sketches: np.ndarray, valid: np.ndarray, most: int) -> list[int]:
    """The labels by the plain definition: in each bucket a row joins the first head that is near, or becomes one."""
    label = list(range(len(bands)))
    for band in range(bands.shape[1]):
        heads: dict[int, list[int]] = {}
        for row in np.flatnonzero(valid).tolist():
            known = heads.setdefault(int(bands[row, band]), [])
            near = [h for h in known if sum((int(a) ^ int(b)).bit_count() for a, b in zip(*sketches[[h, row]])) <= most]  # noqa: B905
            if near:
                low, high = sorted((label[near[0]], label[row]))
                label = [low if x == high else x for x in label]
            else:
                known.append(row)
    return label


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 25), st.integers(0, 2**32))
def test_groups_equal_the_plain_definition(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    bands = rng.integers(0, 6, (n, 3)).astype(np.uint64)
    sketches = rng.integers(0, 2**64, (6, 2), np.uint64)[rng.integers(0, 6, n)]
    sketches ^= np.uint64(1) << rng.integers(0, 64, (n, 2)).astype(np.uint64)
    valid = rng.random(n) < 0.8
    found = near_groups(bands, sketches, valid, 0.8, 128)
    assert found.labels.tolist() == plain(bands, sketches, valid, most_different(0.8, 128))
    assert found.labels.dtype == np.int64 and found.unresolved == 0


def test_rows_that_are_not_valid_stay_alone() -> None:
    same = np.zeros((3, 2), np.uint64), np.zeros((3, 2), np.uint64)
    found = near_groups(*same, np.array([True, False, True]), 0.8, 128)
    assert found.labels.tolist() == [0, 1, 0]


def test_no_rows_make_no_groups() -> None:
    found = near_groups(np.zeros((0, 16), np.uint64), np.zeros((0, 2), np.uint64), np.zeros(0, bool), 0.8, 128)
    assert found == (pytest.approx([]), 0)


def crowd(count: int, copies: int, changed_bits: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Unlike sketches in one bucket, of which the last `copies` are near copies of the first ones."""
    rng = np.random.default_rng(seed)
    sketches = rng.integers(0, 2**64, (count, 2), np.uint64)
    sketches[count - copies :] = sketches[:copies]
    for _ in range(changed_bits):
        rows, words = np.arange(count - copies, count), rng.integers(0, 2, copies)
        sketches[rows, words] ^= np.uint64(1) << rng.integers(0, 64, copies).astype(np.uint64)
    return np.full(count, 7, np.uint64), sketches


def test_near_copies_in_a_crowded_bucket_of_unlike_rows_are_found() -> None:
    hashes, sketches = crowd(200_000, 500, changed_bits=6)
    linker = Linker(0.8, 128, 2)
    linker.feed(hashes, np.arange(len(hashes)), sketches)
    links = linker.finish()
    found = {(int(row), int(head)) for row, head in zip(links.row, links.head, strict=True)}
    hit = sum((199_500 + copy, copy) in found for copy in range(500))
    assert hit >= 490
    assert len(found) < 1_000


def test_equal_sketches_in_a_crowded_bucket_are_always_linked() -> None:
    hashes, sketches = crowd(20_000, 9_000, changed_bits=0)
    found = near_groups(hashes[:, None], sketches, np.ones(len(hashes), bool), 0.8, 128)
    assert (found.labels[-9_000:] == found.labels[:9_000]).all()
    assert found.unresolved <= 11_000 - HEADS


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_bucket_read_in_pieces_gives_the_same_links(size: int) -> None:
    rng = np.random.default_rng(5)
    hashes = np.sort(rng.integers(0, 4, 3_000)).astype(np.uint64)
    sketches = rng.integers(0, 2**64, (300, 2), np.uint64)[rng.integers(0, 300, 3_000)]
    ids = np.arange(3_000)
    whole, pieces = Linker(0.8, 128, 2), Linker(0.8, 128, 2)
    whole.feed(hashes, ids, sketches)
    for start in range(0, 3_000, size):
        part = slice(start, start + size)
        pieces.feed(hashes[part], ids[part], sketches[part])
    one, other = whole.finish(), pieces.finish()
    assert set(zip(one.row, one.head, strict=True)) == set(zip(other.row, other.head, strict=True))
    assert one.unresolved == other.unresolved
