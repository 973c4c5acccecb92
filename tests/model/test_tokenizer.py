"""Tokenizers trained on real catalogues: what they promise, and what fertility counts."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import catalogue_rows
from pairmill.errors import PairmillError, SpecError
from pairmill.model import sample
from pairmill.model.fertility import fertility
from pairmill.model.merges import join
from pairmill.model.tokenizer import load, train, words
from pairmill.spec.tokenizer import TokenizerSpec

GERMAN = [row[1] for row in catalogue_rows(("de",))]
JAPANESE = [row[1] for row in catalogue_rows(("ja",))]
KINDS: dict[str, dict[str, Any]] = {
    "wordpiece": {"type": "wordpiece"},
    "bpe": {"type": "bpe"},
    "byte-level": {"type": "bpe", "byte_level": True},
    "unigram": {"type": "unigram"},
}


def spec_of(**more: Any) -> TokenizerSpec:
    return TokenizerSpec(kind="tokenizer", name="t", inputs=[{"run": "r"}], **{"vocabulary": 800, **more})


@pytest.fixture(scope="module", params=KINDS)
def german(request: pytest.FixtureRequest):
    return train(GERMAN, spec_of(**KINDS[request.param]))


def test_special_tokens_come_first_and_stand_around_a_text_and_between_two(german) -> None:
    assert german.convert_ids_to_tokens(range(5)) == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    one, two = german("Feld")["input_ids"], german("Feld", "Wert", return_token_type_ids=True)
    assert one[0] == german.cls_token_id and one[-1] == german.sep_token_id
    assert two["input_ids"].count(german.sep_token_id) == 2
    assert two["token_type_ids"] == sorted(two["token_type_ids"]) and two["token_type_ids"][-1] == 1
    assert german("Feld [MASK]")["input_ids"].count(german.mask_token_id) == 1
    padded = german(["Feld", "Das Feld ist leer."], padding=True)
    assert padded["input_ids"][0][-1] == german.pad_token_id and padded["attention_mask"][0][-1] == 0


def test_german_comes_back_from_its_tokens(german) -> None:
    for text in ("Das Feld ist leer.", "Bitte einen gültigen Wert eingeben"):
        decoded = german.decode(german(text)["input_ids"], skip_special_tokens=True)
        assert decoded.replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "byte-level"])
def test_the_same_bytes_come_out_again_whatever_the_order_of_texts(kind: str) -> None:
    shuffled = GERMAN.copy()
    random.Random(1).shuffle(shuffled)
    one, other = (train(texts, spec_of(**KINDS[kind])) for texts in (GERMAN, shuffled))
    assert one.backend_tokenizer.to_str() == other.backend_tokenizer.to_str()


def test_a_vocabulary_beyond_what_the_text_supports_is_refused_with_what_it_gives() -> None:
    with pytest.raises(PairmillError, match="more than the text supports: it gives") as told:
        train(GERMAN[:20], spec_of(vocabulary=5000))
    given_tokens = int(str(told.value).split("it gives ")[1].split(".")[0].replace(",", ""))
    assert len(train(GERMAN[:20], spec_of(vocabulary=given_tokens))) == given_tokens


def test_a_vocabulary_smaller_than_its_characters_is_refused() -> None:
    for kind in ("wordpiece", "bpe"):
        with pytest.raises(PairmillError, match="too few.*characters of the sample"):
            train(JAPANESE, spec_of(vocabulary=100, type=kind))


def test_rare_characters_beyond_the_coverage_get_no_token() -> None:
    texts = ["abcdef fedcba"] * 50 + ["abc xyz"]
    tokenizer = train(texts, spec_of(vocabulary=16, character_coverage=0.99, min_frequency=1))
    assert "a" in tokenizer.get_vocab() and "x" not in tokenizer.get_vocab()
    assert tokenizer.tokenize("xyz") == ["[UNK]"]


def test_lower_case_and_accents_are_normalised_as_asked() -> None:
    tokenizer = train(GERMAN, spec_of(lowercase=True, strip_accents=True))
    assert tokenizer.tokenize("Gültig") == tokenizer.tokenize("gultig")


def test_fertility_is_what_a_hand_count_gives() -> None:
    tokenizer = train(["low low lower newest newest"] * 9, spec_of(vocabulary=16))
    cut = {word: tokenizer.tokenize(word) for word in ("low", "lower", "lowest")}
    assert cut == {"low": ["low"], "lower": ["low", "##e", "##r"], "lowest": ["low", "##es", "##t"]}
    found = fertility(tokenizer, ["low lowest, x", "lower"])  # the comma and the x are unknown
    assert (found.texts, found.characters, found.words, found.tokens) == (2, 18, 4, 9)
    assert (found.unknown, found.whole) == (2, 1)
    assert found.to_json()["tokens_per_word"] == 2.25


def test_fertility_counts_what_the_tokenizer_gives_and_is_better_in_its_own_language(german) -> None:
    english = [row[0] for row in catalogue_rows(("de",))]
    found = fertility(german, GERMAN)
    assert found.tokens == sum(len(german(text, add_special_tokens=False)["input_ids"]) for text in GERMAN)
    assert 1 <= found.to_json()["tokens_per_word"] < fertility(german, english).to_json()["tokens_per_word"]


def test_a_place_without_a_tokenizer_is_refused(tmp_path) -> None:
    with pytest.raises(SpecError, match="no tokenizer can be loaded"):
        load(str(tmp_path))


@given(st.lists(st.text(alphabet="ab,. é\u3000日", max_size=12), max_size=8))
@settings(max_examples=60, deadline=None)
def test_words_are_counted_as_the_pre_tokenizer_finds_them(texts: list[str]) -> None:
    from tokenizers.pre_tokenizers import BertPreTokenizer

    splitter = BertPreTokenizer()
    assert words(texts, splitter) == Counter(word for text in texts for word, _ in splitter.pre_tokenize_str(text))


@given(st.dictionaries(st.text(alphabet="abc", min_size=1, max_size=5), st.integers(1, 9000), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_the_first_join_is_the_most_frequent_pair(counts: dict[str, int]) -> None:
    pairs: Counter[tuple[str, ...]] = Counter()
    for word, times in counts.items():
        for pair in zip(word, word[1:], strict=False):
            pairs[pair] += times
    joined = join(((list(word), times) for word, times in counts.items()), "abc", 1, 2)
    enough = {pair: times for pair, times in pairs.items() if times >= 2}
    assert bool(joined) == bool(enough)
    if joined:
        assert enough[joined[0]] == max(enough.values())


def rows(anchor: list[str | None], positive: list[str | None]) -> pa.Table:
    langs = {"anchor_lang": ["en"] * len(anchor), "positive_lang": ["de"] * len(anchor)}
    return pa.table({"anchor": anchor, "positive": positive, **langs})


def test_null_texts_are_left_out_and_counted() -> None:
    texts, nulls = sample.texts_of(rows(["a", None, "c"], [None, None, "z"]), ["anchor", "positive"], spec_of())
    assert (nulls, sorted(texts["text"].to_pylist())) == (3, ["a", "c", "z"])


@given(st.integers(1, 60), st.floats(0.05, 0.95), st.sampled_from(["whole", "shrink"]))
@settings(max_examples=30, deadline=None)
def test_shares_hold_to_the_length_of_a_text_or_the_shortfall_is_told(kb: int, english: float, shortfall: str) -> None:
    made = rows([f"english {n:04d} abcdef" for n in range(1500)], [f"deutsch {n:04d} abcdef" for n in range(1500)])
    spec = spec_of(languages={"en": english, "de": 1 - english}, sample=kb * 1000, shortfall=shortfall)
    texts, _ = sample.texts_of(made, ["anchor", "positive"], spec)
    _, taken = sample.draw(sample.distinct(texts), sample.shares(sample.sizes(texts), spec), spec)
    for row in taken.values():
        assert row["budget"] <= row["bytes"] + row["short"] < row["budget"] + 20
    if shortfall == "shrink":
        assert all(row["short"] == 0 for row in taken.values())
