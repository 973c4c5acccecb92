"""The tables behind `suspects`: what a character says about the steps that may change its row."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Literal, cast

import numpy as np

from pairmill.curate import codepoints, invisible
from pairmill.curate.repairs import typography

ENCODINGS = (
    "latin-1", "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "iso8859-2", "mac-roman", "cp437"
)  # fmt: skip
# Lead bytes whose characters ftfy knows as signs of damage, for encodings where others are everyday letters and quotes.
_LEADS = {"cp1251": b"\xc2\xc3\xd0\xd1\xe2", "mac-roman": b"\xc2\xc3\xc5\xe2"}
LEAD_OF_TWO, LEAD_OF_MORE = len(ENCODINGS), 2 * len(ENCODINGS)


class Bit:
    """A cleaning step, in the order in which they run."""

    ENTITY = 1 << 0
    TAG = 1 << 1
    MOJIBAKE = 1 << 2
    UNNORMALISED = 1 << 3
    QUOTE = 1 << 4
    DASH = 1 << 5
    PLACEHOLDER = 1 << 6
    EMAIL = 1 << 7
    IBAN = 1 << 8
    IP = 1 << 9
    PHONE = 1 << 10
    INVISIBLE = 1 << 11
    SPACE = 1 << 12


_AMPERSAND, _ANGLE, _SEMICOLON, _STATEMENT, _BLANK, _CONTROL, _AT, _FORMAT = (1 << bit for bit in range(8))


@cache
def ascii_classes(lines: bool) -> bytes:
    """Classes of ASCII bytes (256 entries, for `bytes.translate`); with `lines`, a line feed is no blank."""
    table = np.zeros(256, np.uint8)
    for characters, mark in (
        ("&", _AMPERSAND), ("<>", _ANGLE), (";", _SEMICOLON), ("={[", _STATEMENT), ("@", _AT), ("%${", _FORMAT)
    ):  # fmt: skip
        table[[ord(c) for c in characters]] |= mark
    table[:0x80][codepoints.classes()[:0x80] == codepoints.SPACE] |= _BLANK
    table[0x20] = 0
    if lines:
        table[0x0A] = 0
    table[:0x80][invisible.actions()[:0x80] != invisible.KEEP] |= _CONTROL
    return table.tobytes()


@cache
def of_classes() -> np.ndarray:
    """The uint16 table (256,) from the classes that a row holds to the steps it is a suspect of."""
    held = np.arange(256)
    bits = np.zeros(256, np.uint16)
    for mark, bit in ((_AMPERSAND, Bit.ENTITY), (_ANGLE, Bit.TAG | Bit.PLACEHOLDER), (_BLANK, Bit.SPACE),
                      (_CONTROL, Bit.INVISIBLE), (_AT, Bit.EMAIL), (_FORMAT, Bit.PLACEHOLDER)):  # fmt: skip
        bits[(held & mark) > 0] |= bit
    bits[((held & _SEMICOLON) > 0) & ((held & _STATEMENT) > 0)] |= Bit.TAG
    return bits


@cache
def beyond_ascii(form: str) -> np.ndarray:
    """The uint16 table (0x110000,) from code point to suspect bits; combining marks are suspects of UNNORMALISED."""
    table = np.zeros(codepoints.LIMIT, np.uint16)
    table[invisible.actions() != invisible.KEEP] |= Bit.INVISIBLE
    table[codepoints.classes() == codepoints.SPACE] |= Bit.SPACE
    table[[ord(c) for c in typography.QUOTES]] |= Bit.QUOTE
    table[[ord(c) for c in typography.DASHES]] |= Bit.DASH
    table[codepoints.classes() == codepoints.DIGIT] |= Bit.PHONE
    table[ord("＋")] |= Bit.PHONE
    if form != "keep":
        table[doubtful(form) | (combining() > 0)] |= Bit.UNNORMALISED
    return table


@cache
def doubtful(form: str) -> np.ndarray:
    """Code points that are not their own normal form, or are the second half of a composition: bool (0x110000,)."""
    table = np.zeros(codepoints.LIMIT, bool)
    normal_form = cast(Literal["NFC", "NFKC"], form)
    for point in np.flatnonzero(codepoints.classes() != codepoints.OTHER).tolist():
        character = chr(point)
        table[point] |= not unicodedata.is_normalized(normal_form, character)
        parts = unicodedata.decomposition(character).split()
        if len(parts) > 1 and not parts[0].startswith("<"):
            table[int(parts[-1], 16)] = True
    table[0x1161:0x1176] = table[0x11A8:0x11C3] = True  # Hangul vowels and finals
    return table


@cache
def combining() -> np.ndarray:
    """The uint8 table (0x110000,) from code point to canonical combining class."""
    table = np.zeros(codepoints.LIMIT, np.uint8)
    for point in np.flatnonzero(codepoints.classes() == codepoints.MARK).tolist():
        table[point] = unicodedata.combining(chr(point))
    return table


@cache
def misread() -> np.ndarray:
    """The uint32 table (0x110000,) from code point to the encodings in which it is a byte of UTF-8.

    Bits from 0: continuation byte; from LEAD_OF_TWO: lead byte of two; from LEAD_OF_MORE: lead byte of three or four.
    """
    table = np.zeros(codepoints.LIMIT, np.uint32)
    roles = ((0, range(0x80, 0xC0)), (LEAD_OF_TWO, range(0xC2, 0xE0)), (LEAD_OF_MORE, range(0xE0, 0xF5)))
    for bit, encoding in enumerate(ENCODINGS):
        for first, values in roles:
            for value in (v for v in values if first == 0 or v in _LEADS.get(encoding, values)):
                table[ord(bytes([value]).decode(encoding, "ignore") or chr(value))] |= np.uint32(1 << first + bit)
    return table
