"""The characters that get a token: the most frequent ones; the others are taken out of the texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np


def most_frequent(texts: Iterable[str], normalizer: Any, coverage: float) -> list[str]:
    """The most frequent characters that make up `coverage` of the normalised texts, in order of code points."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(normalizer.normalize_str(text))
    for character in [c for c in counts if c.isspace()]:
        del counts[character]
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    reached = np.cumsum([count for _, count in ranked])
    enough = int(np.searchsorted(reached, coverage * reached[-1])) + 1 if ranked else 0
    return sorted(character for character, _ in ranked[:enough])


def covered(texts: Iterable[str], normalizer: Any, alphabet: list[str]) -> Iterator[str]:
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
