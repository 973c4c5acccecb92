"""Signatures, bands and sketches."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate.dedup import minhash as mh
from pairmill.curate.dedup import shingles as sh

FIXED = ["The quick brown fox jumps over the lazy dog.", "Hello", "ok", "", "Съешь ещё этих булок", "日本語の文章です"]
GOLDEN = (
    [2159883148, 2256863538, 2465789216, 4294967295, 2355048789, 2648231943],
    [993842324687, 322080446406, 1013139858444, 0, 61121455567, 144800380903],
    7797720451598035116,
    93904,
)


def test_default_bands_find_what_the_docstring_says() -> None:
    assert mh.probability(0.8) == pytest.approx(0.95, abs=0.005)
    assert mh.probability(0.7) == pytest.approx(0.61, abs=0.005)
    assert mh.BANDS * mh.ROWS == mh.SLOTS == 128


def ragged_of(sets: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate(sets), np.cumsum([0, *map(len, sets)], dtype=np.int64)


@pytest.mark.parametrize("size", [20, 60, 2000])
@pytest.mark.parametrize("jaccard", [0.0, 0.3, 0.5, 0.8, 0.95])
def test_agreeing_slots_and_bands_are_those_of_the_real_jaccard(size: int, jaccard: float) -> None:
    rng = np.random.default_rng(size)
    trials, common = 3000, round(2 * size * jaccard / (1 + jaccard))
    real = common / (2 * size - common)
    pool = rng.integers(0, 2**64, (trials, 2 * size - common), dtype=np.uint64)
    left = mh.lowest(pool[:, :size].ravel().copy(), np.arange(trials + 1) * size)
    right = mh.lowest(pool[:, size - common :].ravel().copy(), np.arange(trials + 1) * size)
    agreeing = (left == right).mean(axis=1)
    noise = np.sqrt(real * (1 - real) / 128)
    assert agreeing.mean() == pytest.approx(real, abs=5 * noise / np.sqrt(trials) + 2e-3)
    assert agreeing.std() <= 1.05 * noise + 1e-3  # never above MinHash's
    estimated = mh.estimate(mh.sketch(left), mh.sketch(right))
    assert estimated.mean() == pytest.approx(real, abs=0.006)
    assert estimated.std() <= 1.1 * noise + 7e-3
    found = (mh.bands(left) == mh.bands(right)).any(axis=1).mean()
    expected = mh.probability(real)
    assert found == pytest.approx(expected, abs=5 * np.sqrt(expected * (1 - expected) / trials) + 0.01)


@pytest.mark.parametrize("slots", [8, 100, 128, 1000])
@given(texts=st.lists(st.text(max_size=40) | st.text("ab \u0301Σ", max_size=400), max_size=6), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_slots_equal_their_definition_over_the_shingle_set(slots: int, texts: list[str], seed: int) -> None:
    raw = [int(r) | 1 for r in np.random.PCG64(seed).random_raw(1 + slots)]
    hashes, offsets = sh.shingles(pa.array(texts, pa.large_string()))
    found = mh.signatures(pa.array(texts, pa.large_string()), slots=slots, seed=seed)
    for row, signature in enumerate(found.tolist()):
        spread = {int(h) * raw[0] % 2**64 for h in hashes[offsets[row] : offsets[row + 1]]}
        for k, slot in enumerate(signature):
            named = [x % 2**32 >> 1 for x in spread if (x >> 32) * slots >> 32 == k]
            others = [raw[1 + k] % 2**32 * (x % 2**32 | 1) % 2**32 >> 1 | 1 << 31 for x in spread]
            assert slot == min(named or others or [mh.EMPTY])


def test_a_text_that_is_not_utf8_is_refused() -> None:
    for broken in (b"\xff", b"abc\xe2\x82", b"\xf8\x88\x80\x80\x80", b"\xed\xa0\x80"):
        column = pa.Array.from_buffers(pa.string(), 1, pa.array([broken]).buffers())
        with pytest.raises(pa.ArrowInvalid, match="UTF8"):
            mh.signatures(column)


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), max_size=12), st.integers(1, 50))
def test_signatures_do_not_depend_on_batches_order_or_slices(texts: list[str], size: int) -> None:
    column = pa.array(texts, pa.large_string())
    whole = mh.signatures(column)
    assert whole.shape == (len(texts), 128) and whole.dtype == np.uint32
    for row in range(len(texts)):
        assert np.array_equal(mh.signatures(column[row : row + 1])[0], whole[row])
    parts = [mh.signatures(batch) for batch in sh.batches(column, size)]
    assert np.array_equal(np.concatenate([np.empty((0, 128), np.uint32), *parts]), whole)


def test_a_signature_is_a_function_of_the_shingle_set() -> None:
    once, twice = mh.signatures(pa.array(["abcabcab", "abcabcabcabcabcabc"]))
    assert np.array_equal(once, twice)


def test_rows_without_shingles_have_empty_signatures() -> None:
    for engine in mh.ENGINES:
        signature = mh.signatures(pa.array(["", "a", "hello world"]), engine=engine)
        assert (signature[0] == 0xFFFFFFFF).all()
        assert mh.has_shingles(signature).tolist() == [False, True, True]


def test_datasketch_engine_equals_datasketch() -> None:
    datasketch = pytest.importorskip("datasketch")
    found = mh.signatures(pa.array(["Hello,  World! Ünïcödé", "hé"]), slots=64, seed=7, engine="datasketch")
    for row, folded in enumerate(["hello world ünïcödé", "hé"]):
        minhash = datasketch.MinHash(num_perm=64, seed=7)
        for gram in {folded[i : i + 5] for i in range(max(len(folded) - 4, 1))}:
            minhash.update(gram.encode())
        assert np.array_equal(found[row], minhash.hashvalues)


def test_equal_slots_in_different_bands_have_different_hashes() -> None:
    signature = np.full((1, 128), 7, np.uint32)
    assert len(set(mh.bands(signature)[0].tolist())) == 16
    with pytest.raises(ValueError, match="need 144 slots, found 128"):
        mh.bands(signature, 18, 8)


def test_unknown_engine_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'rensa' is unknown\. Known: pairmill, datasketch"):
        mh.signatures(pa.array(["a"]), engine="rensa")


def test_golden_signatures_change_only_with_the_version() -> None:
    signature = mh.signatures(pa.array(FIXED))
    digests = [int(np.bitwise_xor.reduce(row.astype(np.uint64) * np.arange(1, 257, 2, np.uint64))) for row in signature]
    bands = int(np.bitwise_xor.reduce(mh.bands(signature).ravel()))
    sketch = int(mh.sketch(signature).astype(np.int64).sum())
    assert (mh.VERSION, sh.VERSION, signature[:, 0].tolist(), digests, bands, sketch) == (2, 1, *GOLDEN)
