"""Which rows a cleaning step may change: vectorised checks on code points that never miss one.

- unicode: a row may change if it holds a code point that its normal form replaces or that may join the one before
  (Unicode's quick check NO or MAYBE), or combining marks out of canonical order.
- mojibake: UTF-8 read in a one-byte encoding shows as a lead byte's character with a continuation byte's behind it;
  a row is suspect if two neighbours can be that in one of ENCODINGS, or if it holds a C1 control (Windows-1252 read as
  Latin-1). Plain ASCII never is.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Literal

import numpy as np
import pyarrow as pa

from pairmill.curate import arrays, codepoints, invisible
from pairmill.spec.curate import Clean

ENCODINGS = ("latin-1", "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "mac-roman", "cp437")
ENTITY, MOJIBAKE, UNNORMALISED, INVISIBLE, SPACE = 1, 2, 4, 8, 16


def flags(texts: pa.LargeStringArray, options: Clean) -> np.ndarray:
    """The steps of `options` that may change a row, as bits: uint8 (n,)."""
    flat, offsets = codepoints.decode(texts)
    found = arrays.bits(_table(options.unicode)[flat], offsets) & _wanted(options)
    if options.unicode != "keep":
        rows = np.flatnonzero(found & UNNORMALISED)
        found[rows[~_unnormalised(texts.take(pa.array(rows)), options.unicode)]] &= ~np.uint8(UNNORMALISED)
    if options.whitespace == "collapse":
        found[_rows(_loose_spaces(flat, offsets), offsets)] |= SPACE
    if options.mojibake == "fix":
        found[_rows(_misread_text(flat, offsets), offsets)] |= MOJIBAKE
    return found


def _wanted(options: Clean) -> np.uint8:
    return np.uint8(
        ENTITY * (options.entities == "unescape") | UNNORMALISED * (options.unicode != "keep")
        | INVISIBLE * (options.control == "remove") | SPACE * (options.whitespace == "collapse")
    )  # fmt: skip


def _rows(at: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The rows of positions."""
    return np.searchsorted(offsets, at, "right") - 1


def _unnormalised(texts: pa.LargeStringArray, form: Literal["NFC", "NFKC"]) -> np.ndarray:
    """Rows that hold a doubtful code point, or a combining mark out of order: bool (n,)."""
    flat, offsets = codepoints.decode(texts)
    order = _combining()[flat]
    disorder = (order > 0) & (arrays.before(order, offsets) > order)
    return arrays.bits((_doubtful(form)[flat] | disorder).view(np.uint8), offsets) > 0


def _misread_text(flat: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Where a code point and the one before it may be UTF-8 read in a one-byte encoding, or a C1 control stands."""
    leads, continuations = _misread()
    suspect = (arrays.before(leads[flat], offsets) & continuations[flat]) > 0
    return np.flatnonzero(suspect | ((flat >= 0x80) & (flat <= 0x9F)))


def _loose_spaces(flat: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Where a space stands at an end of a row or behind another (if only that of the row before, at an end)."""
    space = flat == 0x20
    filled = np.diff(offsets) > 0
    ends = np.concatenate([offsets[:-1][filled], offsets[1:][filled] - 1])
    return np.concatenate([np.flatnonzero(space[1:] & space[:-1]) + 1, ends[space[ends]]])


@cache
def _table(form: str) -> np.ndarray:
    """The uint8 table (0x110000,) from code point to suspect bits; combining marks are suspects of UNNORMALISED."""
    table = np.zeros(codepoints.LIMIT, np.uint8)
    table[ord("&")] |= ENTITY
    table[invisible.actions() != invisible.KEEP] |= INVISIBLE
    table[codepoints.classes() == codepoints.SPACE] |= SPACE
    table[0x20] = 0
    if form != "keep":
        table[_doubtful(form) | (_combining() > 0)] |= UNNORMALISED
    return table


@cache
def _doubtful(form: Literal["NFC", "NFKC"]) -> np.ndarray:
    """Code points that are not their own normal form, or are the second half of a composition: bool (0x110000,)."""
    table = np.zeros(codepoints.LIMIT, bool)
    for point in np.flatnonzero(codepoints.classes() != codepoints.OTHER).tolist():
        character = chr(point)
        table[point] |= not unicodedata.is_normalized(form, character)
        parts = unicodedata.decomposition(character).split()
        if len(parts) > 1 and not parts[0].startswith("<"):
            table[int(parts[-1], 16)] = True
    table[0x1161:0x1176] = table[0x11A8:0x11C3] = True  # Hangul vowels and finals
    return table


@cache
def _combining() -> np.ndarray:
    """The uint8 table (0x110000,) from code point to canonical combining class."""
    table = np.zeros(codepoints.LIMIT, np.uint8)
    for point in np.flatnonzero(codepoints.classes() == codepoints.MARK).tolist():
        table[point] = unicodedata.combining(chr(point))
    return table


@cache
def _misread() -> tuple[np.ndarray, np.ndarray]:
    """uint16 tables from code point to the encodings (bits) in which it is a UTF-8 lead or continuation byte."""
    leads, continuations = (np.zeros(codepoints.LIMIT, np.uint16) for _ in range(2))
    for bit, encoding in enumerate(ENCODINGS):
        for table, values in ((leads, range(0xC2, 0xF5)), (continuations, range(0x80, 0xC0))):
            for value in values:
                character = bytes([value]).decode(encoding, "ignore") or chr(value)
                table[ord(character)] |= np.uint16(1 << bit)
    return leads, continuations
