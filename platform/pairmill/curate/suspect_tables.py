"""The tables behind `suspects`: what a character says about the steps that may change its row."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Literal, cast

import numpy as np

from pairmill.curate import codepoints, invisible
from pairmill.curate.repairs import kernels, typography

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


# What else a character can say, beside the steps: bits behind those of `Bit`.
BLANK, AMPERSAND, ANGLE, SEMICOLON, STATEMENT, DIGIT = (1 << bit for bit in range(13, 19))
MARK, FIRST, SECOND = (1 << bit for bit in range(19, 22))  # combining, and the parts of a composition
PLUS, CLOSE_DIGITS = 1 << 22, 1 << 23
_ASCII = {
    "&": AMPERSAND, "<>": ANGLE | Bit.PLACEHOLDER, ";": SEMICOLON, "={[": STATEMENT, "@": Bit.EMAIL,
    "%${": Bit.PLACEHOLDER, "0123456789": DIGIT,
}  # fmt: skip


@cache
def says(form: str, lines: bool) -> np.ndarray:
    """The uint32 table (0x110000,) from code point to suspect bits; with `lines`, a line feed is like a space.

    A BLANK makes its row a suspect of SPACE only at an end or behind another, all other white space anywhere.
    """
    table = np.zeros(codepoints.LIMIT, np.uint32)
    table[codepoints.classes() == codepoints.SPACE] = Bit.SPACE
    blanks = [0x20, 0x0A] if lines else [0x20]
    table[blanks] = BLANK
    table[invisible.actions() != kernels.KEEP] |= Bit.INVISIBLE
    for characters, bits in _ASCII.items():
        table[[ord(c) for c in characters]] |= bits
    table[[ord(c) for c in typography.QUOTES]] |= Bit.QUOTE
    table[[ord(c) for c in typography.DASHES]] |= Bit.DASH
    table[0x80:][codepoints.classes()[0x80:] == codepoints.DIGIT] |= Bit.PHONE
    table[ord("＋")] |= Bit.PHONE | PLUS
    table[[*range(0x80, 0xA0), 0xFFFD]] |= Bit.MOJIBAKE
    if form != "keep":
        _add_normal_form(table, form)
    table.flags.writeable = False
    return table


def _add_normal_form(table: np.ndarray, form: str) -> None:
    """Add UNNORMALISED, MARK, and the parts of compositions.

    A SECOND composes with the starter in front of it or, if it is a mark, across other marks with one further back. So
    it changes nothing behind a starter that begins no composition and is not composed itself, which is no FIRST.
    """
    normal_form = cast(Literal["NFC", "NFKC"], form)
    table[combining() > 0] |= MARK
    for point in np.flatnonzero(codepoints.classes() != codepoints.OTHER).tolist():
        character = chr(point)
        if not unicodedata.is_normalized(normal_form, character):
            table[point] |= Bit.UNNORMALISED
        parts = unicodedata.decomposition(character).split()
        if parts:
            table[point] |= FIRST
        if len(parts) > 1 and not parts[0].startswith("<") and unicodedata.is_normalized("NFC", character):
            table[int(parts[0], 16)] |= FIRST
            table[int(parts[-1], 16)] |= SECOND
    for first, last, part in ((0x1100, 0x1113, FIRST), (0x1161, 0x1176, FIRST | SECOND), (0x11A8, 0x11C3, SECOND),
                              (0xAC00, 0xD7A4, FIRST)):  # fmt: skip
        table[first:last] |= part  # Hangul


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
