"""Which texts of an index the sides of some rows hold: look up, extend, measure, compare letter by letter.

1. Keys of all sides (see `index`) are looked up at once; only sides with one go on.
2. From a seed the side and the text are compared token by token to both sides, which gives the longest run that they
   share. A run that reaches one end of the text is continued behind one changed word.
3. A text is found if a rule of the package's docstring holds. Of those of one set that a side holds, the largest share
   counts, then the first text.
4. What is found is compared once more by its letters, so that no hash decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from pairmill.curate.decontamination import kernels
from pairmill.curate.decontamination.index import Index, Limits
from pairmill.curate.decontamination.tokens import Tokens, bounds, tokens

VERSION = 1
EXACT, CHANGED, INSIDE, OVERLAP = "exact", "changed", "inside", "overlap"
#: Characters of a side shown before and behind what was found.
AROUND = 100
_LEAST_SAME = 3  # tokens, around a changed word
_BETWEEN_SENTENCES = re.compile(
    r"[.!?\n\u0589\u061f\u06d4\u0964\u1362\u17d4\u2026\u203c-\u2049\u3002\uff01\uff0e\uff1f\uff61]"
)


@dataclass
class Run:
    """Tokens first..last (exclusive) of the text, that stand in the side `shift` tokens further on."""

    first: int
    last: int
    shift: int
    entries: list[int] = field(default_factory=list)  # of the index, that led here


@dataclass
class Found:
    """A text in a side. `spans` are (first, last) tokens of the side that are the text's."""

    row: int
    text: int
    kind: str
    share: float
    spans: list[tuple[int, int]]
    runs: list[Run] = field(default_factory=list)  # of an overlap, or the one of a text inside


@dataclass
class Weak:
    """An entry of the index that a row has without the rest of the text."""

    row: int
    entry: int


def search(texts: pa.Array, index: Index, limits: Limits, min_share: float) -> tuple[list[Found], list[Weak]]:
    """The texts of the index in the sides `texts` (large_string), by row; and what may be common phrases."""
    cut = tokens(texts)
    found: list[Found] = []
    weak: list[Weak] = []
    for row, hits in _candidates(cut, index, limits):
        side = _Side(cut, row, index, limits)
        for result in side.judge(hits, min_share):
            if isinstance(result, Weak):
                weak.append(result)
            elif side.same_letters(result) and side.stands_alone(result, texts):
                found.append(result)
    return found, weak


def _candidates(cut: Tokens, index: Index, limits: Limits) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Rows with keys of the index: the row, and the token (-1: all) and first entry of each key."""
    seeds = kernels.run_keys(cut, kernels.ends(cut, limits.seed, limits.words), kernels.SEED)
    gaps, gap_rows = kernels.gap_keys(cut, limits)
    entries = [kernels.look_up(keys, index) for keys in (seeds, kernels.whole_keys(cut), gaps)]
    at = [np.flatnonzero(found >= 0) for found in entries]
    rows = np.concatenate([np.searchsorted(cut.offsets, at[0], "right") - 1, at[1], gap_rows[at[2]]])
    places = np.concatenate([at[0] - cut.offsets[rows[: len(at[0])]], np.full(len(at[1]) + len(at[2]), -1)])
    first = np.concatenate([found[where] for found, where in zip(entries, at, strict=True)])
    order = np.argsort(rows, kind="stable")
    bounds = np.flatnonzero(np.diff(rows[order], prepend=-1))
    for part in np.split(order, bounds[1:]) if len(order) else ():
        yield int(rows[part[0]]), list(zip(places[part].tolist(), first[part].tolist(), strict=True))


class _Side:
    """One side of a row against the texts that it shares keys with."""

    def __init__(self, cut: Tokens, row: int, index: Index, limits: Limits):
        self.cut, self.row, self.index, self.limits = cut, row, index, limits
        self.start, self.stop = int(cut.offsets[row]), int(cut.offsets[row + 1])
        self.hashes = cut.hashes[self.start : self.stop]

    def judge(self, hits: list[tuple[int, int]], min_share: float) -> Iterator[Found | Weak]:
        """What the side holds, of all texts that share a key with it."""
        runs: dict[int, list[Run]] = {}
        whole: set[int] = set()
        keys = self.index.keys
        for place, first in hits:
            entry = first
            while entry < len(keys) and keys[entry] == keys[first]:
                text, at = int(self.index.text[entry]), int(self.index.place[entry])
                if (place < 0) != (at < 0):
                    pass  # keys of different kinds that are the same by chance
                elif place < 0:
                    whole.add(text)
                else:
                    self._extend(runs.setdefault(text, []), text, at, place, entry)
                entry += 1
        for text in sorted({*whole, *runs}):
            found = self._whole(text) or self._inside(text, runs.get(text, []))
            found = found or self._overlap(text, runs.get(text, []), min_share)
            if found:
                yield found
            if found is None or (found.kind == INSIDE and not self._is_gram(text, 0, self._length(text))):
                for run in runs.get(text, []):
                    if found or self._is_gram(text, run.first, run.last):
                        yield from (Weak(self.row, entry) for entry in run.entries)

    def _length(self, text: int) -> int:
        return int(self.index.offsets[text + 1] - self.index.offsets[text])

    def _text(self, text: int, column: np.ndarray) -> np.ndarray:
        return column[self.index.offsets[text] : self.index.offsets[text + 1]]

    def _is_gram(self, text: int, first: int, last: int) -> bool:
        """Whether tokens of a text are an n-gram or more."""
        return is_gram(self.index, text, self.limits, first, last)

    def _extend(self, runs: list[Run], text: int, at: int, place: int, entry: int) -> None:
        """Add the run through token `at` of the text and token `place` of the side, or the entry to its run."""
        shift = place - at
        for run in runs:
            if run.shift == shift and run.first <= at < run.last:
                run.entries.append(entry)
                return
        hashes = self._text(text, self.index.hashes)
        before = _same(hashes[:at][::-1], self.hashes[:place][::-1])
        behind = _same(hashes[at:], self.hashes[place:])
        if behind:
            runs.append(Run(at - before, at + behind, shift, [entry]))

    def _whole(self, text: int) -> Found | None:
        """The side is the text, but for one word."""
        hashes, length = self._text(text, self.index.hashes), self._length(text)
        before = _same(hashes, self.hashes)
        if before == length == len(self.hashes):
            return Found(self.row, text, EXACT, 1.0, [(0, length)], [Run(0, length, 0)])
        behind = _same(hashes[before:][::-1], self.hashes[before:][::-1])
        return self._but_a_word(text, before, behind, 0, len(self.hashes))

    def _but_a_word(self, text: int, before: int, behind: int, start: int, stop: int) -> Found | None:
        """Side tokens start..stop are the text but for a word between its first `before` and last `behind`."""
        length, sizes = self._length(text), self._text(text, self.index.sizes)
        gap = slice(before, length - behind)
        other = slice(self.start + start + before, self.start + stop - behind)
        same = int(sizes.sum() - sizes[gap].sum())
        if same < self.limits.changed or before + behind < _LEAST_SAME:
            return None
        words, much = self._text(text, self.index.words), same >= self.limits.gram
        for run_sizes, run_words in ((sizes[gap], words[gap]), (self.cut.sizes[other], self.cut.words[other])):
            if not kernels.is_word(run_sizes, run_words, much):
                return None
        share = same / int(sizes.sum())
        shift = (stop - start) - length
        runs = [Run(0, before, start), Run(length - behind, length, start + shift)]
        return Found(self.row, text, CHANGED, share, [(start, stop)], runs)

    def _inside(self, text: int, runs: list[Run]) -> Found | None:
        """The side holds the whole text, but for one word if it is an n-gram or more."""
        length = self._length(text)
        for run in runs:
            if run.first == 0 and run.last == length:
                return Found(self.row, text, INSIDE, 1.0, [(run.shift, run.shift + length)], [run])
        if self._is_gram(text, 0, length):
            for run in runs:
                if (run.first == 0 or run.last == length) and (found := self._behind_a_word(text, run)):
                    return found
        return None

    def _behind_a_word(self, text: int, run: Run) -> Found | None:
        """Continue a run that reaches an end of the text behind a word that is changed, added or left out."""
        hashes, length = self._text(text, self.index.hashes), self._length(text)
        forward = run.first == 0
        mine = hashes[run.last :] if forward else hashes[: run.first][::-1]
        theirs = self.hashes[run.shift + run.last :] if forward else self.hashes[: run.shift + run.first][::-1]
        for left_out in range(min(len(mine), 10) + 1):
            for added in range(min(len(theirs), 10) + 1):
                rest = len(mine) - left_out
                if _same(mine[left_out:], theirs[added : added + rest]) == rest:
                    before, behind = (run.last, rest) if forward else (rest, length - run.first)
                    start = run.shift if forward else run.shift + run.first - rest - added
                    stop = start + length - left_out + added
                    if found := self._but_a_word(text, before, behind, start, stop):
                        return found
        return None

    def _overlap(self, text: int, runs: list[Run], min_share: float) -> Found | None:
        """The side holds enough of the text in n-grams."""
        grams = [run for run in runs if self._is_gram(text, run.first, run.last)]
        share = overlap(self.index, text, [(run.first, run.last) for run in grams], self.limits)
        if share < min_share:
            return None
        spans = sorted((run.first + run.shift, run.last + run.shift) for run in grams)
        return Found(self.row, text, OVERLAP, share, spans, grams)

    def same_letters(self, found: Found) -> bool:
        """Whether what was found by hashes is the same letter by letter."""
        index_tokens, base = self.index.tokens, int(self.index.offsets[found.text])
        return all(
            index_tokens.spell(base + token) == self.cut.spell(self.start + token + run.shift)
            for run in found.runs
            for token in range(run.first, run.last)
        )

    def stands_alone(self, found: Found, texts: pa.Array) -> bool:
        """Whether a text shorter than an n-gram inside a side begins or ends a sentence (or line) there."""
        if found.kind != INSIDE or self._is_gram(found.text, 0, self._length(found.text)):
            return True
        text = texts[self.row].as_py()
        places, (first, last) = bounds(text), found.spans[0]
        if len(places) != self.stop - self.start:
            return True
        before = text[places[first - 1][1] : places[first][0]] if first else "\n"
        behind = text[places[last - 1][1] : places[last][0]] if last < len(places) else "\n"
        return bool(_BETWEEN_SENTENCES.search(before) or _BETWEEN_SENTENCES.search(behind))


def is_gram(index: Index, text: int, limits: Limits, first: int = 0, last: int | None = None) -> bool:
    """Whether tokens first..last of a text, or all of it, are an n-gram or more."""
    here = slice(index.offsets[text], index.offsets[text + 1])
    sizes, words = index.sizes[here][first:last], index.words[here][first:last]
    return int(sizes.sum()) >= limits.gram or int(words.sum()) >= limits.words


def overlap(index: Index, text: int, runs: list[tuple[int, int]], limits: Limits) -> float:
    """The share of a text's letters that runs of its tokens hold; 0 where that is less than two n-grams.

    Tokens of common phrases count for nothing.
    """
    here = slice(int(index.offsets[text]), int(index.offsets[text + 1]))
    held = np.zeros(here.stop - here.start, bool)
    for first, last in runs:
        held[first:last] = True
    plain, sizes, words = index.plain[here], index.sizes[here], index.words[here]
    size, count = int(sizes[held & plain].sum()), int(words[held & plain].sum())
    if not size or (size < 2 * limits.gram and count < 2 * limits.words):
        return 0.0
    return size / int(sizes[plain].sum())


def matched(text: str, spans: list[tuple[int, int]]) -> tuple[str, str]:
    """The parts of a side that were found, as they are written, with ` … ` between; and the same with what is around.

    Folded, and without what is around, where the side folds to another number of tokens as a whole than by character.
    """
    cut, places = tokens(pa.array([text], pa.large_string())), bounds(text)
    if len(places) == len(cut.hashes):
        parts = [text[places[first][0] : places[last - 1][1]] for first, last in spans]
        start, stop = places[spans[0][0]][0], places[spans[-1][1] - 1][1]
        return " … ".join(parts), text[max(start - AROUND, 0) : stop + AROUND]
    parts = [" ".join(map(cut.spell, range(first, last))) for first, last in spans]
    return " … ".join(parts), " … ".join(parts)


def _same(one: np.ndarray, other: np.ndarray) -> int:
    """How many values from the start on are the same."""
    count = min(len(one), len(other))
    different = one[:count] != other[:count]
    return int(different.argmax()) if different.any() else count
