"""Training a tokenizer with the trainers of Hugging Face `tokenizers`, in one thread.

1. Texts are normalised: Unicode form, then lower case and accents as the spec says.
2. Characters beyond the wanted coverage are taken out: a rare character ends a word, and gets no token.
3. Words are found: by white space and punctuation (WordPiece), with their leading space as `▁` and punctuation apart
   (BPE, Unigram), or as GPT-2 does (byte-level BPE).
4. The trainer joins pieces (WordPiece, BPE) or prunes a large vocabulary by EM (Unigram, Kudo 2018).

`tokenizers` numbers WordPiece's symbols, and adds up Unigram's EM, in the order of a random hash. WordPiece is
therefore joined by `merges`. Unigram has no such remedy: repeated trainings differ in the third digit of the scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pairmill.errors import PairmillError, SpecError
from pairmill.model.alphabet import covered, most_frequent
from pairmill.model.merges import join
from pairmill.model.threads import one_thread
from pairmill.spec.tokenizer import TokenizerSpec

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

#: BERT's limit of 100 makes a phrase of a language without spaces one unknown token.
LONGEST_WORD = 500


def train(texts: Sequence[str], spec: TokenizerSpec) -> PreTrainedTokenizerFast:
    """Train a tokenizer on the texts. Their order does not matter.

    Raises PairmillError where the texts cannot give as many tokens as `vocabulary`, or need more.
    """
    with one_thread():
        tokenizer = _empty(spec)
        normalizer = tokenizer.normalizer  # the tokenizer itself is locked while it is trained
        alphabet = [] if spec.byte_level else most_frequent(texts, normalizer, spec.character_coverage)
        clean = covered(texts, normalizer, alphabet)
        if spec.type == "wordpiece":
            _train_wordpiece(tokenizer, clean, spec)
        else:
            _room(spec, len(alphabet))
            tokenizer.train_from_iterator(clean, _trainer(spec, alphabet), len(texts))
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

    special = spec.special_tokens.all()
    counts = words(texts, tokenizer.pre_tokenizer)
    cut = {word: [word[0], *("##" + c for c in word[1:])] for word in counts}
    symbols = sorted({symbol for pieces in cut.values() for symbol in pieces})
    room = _room(spec, len(symbols))
    joined = join(((cut[word], times) for word, times in counts.items()), symbols, room, spec.min_frequency)
    tokens = [*special, *symbols, *(s[0] + "".join(part.removeprefix("##") for part in s[1:]) for s in joined)]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    tokenizer.model = models.WordPiece(
        vocabulary, unk_token=spec.special_tokens.unk, max_input_chars_per_word=LONGEST_WORD
    )
    tokenizer.add_special_tokens(special)


def words(texts: Iterable[str], splitter: Any) -> Counter[str]:
    """The words that a pre-tokenizer which ends words at spaces finds, and how often each stands there."""
    between_spaces: Counter[str] = Counter()
    for text in texts:
        between_spaces.update(text.split(" "))
    found: Counter[str] = Counter()
    for part, times in between_spaces.items():
        for word, _ in splitter.pre_tokenize_str(part):
            found[word] += times
    return found


def _room(spec: TokenizerSpec, characters: int) -> int:
    """How many tokens of several characters there is room for. Raises PairmillError where not even the others fit."""
    first = characters + len(spec.special_tokens.all())
    if spec.vocabulary < first:
        inside = (
            " (WordPiece counts one at the start of words and inside them twice)" if spec.type == "wordpiece" else ""
        )
        raise PairmillError(
            f"vocabulary: {spec.vocabulary:,} tokens are too few: the {characters:,} characters of the sample{inside} "
            f"and the special tokens take {first:,}. Raise vocabulary, or lower character_coverage "
            f"(now {spec.character_coverage:g})."
        )
    return spec.vocabulary - first


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


def plain(tokenizer: PreTrainedTokenizerFast) -> Tokenizer:
    """A copy of the tokenizer inside that neither cuts nor pads."""
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    return backend


def load(place: str) -> PreTrainedTokenizerFast:
    """The tokenizer of a directory or hub name. Raises SpecError where there is none, or a slow one."""
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(place)
    except (OSError, ValueError) as error:
        raise SpecError(
            f"{place}: no tokenizer can be loaded: {str(error).splitlines()[0]} Name a directory with a tokenizer.json."
        ) from error
    if not tokenizer.is_fast:
        raise SpecError(f"{place}: a slow tokenizer without tokenizer.json. Convert it to a fast one and save that.")
    return tokenizer
