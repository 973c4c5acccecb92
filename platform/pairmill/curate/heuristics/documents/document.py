"""What the document rules count in the texts of a side, each counted once, when first asked for.

*Words.* A token is a stretch without white space; in scripts that put no space between words (`characters.UNSPACED`)
it is one character with its marks, and so many of these are taken for a word as stand for an English word's
characters, by the weights of `scripts.py` measured on parallel text (Chinese 1.6, Japanese kana 3, Thai 4). So an
n-gram of words is a window of round(n x tokens per word) tokens, a Latin name in Chinese text is one word, and no
segmenter is needed. `words` is further multiplied by how many English words stand for one of the language's
(`languages.py`: Finnish 1.4, Vietnamese 0.7), so that papers' limits for English hold for all.

*Lines* are those that are not blank, without the white space around them; lengths are in English characters.

Tokens and lines behind the first `LIMIT` of a text are counted but not compared with others, which bounds memory.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pairmill.curate import arrays
from pairmill.curate.heuristics.documents import kernels, languages, matching, stopwords
from pairmill.curate.heuristics.documents.characters import TWENTIETHS, properties
from pairmill.curate.language.codes import base, scripts

if TYPE_CHECKING:
    from pairmill.curate.heuristics.side import Side

LIMIT = 1 << 18
_NO_STOPS = {"Thai", "Laoo"}
PHRASES = (
    "lorem ipsum",
    "javascript",
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use cookies",
    "use of cookies",
)


class Document:
    """Counts per text (n,) and per line of one side."""

    def __init__(self, side: Side) -> None:
        self._flat, self._offsets, self._stretches = side.flat, side.offsets, side.tokens
        encoded = side.langs.dictionary_encode()
        self.codes: list[str | None] = [*encoded.dictionary.to_pylist(), None]
        #: which of `codes` each text is in
        self.which = encoded.indices.fill_null(len(self.codes) - 1).to_numpy(zero_copy_only=False)

    def by_language(self, column: int) -> np.ndarray:
        """A parameter of each text's language (`languages.WORDS`), English's where it is not known: float64 (n,)."""
        known = [languages.WORDS.get(base(code)) if code else None for code in self.codes]
        return np.array([(found or languages.ENGLISH)[column] for found in known])[self.which]

    @cached_property
    def _tokens(self) -> _Tokens:
        size, n = len(self._flat), len(self._offsets) - 1
        made = _Tokens(
            hashes=np.empty(size, np.uint64),
            sizes=np.empty(size, np.int32),
            lengths=np.empty(size, np.int32),
            facts=np.empty(size, np.uint8),
            offsets=np.empty(n + 1, np.int64),
            words=np.empty(size, np.uint64),
            word_tokens=np.empty(size, np.int32),
            word_offsets=np.empty(n + 1, np.int64),
            counts=np.empty((n, kernels.COUNTS), np.int64),
        )
        kernels.tokens()(self._flat, *self._stretches, properties(), self._offsets, *made)
        return made

    @cached_property
    def punctuates(self) -> np.ndarray:
        """Whether the text's language ends sentences with punctuation; so it is taken where not known: bool (n,)."""
        plain = [not (code and scripts(code) and scripts(code) <= _NO_STOPS) for code in self.codes]
        return np.array(plain)[self.which]

    def count(self, what: int) -> np.ndarray:
        """One of the counts of `kernels.tokens`: int64 (n,)."""
        return self._tokens.counts[:, what]

    @cached_property
    def spaced_words(self) -> np.ndarray:
        """Words, numbers among them, in scripts with spaces: int64 (n,)."""
        return self.count(kernels.WORDS) + self.count(kernels.NUMBERS)

    @cached_property
    def unspaced_words(self) -> np.ndarray:
        """What the characters of unspaced scripts make in English words: float64 (n,)."""
        return self.count(kernels.WEIGHT) / (TWENTIETHS * languages.ENGLISH_CHARACTERS)

    @cached_property
    def words(self) -> np.ndarray:
        """The English words that the text stands for: float64 (n,)."""
        return self.spaced_words * self.by_language(1) + self.unspaced_words

    @cached_property
    def grams(self) -> np.ndarray:
        """Characters of repeated n-grams, n = 2 to 10, as `matching.grams` says: int64 (n, 9)."""
        tokens = self._tokens
        plain = self.spaced_words + self.unspaced_words
        ideographs = np.diff(tokens.offsets) - self.spaced_words - self.count(kernels.MARKERS)
        per_word = np.where(plain > 0, (self.spaced_words + ideographs) / np.maximum(plain, 1e-9), 1)
        windows = np.clip(np.rint(np.arange(2, 11) * per_word[:, None]), 2, 63).astype(np.int64)
        found = np.empty((len(per_word), matching.GRAMS), np.int64)
        matching.grams()(tokens.hashes, tokens.sizes, tokens.offsets, windows, LIMIT, found)
        return found

    @cached_property
    def _lines(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        tokens, n = self._tokens, len(self._offsets) - 1
        most = n + int(self.count(kernels.NEWLINES).sum())
        hashes, facts = np.empty(most, np.uint64), np.empty((most, kernels.LINE_FACTS), np.int64)
        offsets, sentences = np.empty(n + 1, np.int64), np.empty(n, np.int64)
        read = (tokens.hashes, tokens.sizes, tokens.lengths, tokens.facts, tokens.offsets)
        kernels.lines()(*read, hashes, facts, offsets, sentences)
        return hashes[: offsets[-1]], facts[: offsets[-1]], offsets, sentences

    @property
    def sentences(self) -> np.ndarray:
        """Ends of sentences in each text: int64 (n,)."""
        return self._lines[3]

    @property
    def line_offsets(self) -> np.ndarray:
        """The texts' offsets in the lines: int64 (n + 1,)."""
        return self._lines[2]

    @cached_property
    def lines(self) -> np.ndarray:
        """Lines of each text: int64 (n,)."""
        return np.diff(self.line_offsets)

    def line(self, what: int) -> np.ndarray:
        """A fact of `kernels.lines` about each line: int64 (lines,)."""
        return self._lines[1][:, what]

    def flagged(self, flag: int) -> np.ndarray:
        """Which lines have a flag of `kernels.lines`: bool (lines,)."""
        return (self.line(kernels.FLAGS) & flag) > 0

    def line_words(self) -> np.ndarray:
        """Words of each line, those of unspaced scripts included: float64 (lines,)."""
        weight = self.line(kernels.LINE_WEIGHT) / (TWENTIETHS * languages.ENGLISH_CHARACTERS)
        return self.line(kernels.LINE_WORDS) + weight

    @cached_property
    def duplicate_lines(self) -> np.ndarray:
        """Lines that equal an earlier one, and their solid characters: int64 (n, 2)."""
        hashes, _, offsets, _ = self._lines
        return _duplicates(hashes, self.line(kernels.SIZE), offsets)

    @cached_property
    def paragraphs(self) -> np.ndarray:
        """Paragraphs (parted by blank lines) of each text: int64 (n,)."""
        return arrays.sums(self.flagged(kernels.PARAGRAPH), self.line_offsets)

    @cached_property
    def duplicate_paragraphs(self) -> np.ndarray:
        """Paragraphs that equal an earlier one, and their solid characters: int64 (n, 2)."""
        hashes = self._lines[0]
        starts = np.flatnonzero(self.flagged(kernels.PARAGRAPH))
        if not len(starts):
            return np.zeros((len(self.lines), 2), np.int64)
        place = np.arange(len(hashes)) - np.repeat(starts, np.diff(np.append(starts, len(hashes))))
        mixed = hashes * (2 * place.astype(np.uint64) + np.uint64(1))
        joined, sizes = np.add.reduceat(mixed, starts), np.add.reduceat(self.line(kernels.SIZE), starts)
        return _duplicates(joined, sizes, np.searchsorted(starts, self.line_offsets))

    @cached_property
    def _words(self) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        lists, tokens = stopwords.lists(), self._tokens
        number = np.array([lists.number(code) for code in self.codes])[self.which]
        starts, masks, longest = lists.starts[number], lists.masks[number], lists.longest[number]
        last = np.array(sorted({matching.word_hash(phrase.split()[-1]) for phrase in PHRASES}), np.uint64)
        most = int(tokens.word_offsets[-1])
        found, at = np.empty((most, 3), np.uint64), np.empty(most, np.int64)
        distinct = np.empty(len(starts), np.int64)
        n = matching.listed()(tokens.words, tokens.word_offsets, starts, masks, lists.table, last, found, at, distinct)
        if longest.any():
            matching.runs()(self._flat, properties(), self._offsets, starts, masks, lists.table, longest, distinct)
        return distinct, masks >= 0, {phrase: at[:n][_said(phrase, found[:n])] for phrase in PHRASES}

    @property
    def stop_words(self) -> tuple[np.ndarray, np.ndarray]:
        """Different stop words of the text's language, and whether it has a list: int64 (n,), bool (n,)."""
        return self._words[0], self._words[1]

    def said(self, phrase: str) -> np.ndarray:
        """In which lines one of `PHRASES` ends: int64, ascending."""
        at = self._tokens.word_tokens[self._words[2][phrase]]
        return np.searchsorted(self.line(kernels.FIRST), at, "right") - 1


class _Tokens(NamedTuple):
    """What `kernels.tokens` writes, in its order."""

    hashes: np.ndarray
    sizes: np.ndarray
    lengths: np.ndarray
    facts: np.ndarray
    offsets: np.ndarray
    words: np.ndarray
    word_tokens: np.ndarray
    word_offsets: np.ndarray
    counts: np.ndarray


def _duplicates(hashes: np.ndarray, sizes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    found = np.empty((len(offsets) - 1, 2), np.int64)
    matching.duplicates()(hashes, np.ascontiguousarray(sizes), offsets, LIMIT, found)
    return found


def _said(phrase: str, found: np.ndarray) -> np.ndarray:
    """Which of the rows of `found` (hash of a word and of the two before) are the phrase's end: bool."""
    hashes = [np.uint64(matching.word_hash(word)) for word in reversed(phrase.split())]
    return np.logical_and.reduce([found[:, place] == h for place, h in enumerate(hashes)])
