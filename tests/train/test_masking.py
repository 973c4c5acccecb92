"""What whole-word masking promises, on random token arrays and on tokenizers trained on real text."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

import corpus
from pairmill.errors import SpecError
from pairmill.train.masking import Masked, Vocabulary, mask, row_keys, vocabulary_of

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MASK = SPECIALS.index("[MASK]")
SIZE = 40
VOCABULARY = Vocabulary(np.arange(SIZE) % 3 == 0, np.arange(SIZE) < len(SPECIALS), MASK)

rows_of_tokens = st.lists(st.lists(st.integers(0, SIZE - 1), min_size=1, max_size=30), min_size=1, max_size=8)
seeds = st.integers(0, 2**31)


def packed(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    tokens = np.concatenate([np.array(row, np.int32) for row in rows])
    return tokens, np.concatenate([[0], np.cumsum([len(row) for row in rows])])


def masked(rows: list[list[int]], seed: int, **options: Any) -> Masked:
    return mask(*packed(rows), VOCABULARY, row_keys(seed, 0, np.arange(len(rows))), **options)


def words(row: list[int], vocabulary: Vocabulary = VOCABULARY) -> list[list[int]]:
    """Places of the words of one sequence, by a loop."""
    found: list[list[int]] = []
    open_word = False
    for place, token in enumerate(row):
        if vocabulary.special[token]:
            open_word = False
        elif open_word and vocabulary.continues[token]:
            found[-1].append(place)
        else:
            found.append([place])
            open_word = True
    return found


@given(rows_of_tokens, seeds, st.floats(0.05, 0.95))
@settings(max_examples=200, deadline=None)
def test_words_are_masked_whole_within_their_sequence_up_to_the_share(
    rows: list[list[int]], seed: int, share: float
) -> None:
    tokens, offsets = packed(rows)
    found = masked(rows, seed, share=share)
    chosen = np.zeros(len(tokens), bool)
    chosen[found.positions] = True
    for row, start in zip(rows, offsets[:-1], strict=True):
        lengths = []
        for word in words(row):
            states = {bool(chosen[start + place]) for place in word}
            assert len(states) == 1
            lengths += [len(word)] * states.pop()
        wanted, count = share * sum(map(len, words(row))), sum(lengths)
        longest = max(map(len, words(row)), default=0)
        assert wanted - longest < count < wanted + longest or not longest
    assert not VOCABULARY.special[tokens[found.positions]].any()


@given(rows_of_tokens, seeds)
@settings(max_examples=200, deadline=None)
def test_only_chosen_tokens_change_and_never_to_a_special_token_but_the_mask(rows: list[list[int]], seed: int) -> None:
    tokens, _ = packed(rows)
    before = tokens.copy()
    found = masked(rows, seed, share=0.5, replace=(0.2, 0.7, 0.1))
    assert np.array_equal(tokens, before)
    assert np.array_equal(found.labels, tokens[found.positions])
    assert (np.diff(found.positions) > 0).all()
    kept = np.ones(len(tokens), bool)
    kept[found.positions] = False
    assert np.array_equal(found.inputs[kept], tokens[kept])
    new = found.inputs[found.positions]
    assert (~VOCABULARY.special[new] | (new == MASK)).all()


@given(rows_of_tokens, seeds, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_mask_of_a_row_does_not_depend_on_its_batch(rows: list[list[int]], seed: int, random: Any) -> None:
    whole, offsets = masked(rows, seed), packed(rows)[1]
    order = list(range(len(rows)))
    random.shuffle(order)
    order = order[: max(1, len(order) // 2)]
    tokens, part_offsets = packed([rows[at] for at in order])
    part = mask(tokens, part_offsets, VOCABULARY, row_keys(seed, 0, np.array(order)))
    for number, at in enumerate(order):
        here, there = slice(*part_offsets[number : number + 2]), slice(*offsets[at : at + 2])
        assert np.array_equal(part.inputs[here], whole.inputs[there])
        assert np.array_equal(inside(part.positions, here), inside(whole.positions, there))


def inside(positions: np.ndarray, part: slice) -> np.ndarray:
    return positions[(positions >= part.start) & (positions < part.stop)] - part.start


def test_shares_are_exact_in_expectation_for_long_and_for_short_texts() -> None:
    numbers = np.random.default_rng(0)
    for length in (2, 3, 100):
        rows = numbers.integers(len(SPECIALS), SIZE, (30_000 // length, length)).tolist()
        found, count = masked(rows, seed=1, share=0.3), 30_000 // length * length
        assert len(found.positions) / count == pytest.approx(0.3, abs=0.01)
        new = found.inputs[found.positions]
        assert (new == MASK).mean() == pytest.approx(0.8, abs=0.02)
        assert (new == found.labels).mean() == pytest.approx(0.1 + 0.1 / 35, abs=0.015)


def test_words_of_any_length_and_place_are_chosen_alike() -> None:
    """One long text many times: how often each place is masked."""
    row = [7, 9, 12, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 19, 20, 22, 23, 25, 26, 28] * 2
    tries = 6000
    found = mask(*packed([row] * tries), VOCABULARY, row_keys(0, 0, np.arange(tries)))
    share = np.bincount(found.positions % len(row), minlength=len(row)) / tries
    assert share.min() > 0.26 and share.max() < 0.34


def test_another_seed_step_or_row_gives_another_mask_and_the_same_ones_the_same() -> None:
    rows = [list(range(len(SPECIALS), SIZE)) * 10]
    tokens, offsets = packed(rows)

    def chosen(seed: int, step: int, row: int) -> tuple[int, ...]:
        return tuple(mask(tokens, offsets, VOCABULARY, row_keys(seed, step, np.array([row]))).positions)

    found = [chosen(*key) for key in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1))]
    assert len(set(found)) == len(found)
    assert chosen(0, 1, 1) == found[-1]


def test_wrong_shares_are_refused() -> None:
    for options in ({"share": 0.0}, {"share": 1.3}, {"replace": (0.8, 0.1, 0.2)}, {"replace": (1.2, -0.1, -0.1)}):
        with pytest.raises(ValueError, match="share"):
            masked([[5, 6, 7]], 0, **options)


@lru_cache
def texts() -> list[str]:
    return [side for row in corpus.catalogue_rows(("de", "ja")) for side in row[:2]][:6000]


@lru_cache
def tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """A tokenizer of each kind, trained on the catalogues."""
    common: dict[str, Any] = {"vocab_size": 3000, "special_tokens": SPECIALS, "show_progress": False}
    if kind == "WordPiece":
        backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        backend.normalizer = normalizers.BertNormalizer()
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer: Any = trainers.WordPieceTrainer(**common)
    elif kind == "Unigram":
        backend = Tokenizer(models.Unigram())
        backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        trainer = trainers.UnigramTrainer(**common, unk_token="[UNK]")
    else:
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel()
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(**common, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    backend.train_from_iterator(texts(), trainer)
    backend.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, mask_token="[MASK]", **names)


@pytest.mark.parametrize("kind", ["WordPiece", "Unigram", "ByteLevel"])
def test_words_of_trained_tokenizers_are_those_between_spaces(kind: str) -> None:
    vocabulary = vocabulary_of(tokenizer(kind))
    assert np.flatnonzero(vocabulary.special).tolist() == list(range(len(SPECIALS)))
    sentence = "Unverträgliche Zwischenspeicherung verschlüsselt Benutzerkontensteuerung"
    encoded = tokenizer(kind)(sentence, return_offsets_mapping=True)
    found = [encoded["offset_mapping"][word[0]][0] for word in words(encoded["input_ids"], vocabulary)]
    starts = [0, *(at + 1 for at, sign in enumerate(sentence) if sign == " ")]
    assert len(found) == 4 < len(encoded["input_ids"]) - 2
    assert all(
        0 <= start - at <= 1 for at, start in zip(found, starts, strict=True)
    )  # the mark may stand for the space


@pytest.mark.parametrize("kind", ["WordPiece", "Unigram", "ByteLevel"])
def test_a_japanese_sentence_is_not_one_word(kind: str) -> None:
    vocabulary = vocabulary_of(tokenizer(kind))
    ids = tokenizer(kind)("このフィールドには正しい値を入力してください", add_special_tokens=False)["input_ids"]
    assert len(words(ids, vocabulary)) > len(ids) / 3
    assert max(map(len, words(ids, vocabulary))) <= 4


def test_a_tokenizer_without_a_mask_token_or_with_unknown_marks_is_refused() -> None:
    backend = Tokenizer(models.BPE({"a": 0, "[MASK]": 1}, []))
    with pytest.raises(SpecError, match="no mask token"):
        vocabulary_of(PreTrainedTokenizerFast(tokenizer_object=backend))
    with pytest.raises(SpecError, match="whole words cannot be told in a BPE tokenizer"):
        vocabulary_of(PreTrainedTokenizerFast(tokenizer_object=backend, mask_token="[MASK]"))
