"""Fertility: how many pieces a tokenizer cuts a language's text into (Rust et al. 2021, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from pairmill.model.threads import one_thread
from pairmill.model.tokenizer import plain

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_BATCH = 1000


@dataclass
class Fertility:
    """Sums over the texts of one language. Words lie between white space and punctuation."""

    texts: int = 0
    characters: int = 0
    words: int = 0
    tokens: int = 0
    unknown: int = 0
    whole: int = 0

    def to_json(self) -> dict[str, Any]:
        """The sums, and their ratios: `tokens_per_word`, `tokens_per_character`, `unknown_share`, `whole_words`."""
        return {
            "texts": self.texts,
            "characters": self.characters,
            "words": self.words,
            "tokens": self.tokens,
            "tokens_per_word": round(self.tokens / max(self.words, 1), 4),
            "tokens_per_character": round(self.tokens / max(self.characters, 1), 4),
            "unknown_share": round(self.unknown / max(self.tokens, 1), 6),
            "whole_words": round(self.whole / max(self.words, 1), 4),
        }


def fertility(tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]) -> Fertility:
    """Count the tokens (special ones left out) that the tokenizer makes of the texts, uncut.

    `tokens_per_word` counts the tokens of punctuation too; a word is whole where one known token ends in it. Words of
    languages without spaces are phrases: compare these by character (Rust et al. 2021, section 3.2).
    """
    from tokenizers.pre_tokenizers import BertPreTokenizer

    backend = plain(tokenizer)
    splitter = BertPreTokenizer()
    unknown = tokenizer.unk_token_id
    found = Fertility()
    with one_thread():
        for batch in _batches(texts):
            for text, encoding in zip(batch, backend.encode_batch(batch, add_special_tokens=False), strict=True):
                _add(found, text, encoding, splitter, -1 if unknown is None else unknown)
    return found


def _add(found: Fertility, text: str, encoding: Any, splitter: Any, unknown: int) -> None:
    ids = np.asarray(encoding.ids, np.int64)
    words = [span for word, span in splitter.pre_tokenize_str(text) if any(map(str.isalnum, word))]
    found.texts += 1
    found.characters += len(text)
    found.words += len(words)
    found.tokens += len(ids)
    found.unknown += int((ids == unknown).sum())
    if words and len(ids):
        starts, ends = np.array(words, np.int64).T
        last = np.asarray(encoding.offsets, np.int64)[:, 1]
        order = np.argsort(last, kind="stable")
        first, after = (np.searchsorted(last[order], bound, side="right") for bound in (starts, ends))
        one = (after - first == 1) & (ids[order][np.minimum(first, len(ids) - 1)] != unknown)
        found.whole += int(one.sum())


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    left = iter(texts)
    while batch := list(islice(left, _BATCH)):
        yield batch
