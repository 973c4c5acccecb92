"""Joining pieces by frequency (byte-pair encoding, Sennrich et al. 2016, section 3.2) over any alphabet of strings.

Each symbol is given to the trainer of `tokenizers` as one character of the planes 2 to 16, so that a symbol may be a
character, `##x`, or a piece of another tokenizer's vocabulary. Symbols are numbered by their text and ties go to lower
numbers, so the answer depends on the words and nothing else; the trainer for WordPiece numbers them by a random hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pairmill.model.threads import one_thread

_FIRST = 0x20000
#: A word is given to the trainer, which counts words itself, this many times in one string.
_TIMES = 4096


def join(
    words: Iterable[tuple[Sequence[str], int]], symbols: Sequence[str], joins: int, min_frequency: int
) -> list[tuple[str, ...]]:
    """The `joins` most useful sequences of symbols, in the order they were joined; fewer where no pair is as frequent.

    `words`: each with its frequency. `symbols`: all that they are made of.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    ordered = sorted(set(symbols))
    code = {symbol: chr(_FIRST + number) for number, symbol in enumerate(ordered)}
    trainer = trainers.BpeTrainer(
        vocab_size=len(code) + joins,
        min_frequency=min_frequency,
        initial_alphabet=list(code.values()),
        show_progress=False,
    )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    with one_thread():
        tokenizer.train_from_iterator(_repeated(words, code), trainer)
    ranked = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return [tuple(ordered[ord(c) - _FIRST] for c in token) for token, _ in ranked if len(token) > 1]


def _repeated(words: Iterable[tuple[Sequence[str], int]], code: dict[str, str]) -> Iterator[str]:
    for word, times in words:
        written = "".join(map(code.__getitem__, word)) + " "
        for start in range(0, times, _TIMES):
            yield written * min(_TIMES, times - start)
