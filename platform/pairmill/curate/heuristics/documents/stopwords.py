"""Stop-word lists (package stopwordsiso), as hash tables for the loop `matching.listed`.

stopwordsiso has lists for 58 languages (stop-words for 33). They are long (English: 1,298 words) and hold some content
words, which matters little to a rule that asks for two different ones in 50 words: what fails it are lists of names and
pages in another language. Only entries of one word are used. In scripts without spaces a stop word counts wherever its
characters stand. A language without a list has none of its own: the rule does not apply.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np

from pairmill.curate.heuristics.documents.characters import IDEOGRAPH, KINDS, properties
from pairmill.curate.heuristics.documents.matching import word_hash
from pairmill.curate.language.codes import base

_SAME_LIST = {"nb": "no", "nn": "no", "fil": "tl"}


@dataclass(frozen=True)
class Lists:
    """All lists in one array of open-addressing tables (0: free). The last entry of the others stands for no list."""

    numbers: dict[str, int]  # language -> place in the others
    table: np.ndarray  # uint64
    starts: np.ndarray  # int64: where each list's table starts
    masks: np.ndarray  # int64: its slots - 1; -1: no list
    longest: np.ndarray  # int64: characters of its longest word in an unspaced script, 0: none

    def number(self, code: str | None) -> int:
        """The place of a language's list (BCP-47; null: no language)."""
        return -1 if code is None else self.numbers.get(_SAME_LIST.get(base(code), base(code)), -1)


@cache
def lists() -> Lists:
    """Read the package's lists: 58 languages, 0.1 s."""
    import stopwordsiso

    languages = sorted(stopwordsiso.langs())
    tables = [_table(words(language)) for language in languages]
    sizes = np.array([len(table) for table, _ in tables] + [0], np.int64)
    return Lists(
        {language: number for number, language in enumerate(languages)},
        np.concatenate([table for table, _ in tables]),
        np.cumsum(sizes) - sizes,
        sizes - 1,
        np.array([longest for _, longest in tables] + [0], np.int64),
    )


def words(language: str) -> frozenset[str]:
    """The stop words of one of the package's languages, in lower case."""
    import stopwordsiso

    found = (unicodedata.normalize("NFC", word).lower() for word in stopwordsiso.stopwords(language))
    return frozenset(word for word in found if _one_word(word))


def _one_word(word: str) -> bool:
    return all(unicodedata.category(character)[0] in "LM" for character in word)


def _table(found: frozenset[str]) -> tuple[np.ndarray, int]:
    """An open-addressing table of the words' hashes, and the length of the longest word of an unspaced script."""
    table = np.zeros(1 << (2 * len(found) - 1).bit_length(), np.uint64)
    for h in sorted(word_hash(word) for word in found):
        slot = h & (len(table) - 1)
        while table[slot]:
            slot = (slot + 1) & (len(table) - 1)
        table[slot] = h
    return table, max((len(word) for word in found if _unspaced(word)), default=0)


def _unspaced(word: str) -> bool:
    return int(properties()[ord(word[0])]) & KINDS == IDEOGRAPH
