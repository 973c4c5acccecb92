"""Joining pieces by frequency (byte-pair encoding, Sennrich et al. 2016, section 3.2) over any alphabet of strings.

Each symbol is given to the trainer of `tokenizers` as one character of the planes 2 to 16, so that a symbol may be a
character, `##x`, or a piece of another tokenizer's vocabulary. Symbols are numbered by their text and ties go to lower
numbers, so the answer depends on the words and nothing else; the trainer for WordPiece numbers them by a random hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pairmill.model.threads import one_thread

_FIRST = 0x20000


def join(
    words: Iterable[Sequence[str]], symbols: Sequence[str], joins: int, min_frequency: int
) -> list[tuple[str, ...]]:
    """The `joins` most useful sequences of symbols, in the order they were joined; fewer where no pair is as frequent.

    `symbols`: all that the words are made of. A frequent word must stand among `words` as often as it occurs.
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
        tokenizer.train_from_iterator(("".join(map(code.__getitem__, word)) for word in words), trainer)
    ranked = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return [tuple(ordered[ord(c) - _FIRST] for c in token) for token, _ in ranked if len(token) > 1]
