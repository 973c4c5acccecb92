"""The look-up tables of `shingles`: what every code point folds to, and which ones depend on their neighbours.

A code point folds to lower(NFKC(c)) with white space and punctuation as one space. Text folds code point by code point
except where neighbours interact. NFKC leaves the join of two normalised pieces alone unless the right one starts with
  1. a mark whose combining class is lower than that of the mark before it (they change places),
  2. a code point that composes with the last starter before it, or
  3. a vowel or trailing jamo,
and str.lower() looks at neighbours only for
  4. capital sigma, which at the end of a word becomes the final sigma.
`Tables.fold` flags the code points that can start such an interaction (ORDERED, COMPOSES, MAY_BE_FINAL); only these are
looked at further.
"""

import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from pairmill.curate.codepoints import LIMIT, PUNCTUATION, WHITE_SPACE_CONTROLS, classes
from pairmill.curate.codepoints import SPACE as SPACE_CLASS

CODE = (1 << 21) - 1
EXPANDS = 1 << 21
ORDERED = 1 << 22
COMPOSES = 1 << 23
MAY_BE_FINAL = 1 << 24

SPACE = 0x20

# What NFKC or lower() can change. The rest are ideographs, Hangul syllables, private use and unassigned planes.
_CHANGING = ((0x0, 0x3400), (0xA000, 0xAC00), (0xF900, 0x20000), (0x2F800, 0x2FA20))
_VOWEL_JAMO = range(0x1161, 0x1176)
_TRAILING_JAMO = range(0x11A8, 0x11C3)


class Tables(NamedTuple):
    """Tables by code point, `LIMIT` long, and the two lists they refer to."""

    fold: np.ndarray  # uint32: a code point, or EXPANDS | index of an expansion; and the flags
    head: np.ndarray  # uint8: canonical combining class of the first code point of NFKD(c)
    tail: np.ndarray  # uint8: the same of the last one
    first: np.ndarray  # uint32: first code point of NFKD(c)
    starter: np.ndarray  # uint32: the last starter of NFKC(c), 0 if it has none
    pairs: np.ndarray  # uint64, sorted: first << 21 | second of all pairs that compose
    expansions: np.ndarray  # uint32: the expansions, joined
    expansion_offsets: np.ndarray  # int64: where each of them starts (and the end)
    longest: int  # length of the longest expansion


def is_gap(char: str) -> bool:
    """Tell whether a character is white space or punctuation, which fold to one space."""
    return unicodedata.category(char)[0] in "ZP" or char in WHITE_SPACE_CONTROLS


def fold_text(text: str) -> str:
    """Fold one text in plain Python: the definition, and the path of the rows whose code points interact."""
    out: list[str] = []
    for char in unicodedata.normalize("NFKC", text).lower():
        if not is_gap(char):
            out.append(char)
        elif not out or out[-1] != " ":
            out.append(" ")
    return "".join(out)


@cache
def tables() -> Tables:
    """Build the tables, once per process (about 0.2 s)."""
    fold = np.arange(LIMIT, dtype=np.uint32)
    first, starter = fold.copy(), fold.copy()
    head, tail = np.zeros(LIMIT, np.uint8), np.zeros(LIMIT, np.uint8)
    expansions: list[str] = []
    pairs = _composing_pairs()
    seconds = {second for _, second in pairs} | {*_VOWEL_JAMO, *_TRAILING_JAMO}
    fold[np.isin(classes(), (SPACE_CLASS, PUNCTUATION))] = SPACE
    for char in _changing(seconds):
        code, composed, decomposed = ord(char), unicodedata.normalize("NFKC", char), unicodedata.normalize("NFKD", char)
        folded = fold_text(char)
        value = ord(folded) if len(folded) == 1 else EXPANDS | len(expansions)
        if len(folded) > 1:
            expansions.append(folded)
        first[code] = ord(decomposed[0])
        head[code], tail[code] = unicodedata.combining(decomposed[0]), unicodedata.combining(decomposed[-1])
        starter[code] = next((ord(c) for c in reversed(composed) if not unicodedata.combining(c)), 0)
        value |= ORDERED * (head[code] > 0) | COMPOSES * (first[code] in seconds) | MAY_BE_FINAL * ("Σ" in composed)
        fold[code] = value
    keys = sorted(left << 21 | right for left, right in pairs)
    offsets = np.cumsum([0, *map(len, expansions)], dtype=np.int64)
    joined = np.frombuffer("".join(expansions).encode("utf-32-le"), np.uint32)
    longest = max(map(len, expansions))
    return Tables(fold, head, tail, first, starter, np.array(keys, np.uint64), joined, offsets, longest)


def _changing(seconds: set[int]) -> Iterator[str]:
    """Yield the characters that have a decomposition, a combining class or a lower case, or that may compose."""
    for start, stop in _CHANGING:
        for char in map(chr, range(start, stop)):
            if unicodedata.decomposition(char) or unicodedata.combining(char) or char.lower() != char:
                yield char
    yield from map(chr, sorted(seconds))


def _composing_pairs() -> set[tuple[int, int]]:
    """Collect the pairs that NFC composes, but for Hangul, which rule 3 covers."""
    pairs = set()
    for char in map(chr, (code for start, stop in _CHANGING for code in range(start, stop))):
        parts = unicodedata.decomposition(char).split()
        if len(parts) == 2 and parts[0][0] != "<":
            left, right = (int(part, 16) for part in parts)
            if unicodedata.normalize("NFC", chr(left) + chr(right)) == char:
                pairs.add((left, right))
    return pairs
