"""New tokens for real tokenizers, on real catalogues."""

from __future__ import annotations

import pytest
import torch

from corpus import catalogue_rows
from pairmill.errors import SpecError
from pairmill.model.extension import extend
from pairmill.model.fertility import fertility
from pairmill.model.tokenizer import plain, train
from pairmill.model.vocabulary import changed_share, choose_tokens, initial_embeddings
from pairmill.spec.tokenizer import TokenizerSpec

GERMAN = [row[1] for row in catalogue_rows(("de",))]
JAPANESE = [row[1] for row in catalogue_rows(("ja",))]
ENGLISH = [row[0] for row in catalogue_rows(("de",))]


@pytest.fixture(scope="module", params=["wordpiece", "bpe", "byte-level", "unigram"])
def base(request: pytest.FixtureRequest):
    kind = "bpe" if request.param == "byte-level" else request.param
    options = {"type": kind, "byte_level": request.param == "byte-level", "vocabulary": 700}
    return train(ENGLISH, TokenizerSpec(kind="tokenizer", name="b", inputs=[{"run": "r"}], **options))


def test_new_tokens_cut_german_and_japanese_into_fewer_pieces_and_leave_less_unknown(base) -> None:
    texts = GERMAN[::2] + JAPANESE[::2]
    extended = extend(base, choose_tokens(base, texts, 600))
    for held_out in (GERMAN[1::2], JAPANESE[1::2]):
        before, after = fertility(base, held_out), fertility(extended, held_out)
        assert after.unknown <= before.unknown
        known = [f.tokens - f.unknown for f in (before, after)]
        assert after.tokens < before.tokens or known[1] > known[0]
    assert fertility(extended, GERMAN[1::2]).tokens < 0.85 * fertility(base, GERMAN[1::2]).tokens


def test_old_tokens_keep_their_ids_and_new_ones_follow_without_a_gap(base) -> None:
    extended = extend(base, choose_tokens(base, GERMAN, 100))
    old, new = base.get_vocab(), extended.get_vocab()
    assert all(new[token] == number for token, number in old.items())
    assert sorted(new.values()) == list(range(len(extended))) and len(extended) == len(base) + 100


def test_an_embedding_is_the_mean_of_the_old_pieces_and_old_ones_are_bit_equal(base) -> None:
    tokens = choose_tokens(base, GERMAN, 200)
    extended = extend(base, tokens)
    old = torch.randn(len(base), 5)
    new = initial_embeddings(base, extended, old)
    assert torch.equal(new[: len(old)], old) and len(new) == len(extended)
    model, number = plain(base).model, extended.get_vocab()
    checked = 0
    for token in tokens:
        pieces = model.tokenize(token)
        if not token.startswith("##") and all(piece.id != base.unk_token_id for piece in pieces):
            expected = old[[piece.id for piece in pieces]].double().mean(0).float()
            torch.testing.assert_close(new[number[token]], expected)
            checked += 1
    assert checked > 10


def test_texts_to_keep_are_cut_as_before_and_german_still_into_fewer_pieces(base) -> None:
    loose, strict = (extend(base, choose_tokens(base, GERMAN, 300, keep=keep)) for keep in ([], ENGLISH))
    assert changed_share(base, strict, ENGLISH) == 0
    assert changed_share(base, loose, ENGLISH) > 0
    assert fertility(strict, GERMAN).tokens < 0.9 * fertility(base, GERMAN).tokens


def test_a_token_that_is_there_already_is_refused(base) -> None:
    known = next(iter(base.get_vocab()))
    with pytest.raises(SpecError, match="is in the vocabulary already"):
        extend(base, [known])
    with pytest.raises(SpecError, match="stands twice"):
        extend(base, ["zzzyx", "zzzyx"])


def test_a_matrix_with_fewer_rows_than_tokens_is_refused(base) -> None:
    with pytest.raises(SpecError, match="they differ"):
        initial_embeddings(base, base, torch.zeros(len(base) - 1, 3))
