"""Whole-word masking of packed token arrays (Cui et al., arXiv 1906.08101; 30 % of the tokens in Jina's reports).

1. A table of the vocabulary says which tokens continue a word: `##ing` of WordPiece; of SentencePiece (`▁`) and
   byte-level BPE (`Ġ`) a token without the mark, if it starts with a letter, mark or digit. Tokens of scripts that put
   no spaces between words (Chinese, Japanese, Thai, …) begin a word each: their subwords are about words, and what
   stands between two spaces is a sentence.
2. A word is a token and those that continue it. It ends with its sequence and at special tokens, which are never
   masked.
3. In every sequence the words are put in random order and taken until `share` of its tokens is reached. The word that
   crosses that line is taken with the probability of the part before it, so that the expected share is exact, for
   short texts too.
4. Of the chosen tokens, each by itself, 80 % become the mask token, 10 % a random one, 10 % stay (BERT, arXiv
   1810.04805).

Random numbers are hashes of (seed, step, row, place in the sequence), so a row's mask depends neither on its batch nor
on the rank that draws it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pairmill.errors import SpecError

_ODD = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True)
class Vocabulary:
    """What masking needs to know of a tokenizer, by token id."""

    continues: np.ndarray  # (V,) bool: the token goes on with the word before it
    special: np.ndarray  # (V,) bool: never masked, never a random replacement
    mask_id: int


class Masked(NamedTuple):
    inputs: np.ndarray  # (T,) int32: what the model reads
    positions: np.ndarray  # (M,) int64: where tokens were chosen, ascending
    labels: np.ndarray  # (M,) int64: the tokens that stood there


def mask(
    tokens: np.ndarray,
    offsets: np.ndarray,
    vocabulary: Vocabulary,
    keys: np.ndarray,
    share: float = 0.3,
    replace: tuple[float, float, float] = (0.8, 0.1, 0.1),
) -> Masked:
    """Mask whole words of packed sequences.

    `tokens` (T,) int32; `offsets` (n + 1,) the bounds of the sequences; `keys` (n,) uint64 from `row_keys`. `share` of
    the tokens that are not special, in (0, 1); `replace` the shares of mask token, random token and no change.
    """
    if not 0 < share < 1 or min(replace) < 0 or abs(sum(replace) - 1) > 1e-9:
        raise ValueError(f"mask: share {share} must be in (0, 1), typical 0.15-0.3, and replace {replace} sum to 1")
    row = np.repeat(np.arange(len(keys)), np.diff(offsets))
    key = keys[row] + np.arange(len(tokens)).astype(np.uint64) - offsets[row].astype(np.uint64)
    positions = np.flatnonzero(_chosen(tokens, row, vocabulary, key, share))
    labels = tokens[positions].astype(np.int64)
    inputs = tokens.astype(np.int32, copy=True)
    fate, other = _uniform(key[positions], 3), _uniform(key[positions], 4)
    inputs[positions[fate < replace[0]]] = vocabulary.mask_id
    random = (fate >= replace[0]) & (fate < replace[0] + replace[1])
    ordinary = np.flatnonzero(~vocabulary.special)
    inputs[positions[random]] = ordinary[(other[random] * len(ordinary)).astype(np.int64)]
    return Masked(inputs, positions, labels)


def _chosen(tokens: np.ndarray, row: np.ndarray, vocabulary: Vocabulary, key: np.ndarray, share: float) -> np.ndarray:
    """Whether each token is of a chosen word, (T,) bool."""
    word, first = _words(tokens, row, vocabulary)
    chosen = np.zeros(len(first), bool)
    free = np.flatnonzero(~vocabulary.special[tokens[first]])
    length = np.bincount(word, minlength=len(first))[free]
    first, of = first[free], row[first[free]]
    order = np.lexsort((_uniform(key[first], 1), of))
    first, of, length = first[order], of[order], length[order]

    total = np.bincount(of, length)
    before = np.cumsum(length) - length - (np.cumsum(total) - total)[of]
    taken = _uniform(key[first], 2) * length < share * total[of] - before
    chosen[free[order[taken]]] = True
    return chosen[word]


def _words(tokens: np.ndarray, row: np.ndarray, vocabulary: Vocabulary) -> tuple[np.ndarray, np.ndarray]:
    """The number of each token's word, (T,), and the place of each word's first token. A special token is a word."""
    special = vocabulary.special[tokens]
    begins = ~vocabulary.continues[tokens] | special
    begins[:1] = True
    begins[1:] |= (row[1:] != row[:-1]) | special[:-1]
    return np.cumsum(begins) - 1, np.flatnonzero(begins)


def row_keys(seed: int, step: int, rows: np.ndarray) -> np.ndarray:
    """The random keys (n,) uint64 of the rows (n,) of a step; another step or seed gives a row another mask."""
    key = np.array([seed, step], np.int64).astype(np.uint64)
    start = _hash(_hash(key[:1]) + key[1:])
    return _hash(_hash(start + np.asarray(rows, np.int64).astype(np.uint64)))


def _uniform(keys: np.ndarray, stream: int) -> np.ndarray:
    """Numbers in [0, 1) of keys (n,); each stream is another draw."""
    return (_hash(_hash(keys) + np.uint64(stream)) >> np.uint64(11)) * 2.0**-53


def _hash(numbers: np.ndarray) -> np.ndarray:
    """SplitMix64 (Steele, Lea, Flood 2014) of uint64 numbers, modulo 2^64."""
    mixed = numbers + _ODD
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return mixed ^ (mixed >> np.uint64(31))


def vocabulary_of(tokenizer: Any, whole_words: bool = True) -> Vocabulary:
    """The table of a fast tokenizer of transformers; without `whole_words` each token is a word.

    Raises SpecError if it has no mask token, or marks words in a way that is not known.
    """
    if tokenizer.mask_token_id is None:
        raise SpecError(
            f"{type(tokenizer).__name__} has no mask token, so it cannot learn masked words: choose a model made for "
            "it (BERT, XLM-R) or train a tokenizer (kind: tokenizer)"
        )
    words = tokenizer.get_vocab()
    size = max(words.values()) + 1
    added = tokenizer.added_tokens_decoder
    special = np.ones(size, bool)
    special[list(words.values())] = False
    special[[token for token, content in added.items() if content.special]] = True
    special[tokenizer.all_special_ids] = True
    continues = np.zeros(size, bool)
    if not whole_words:
        return Vocabulary(continues, special, tokenizer.mask_token_id)
    continuing = _continuing(json.loads(tokenizer.backend_tokenizer.to_str()), type(tokenizer).__name__)
    continues[[token for word, token in words.items() if token not in added and continuing(word)]] = True
    return Vocabulary(continues & ~special, special, tokenizer.mask_token_id)


def _continuing(backend: dict[str, Any], name: str) -> Callable[[str], bool]:
    """The test that says of a token's text whether it continues a word."""
    model = backend["model"]
    parts = [backend["pre_tokenizer"] or {}, backend["decoder"] or {}]
    kinds = {
        part.get("type") for one in parts for part in [one, *one.get("pretokenizers", []), *one.get("decoders", [])]
    }
    if model["type"] == "WordPiece":
        prefix = model["continuing_subword_prefix"]
        return lambda word: word.startswith(prefix) and _goes_on(word[len(prefix) :])
    if model["type"] == "WordLevel":
        return lambda word: False
    if model["type"] == "BPE" and "ByteLevel" in kinds and not model.get("end_of_word_suffix"):
        return _byte_level()
    if model["type"] in ("BPE", "Unigram") and "Metaspace" in kinds:
        return _goes_on
    raise SpecError(
        f"{name}: whole words cannot be told in a {model['type']} tokenizer without ByteLevel or Metaspace. "
        "Known are WordPiece (##), Unigram or BPE with Metaspace (▁) and byte-level BPE (Ġ)"
    )


def _goes_on(text: str) -> bool:
    """Whether text without a mark continues a word: not if its script has no spaces, or it starts with another sign."""
    from pairmill.curate.heuristics.documents.characters import DIGIT, KINDS, LETTER, MARK, properties

    return text != "" and int(properties()[ord(text[0])]) & KINDS in (LETTER, MARK, DIGIT)


def _byte_level() -> Callable[[str], bool]:
    """The same test for byte-level BPE, where a token may begin inside a character: such a token continues it."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    byte_of = {character: byte for byte, character in bytes_to_unicode().items()}

    def goes_on(word: str) -> bool:
        data = bytes(byte_of[character] for character in word)
        return 0x80 <= data[0] < 0xC0 or _goes_on(data.decode("utf-8", "ignore"))

    return goes_on
