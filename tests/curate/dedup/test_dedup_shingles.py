"""Folding and shingling against their definition in plain Python."""

import unicodedata
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate.codepoints import encode
from pairmill.curate.dedup import shingles as sh

WHITE_SPACE_CONTROLS = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85"

TRICKY = (
    "aAeEiIoOuUsSşŞıIiİ ̇ΣσςΑαΆάϹ𝚺ß'ﬁﬃ…⅓②Ⅳ½¨´˜ ﻼﷺ﷽ﺍﺎصلى السَّلام بِسْمِ שָׁלוֹם שׁ"
    "เก้าอี้ำน้ำ ກໍາຳ नमस्ते क़ख़ज़ ऩ ऱ ড় য় ো ெ ா ொ ெொ ಕೊ കോ ෙ ා ො ཀྵ ཱི ཱིུ"
    "Việt ngữ ế ệ ゙゚̧̨̛̣̱̭́̀̂̃̄̇̈̊̌҃͜͡かがｶﾞﾊﾟ゛ㄱㅏㅇ가각강각ᅠᅟ한글ㅋㅎ豈 更 丽Åℵ µΩKÅ ΐΰ ᾳ ᾼ ῳ ͅ"
    '‍‌️ ​﻿\t\n\v\f\r\x1c\x1d\x85\x00\x7f.,;:!?¿—–-_()[]«»"„“’·٪،؟。、！？０１ａＡ𝒜𝟗👩‍👩‍👧🇩🇪'
    "ǅǆǇḀẞŉǰỌ́ạ̄d̦ɐ꜀ꭰᏸⒶ㎏㍿㋿ﬓ𐐀𐐨𑄮𑍋𑒻𑖺𝅗𝅥"
)


def fold(text: str) -> str:
    out = ""
    for char in unicodedata.normalize("NFKC", text).lower():
        gap = unicodedata.category(char)[0] in "ZP" or char in WHITE_SPACE_CONTROLS
        if not (gap and out.endswith(" ")):
            out += " " if gap else char
    return out


def gram_list(text: str, size: int = 5) -> list[str]:
    folded = fold(text)
    if 0 < len(folded) < size:
        return [folded]
    return [folded[i : i + size] for i in range(len(folded) - size + 1)]


def rows_of(values: np.ndarray, offsets: np.ndarray) -> list[list[int]]:
    return [values[a:b].tolist() for a, b in pairwise(offsets)]


def check(texts: list[str]) -> None:
    column = pa.array(texts, pa.large_string())
    assert encode(*sh.fold(column)).to_pylist() == [fold(t) for t in texts]
    grams = [g for t in texts for g in gram_list(t)]
    hashes, offsets = sh.shingles(column)
    assert np.diff(offsets).tolist() == [len(gram_list(t)) for t in texts]
    assert len(grams) == len(hashes)
    assert len(set(grams)) == len(set(hashes.tolist())) == len(set(zip(grams, hashes.tolist(), strict=True)))


any_text = st.text(max_size=40)
tricky_text = st.text(alphabet=st.sampled_from(sorted(set(TRICKY))), max_size=30)
marks_text = st.text(alphabet=st.characters(categories=["Mn", "Mc", "Lo", "Lu"]), max_size=12)
texts_of_any_kind = st.lists(st.one_of(any_text, tricky_text, marks_text), max_size=6)


@settings(max_examples=600, deadline=None)
@given(texts_of_any_kind)
def test_shingles_equal_the_definition_for_any_text(texts: list[str]) -> None:
    check(texts)


def test_every_code_point_folds_as_defined_alone() -> None:
    chars = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    folded = encode(*sh.fold(pa.array(chars, pa.large_string()))).to_pylist()
    assert [c for c, f in zip(chars, folded, strict=True) if f != fold(c)] == []


def test_every_composing_pair_folds_as_defined_with_marks_in_between() -> None:
    singles = [chr(c) for c in range(0x20000) if not 0xD800 <= c < 0xE000]
    parts = [unicodedata.normalize("NFD", c) for c in singles if not "가" <= c <= "힣"]
    decomposed = [p for p in parts if len(p) > 1]
    check(decomposed)
    for between in ("\u0327", "\u0338\u0301"):
        check([p[0] + between + p[1:] for p in decomposed])


CONTEXTS = ["a{}", "{}a", "Α{}", "{}Α", "e\u0323{}", "e{}\u0301", "{}\u0323", "가{}", "ᄀ{}", "Σ{}", "Α{}Σ"]


@pytest.mark.parametrize("context", CONTEXTS)
def test_every_letter_and_mark_folds_as_defined_in_context(context: str) -> None:
    texts = [context.format(chr(c)) for c in [*range(0x3100), *range(0xA000, 0xAC10), *range(0xF900, 0x1E000)]]
    folded = encode(*sh.fold(pa.array(texts, pa.large_string()))).to_pylist()
    assert [t for t, f in zip(texts, folded, strict=True) if f != fold(t)] == []


@settings(deadline=None)
@given(st.lists(st.one_of(any_text, tricky_text), max_size=20), st.integers(1, 40))
def test_result_does_not_depend_on_batch_size(texts: list[str], size: int) -> None:
    column = pa.array(texts, pa.string())
    parts = [sh.hash_grams(*sh.fold_batch(b)) for b in sh.batches(column, size)]
    hashes, offsets = sh.shingles(column)
    joined, joined_offsets = sh.join(parts, np.uint64)
    assert hashes.tolist() == joined.tolist() and offsets.tolist() == joined_offsets.tolist()


@settings(deadline=None)
@given(st.lists(tricky_text, min_size=1, max_size=8), st.data())
def test_sliced_arrays_give_the_rows_of_the_slice(texts: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(texts)))
    stop = data.draw(st.integers(start, len(texts)))
    whole = rows_of(*sh.shingles(pa.array(texts)))
    assert rows_of(*sh.shingles(pa.array(texts)[start:stop])) == whole[start:stop]


def test_short_texts_are_compared_whole() -> None:
    texts = ["", "a", "aa", "aaa", "aaaa", "aaaaa", "b", "OK", "ok", "ok!", "\0", "\0\0", "...", "?"]
    rows = rows_of(*sh.shingles(pa.array(texts)))
    assert [len(r) for r in rows] == [0] + [1] * 13
    groups = {}
    for text, row in zip(texts, rows, strict=True):
        groups.setdefault(tuple(row), []).append(text)
    assert [g for g in groups.values() if len(g) > 1] == [["OK", "ok"], ["...", "?"]]


def test_common_scripts_in_canonical_order_stay_on_the_fast_path() -> None:
    texts = ["เก้าอี้ น้ำ", "नमस्ते दुनिया क्षत्रिय", "بِسْمِ اللَّهِ الرَّحْمَٰنِ", "בְּרֵאשִׁית בָּרָא"]
    texts += ["Tiếng Việt rất đẹp", "Ἐν ἀρχῇ ἦν Σωκράτης"]
    assert sh.slow_share(pa.array([unicodedata.normalize("NFC", t) for t in texts])) == 0


def test_low_bits_of_hashes_are_even() -> None:
    hashes, _ = sh.shingles(pa.array([f"{i:05x}" for i in range(0, 1 << 20, 16)]))
    for shift in (0, 20, 40, 56):
        counts = np.bincount((hashes >> np.uint64(shift)).astype(np.int64) & 255, minlength=256)
        assert counts.max() < 256 + 6 * 16 and counts.min() > 256 - 6 * 16
