"""Texts as sequences of hashed tokens: what two texts must share to be the same.

1. Fold as near deduplication does (NFKC, lower case), and then as `str.casefold` does, so that STRASSE is straße; a
   dotless i is an i, and joiners, soft hyphens and variation selectors vanish.
2. White space, punctuation and symbols part tokens, but for apostrophes, which vanish: don't is one word. A token is a
   word; in scripts that put no space between words it is one character, so that n-grams of tokens are character n-grams
   there.
3. A token's size is in letters, for how many English letters it stands (`heuristics.scripts`): 1 for most scripts, 3
   for a Chinese character, 1.5 for kana, 1.2 for a Thai one, nothing for marks and digits. It is what makes lengths
   comparable: 8 words of English, 5 of Finnish and 13 characters of Chinese are 40 letters each.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.compiled import Kernel, compile_kernel
from pairmill.curate import codepoints
from pairmill.curate.dedup import shingles
from pairmill.curate.dedup.folding import fold_text
from pairmill.curate.heuristics import scripts

VERSION = 1
#: Sizes are whole numbers of this part of a letter.
LETTER = 20
GAP, IN_WORD, ALONE, NOTHING = range(4)
APOSTROPHES = "'’‘"
_DOTLESS_I, _VANISH = 0x131, (0x2BB, 0x2BC, 0x307, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
_MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xFF51AFD7ED558CCD], np.uint64)


class Tokens(NamedTuple):
    """The tokens of n texts, and the folded text that they are cut from."""

    hashes: np.ndarray  # uint64
    sizes: np.ndarray  # int32: LETTER-ths of a letter
    words: np.ndarray  # uint8: 1 for a word that has a letter; 0 for characters and numbers
    starts: np.ndarray  # int64: where they start in `flat`,
    ends: np.ndarray  # int64: and end
    offsets: np.ndarray  # int64 (n + 1,): where texts start and end in the arrays above
    flat: np.ndarray  # uint32: folded code points

    def spell(self, token: int) -> str:
        """A token in letters."""
        return "".join(map(_spelling, self.flat[self.starts[token] : self.ends[token]].tolist()))


class _Tables(NamedTuple):
    kinds: np.ndarray  # uint8 (0x110000,)
    sizes: np.ndarray  # uint8: LETTER-ths of a letter
    folded: np.ndarray  # uint32
    second: np.ndarray  # uint32: of what folds to two code points; 0: one only


@cache
def tables() -> _Tables:
    """What each folded code point is, by code point."""
    classes, script = codepoints.classes(), scripts.script_of()
    kinds = np.full(codepoints.LIMIT, GAP, np.uint8)
    kinds[np.isin(classes, (codepoints.LETTER, codepoints.DIGIT, codepoints.OTHER_NUMBER, codepoints.MARK))] = IN_WORD
    unspaced = np.isin(script, [scripts.NUMBER[name] for name in scripts.UNSPACED])
    kinds[unspaced & (kinds == IN_WORD)] = ALONE
    kinds[(classes == codepoints.CONTROL) | (classes == codepoints.OTHER)] = NOTHING
    kinds[list(_VANISH)] = NOTHING
    sizes = np.where(classes == codepoints.LETTER, np.round(scripts.weights() * LETTER)[script], 0).astype(np.uint8)
    folded, second = np.arange(codepoints.LIMIT, dtype=np.uint32), np.zeros(codepoints.LIMIT, np.uint32)
    for code in np.flatnonzero(classes == codepoints.LETTER).tolist():
        new = chr(code).casefold()
        if new != chr(code) and len(new) <= 2 and unicodedata.is_normalized("NFKC", new):
            folded[code], second[code] = ord(new[0]), ord(new[1]) if len(new) == 2 else 0
    folded[_DOTLESS_I] = ord("i")
    return _Tables(kinds, sizes, folded, second)


def _spelling(code: int) -> str:
    table = tables()
    if table.kinds[code] == NOTHING:
        return ""
    return chr(table.folded[code]) + (chr(table.second[code]) if table.second[code] else "")


def tokens(texts: pa.Array) -> Tokens:
    """The tokens of a large_string array without nulls."""
    for apostrophe in APOSTROPHES:
        texts = pc.replace_substring(texts, apostrophe, "")
    return _cut(*shingles.fold(texts))


def _cut(flat: np.ndarray, offsets: np.ndarray) -> Tokens:
    table, size = tables(), len(flat)
    hashes, sizes, words = np.empty(size, np.uint64), np.empty(size, np.int32), np.empty(size, np.uint8)
    starts, ends, rows = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(len(offsets), np.int64)
    flat = np.ascontiguousarray(flat)
    found = _kernel()(flat, offsets, *table, _MULTIPLIERS, hashes, sizes, words, starts, ends, rows)
    cut = slice(0, found)
    return Tokens(
        hashes[cut].copy(), sizes[cut].copy(), words[cut].copy(), starts[cut].copy(), ends[cut].copy(), rows, flat
    )


def bounds(text: str) -> list[tuple[int, int]]:
    """Where the tokens of one text stand in it as it is written: first and last (exclusive) character.

    It is folded by the character, which in rare cases gives another number of tokens than folding it as a whole.
    """
    kinds = tables().kinds
    found: list[tuple[int, int]] = []
    inside = False
    for at, char in enumerate(text):
        for code in map(ord, fold_text(char) if char not in APOSTROPHES else ""):
            kind = kinds[code]
            if kind == ALONE or (kind == IN_WORD and not inside):
                found.append((at, at + 1))
            elif kind == IN_WORD:
                found[-1] = (found[-1][0], at + 1)
            inside = kind == IN_WORD or (inside and kind == NOTHING)
    return found


@cache
def _kernel() -> Kernel:
    """Return cut(flat, offsets, kinds, sizes, folded, second, multipliers, ...columns of Tokens), the tokens found."""
    inputs = "uint32[] int64[] uint8[] uint8[] uint32[] uint32[] uint64[]"
    outputs = "uint64[::1] int32[::1] uint8[::1] int64[::1] int64[::1] int64[::1]"
    return compile_kernel(_tokens, inputs, outputs, "int64")


def _tokens(  # type: ignore[no-untyped-def]
    flat, offsets, kinds, sizes, folded, second, multipliers, hashes, out_sizes, words, starts, ends, rows
):
    base, mix, end = multipliers[0], multipliers[1], multipliers[2]
    count = 0
    rows[0] = 0
    for row in range(offsets.size - 1):
        inside = False
        for i in range(offsets[row], offsets[row + 1]):
            code = flat[i]
            kind = kinds[code]
            if kind == NOTHING:
                continue
            if kind == GAP:
                inside = False
                continue
            if kind == ALONE or not inside:
                hashes[count], out_sizes[count], words[count], starts[count] = 0, 0, 0, i
                count += 1
            at = count - 1
            h = (hashes[at] + np.uint64(folded[code])) * base
            if second[code]:
                h = (h + np.uint64(second[code])) * base
            hashes[at] = h
            out_sizes[at] += sizes[code]
            words[at] = kind == IN_WORD and out_sizes[at] > 0
            ends[at] = i + 1
            inside = kind == IN_WORD
        rows[row + 1] = count
    for at in range(count):
        g = (hashes[at] ^ (hashes[at] >> np.uint64(32))) * mix
        g = (g ^ (g >> np.uint64(29))) * end
        hashes[at] = g ^ (g >> np.uint64(32))
    return count
