"""Which rows a cleaning step may change: vectorised checks on code points that never miss one.

- unicode: a row may change if it holds a code point that its normal form replaces or that may join the one before
  (Unicode's quick check NO or MAYBE), or combining marks out of canonical order.
- mojibake: UTF-8 read in a one-byte encoding shows as a lead byte's character with a continuation byte's behind it;
  a row is suspect if two neighbours can be that in one of ENCODINGS. Plain ASCII never is.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import pyarrow as pa

from pairmill.curate import codepoints, invisible
from pairmill.spec.curate import Clean

ENCODINGS = ("latin-1", "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "mac-roman", "cp437")
_ENTITY, _NORMAL, _INVISIBLE, _SPACE = 1, 2, 4, 8


def rows(texts: pa.LargeStringArray, options: Clean) -> np.ndarray:
    """Rows that some step of `options` may change: bool (n,)."""
    flat, offsets = codepoints.decode(texts)
    bits = _table(options.unicode)[flat]
    wanted = (
        _ENTITY * (options.entities == "unescape") | _INVISIBLE * (options.control == "remove")
        | _SPACE * (options.whitespace == "collapse")
    )  # fmt: skip
    suspect = any_in_row((bits & wanted) > 0, offsets)
    if options.whitespace == "collapse":
        suspect |= _loose_spaces(flat, offsets)
    if options.unicode != "keep" and (bits & _NORMAL).any():
        suspect |= unnormalised(flat, offsets, options.unicode)
    if options.mojibake == "fix":
        suspect |= mojibake(flat, offsets)
    return suspect


def any_in_row(mask: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Whether a bool array over code points is true anywhere in each row."""
    found = np.zeros(len(offsets) - 1, bool)
    filled = np.diff(offsets) > 0
    if mask.any():
        found[filled] = np.logical_or.reduceat(mask, offsets[:-1][filled])
    return found


def unnormalised(flat: np.ndarray, offsets: np.ndarray, form: str) -> np.ndarray:
    """Rows that may not be in the normal form: bool (n,)."""
    doubtful = (_table(form)[flat] & _NORMAL) > 0
    order = _combining()[flat]
    doubtful[1:] |= (order[1:] > 0) & (order[:-1] > order[1:])
    return any_in_row(doubtful, offsets)


def mojibake(flat: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Rows with two neighbours that may be UTF-8 read in a one-byte encoding: bool (n,)."""
    leads, continuations = _misread()
    pair = np.zeros(len(flat), bool)
    pair[1:] = (leads[flat[:-1]] & continuations[flat[1:]]) > 0
    pair[offsets[:-1][np.diff(offsets) > 0]] = False
    return any_in_row(pair, offsets)


def _loose_spaces(flat: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Rows with a space at an end, or two in a row."""
    space = flat == 0x20
    loose = np.zeros(len(flat), bool)
    loose[1:] = space[1:] & space[:-1]
    filled = np.diff(offsets) > 0
    first, last = offsets[:-1][filled], offsets[1:][filled] - 1
    loose[first] = space[first]
    loose[last] |= space[last]
    return any_in_row(loose, offsets)


@cache
def _table(form: str) -> np.ndarray:
    table = np.zeros(codepoints.LIMIT, np.uint8)
    table[ord("&")] |= _ENTITY
    table[invisible.actions() != invisible.KEEP] |= _INVISIBLE
    table[codepoints.classes() == codepoints.SPACE] |= _SPACE
    table[0x20] &= ~np.uint8(_SPACE)
    if form != "keep":
        table[_doubtful(form)] |= _NORMAL
        table[_combining() > 0] |= _NORMAL
    return table


def _doubtful(form: str) -> list[int]:
    """Code points that are not their own normal form, or are the second half of a composition."""
    assigned = np.flatnonzero(codepoints.classes() != codepoints.OTHER).tolist()
    found = [point for point in assigned if unicodedata.normalize(form, chr(point)) != chr(point)]  # type: ignore[arg-type]
    decompositions = (unicodedata.decomposition(chr(point)).split() for point in assigned)
    found += [int(parts[-1], 16) for parts in decompositions if len(parts) > 1 and parts[0][0] != "<"]
    return found + [*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)]


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
