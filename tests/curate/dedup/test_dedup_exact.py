"""Exact hashes and first rows."""

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate.dedup import exact
from pairmill.pairs.hashing import hash128, pair_hash


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@settings(deadline=None)
@given(texts=st.lists(st.text(max_size=8), max_size=8), data=st.data())
def test_hashes_are_xxh3_of_the_bytes_on_slices(kind: pa.DataType, texts: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(texts)))
    found = hash128(pa.array(texts, kind)[start:])
    assert found.shape == (len(texts) - start, 2) and found.dtype == np.uint64
    expected = [xxhash.xxh3_128_intdigest(t.encode()) for t in texts[start:]]
    assert [(int(h) << 64) | int(low) for h, low in found] == expected


def test_hashes_of_texts_of_all_lengths() -> None:
    rng = np.random.default_rng(1)
    texts = ["".join(map(chr, rng.integers(1, 128, n))) for n in [*range(2200), 10_000, 100_003]]
    expected = [xxhash.xxh3_128_intdigest(text.encode()) for text in texts]
    assert [(int(h) << 64) | int(low) for h, low in hash128(pa.array(texts))] == expected


def test_pair_hash_depends_on_order_and_on_both_sides() -> None:
    a, b, c = (hash128(pa.array([t])) for t in "abc")
    pairs = [pair_hash(x, y) for x, y in [(a, b), (b, a), (a, a), (a, c), (c, b)]]
    assert len({p.tobytes() for p in pairs}) == 5
    assert np.array_equal(pair_hash(np.vstack([a, b]), np.vstack([b, a])), np.vstack(pairs[:2]))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2))))
def test_first_of_is_the_first_row_with_the_same_hash(rows: list[tuple[int, int]]) -> None:
    hashes = np.array(rows, np.uint64).reshape(-1, 2)
    assert exact.first_of(hashes).tolist() == [rows.index(r) for r in rows]


def test_golden_hashes_change_only_with_the_version() -> None:
    found = pair_hash(*(hash128(pa.array([t])) for t in ("one", "two")))
    assert (exact.VERSION, found.tolist()) == (1, [[15980765012248136247, 11633309671470695604]])
