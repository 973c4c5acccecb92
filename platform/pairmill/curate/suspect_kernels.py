"""The inner loops of `suspects`, compiled by numba when first used (see `compiled.py`).

`scan` reads every byte of UTF-8 once and decodes what is not ASCII on the way; the others look again, around single
characters, at the few rows that hold what `scan` reports. Rows of broken UTF-8 are read without leaving the arrays.
"""

# mypy: disable-error-code=assignment
from __future__ import annotations

from functools import cache

import numpy as np

from pairmill.compiled import Kernel, compile_kernel
from pairmill.curate.suspect_tables import (
    BLANK,
    CLOSE_DIGITS,
    ENCODINGS,
    FIRST,
    LEAD_OF_MORE,
    LEAD_OF_TWO,
    MARK,
    PLUS,
    SECOND,
    Bit,
)  # fmt: skip

_ENCODINGS = np.uint32((1 << len(ENCODINGS)) - 1)
_TWO, _MORE = np.uint32(LEAD_OF_TWO), np.uint32(LEAD_OF_MORE)
_BLANK, _MARK, _FIRST, _SECOND = (np.uint32(bit) for bit in (BLANK, MARK, FIRST, SECOND))
_SPACE, _UNNORMALISED, _MOJIBAKE = (np.uint32(bit) for bit in (Bit.SPACE, Bit.UNNORMALISED, Bit.MOJIBAKE))
_EMAIL, _IBAN, _IP, _PHONE = (np.uint32(bit) for bit in (Bit.EMAIL, Bit.IBAN, Bit.IP, Bit.PHONE))
_CLOSE, _PLUS = np.uint32(CLOSE_DIGITS), np.uint32(PLUS)
_LIMIT, _LOST = 0x110000, 0xFFFD

_DIGIT, _CAPITAL, _SMALL, _HEX, _SPACING, _BEYOND, _SIGN, _OPENING = (1 << bit for bit in range(8))
_ALPHABETIC, _ALPHANUMERIC = _CAPITAL | _SMALL, _DIGIT | _CAPITAL | _SMALL
_CLASS = np.zeros(256, np.uint8)
_CLASS[ord("0") : ord("9") + 1] = _DIGIT | _HEX
_CLASS[ord("A") : ord("Z") + 1] = _CAPITAL
_CLASS[ord("a") : ord("z") + 1] = _SMALL
_CLASS[[ord(c) for c in "ABCDEFabcdef"]] |= _HEX
_CLASS[: 0x20 + 1] = _SPACING  # controls too: which of them are white space need not be known
_CLASS[0x80:] = _BEYOND
_CLASS[[ord(c) for c in ".+%_-"]] = _SIGN
_CLASS[[ord(c) for c in "(["]] = _OPENING
_IN_ADDRESS = _ALPHANUMERIC | _BEYOND | _SIGN  # characters of e-mail addresses in front of the @
_LONGEST_NAME, _MOST_DECIMALS, _MOST_HEX = 32, 7, 6  # of character references
_NAME_END = 44  # bytes in which a tag's end at the start of a text stands: 8 of white space, `/`, 10 of name
_SPACES = 24  # bytes of the 8 characters of white space that may stand between an attribute and its tag's end
_DIGITS, _PHONE_SPAN, _IBAN_SPAN = 7, 24, 44  # so many digits within so many bytes; Malta's IBANs have the fewest
_CARD = 13  # digits that a payment card number has at least
_IPV4_DOTS, _IPV6_COLONS = 8, 5  # bytes from the first to the last dot of an address; between two colons


@cache
def scan() -> Kernel:
    """Return scan(raw, offsets, says, misread, combining, unused, langs, found).

    found[row] is what the code points of a row say, or'ed, and SPACE, UNNORMALISED and MOJIBAKE by their neighbours.
    `says`, `misread` and `combining` are tables by code point; unused[langs[row]] tells the characters below 256 that
    the row's language does not use.
    """
    return compile_kernel(_scan, "uint8[] int64[] uint32[] uint32[] uint8[] boolean[][] int64[]", "uint32[::1]")


@cache
def references() -> Kernel:
    """Return references(raw, offsets, rows, found): found[i] says whether rows[i] holds a character reference."""
    return compile_kernel(_references, "uint8[] int64[] int64[]", "boolean[::1]")


@cache
def angles() -> Kernel:
    """Return angles(raw, offsets, rows, found): whether rows[i] holds `<` or `>` where `repairs/tags.py` needs it."""
    return compile_kernel(_angles, "uint8[] int64[] int64[]", "boolean[::1]")


@cache
def scripts() -> Kernel:
    """Return scripts(raw, offsets, rows, found): whether rows[i] holds what each script of `repairs/tags.py` does."""
    return compile_kernel(_scripts, "uint8[] int64[] int64[]", "boolean[::1]")


@cache
def personal() -> Kernel:
    """Return personal(raw, offsets, rows, says, found): bits EMAIL, IBAN, IP, and CLOSE_DIGITS and PLUS for phones.

    `says` is what `scan` found in the rows.
    """
    return compile_kernel(_personal, "uint8[] int64[] int64[] uint32[]", "uint32[::1]")


def _scan(raw, offsets, says, misread, combining, unused, langs, found):  # type: ignore[no-untyped-def]
    for row in range(offsets.size - 1):
        i, stop = offsets[row], offsets[row + 1]
        if i == stop:
            continue
        held, before = np.uint32(0), _BLANK  # white space at the start is loose
        kinds = kinds_before = np.uint32(0)
        order = np.uint8(0)
        while i < stop:
            c = np.int64(raw[i])
            if c < 0x80:
                bits = says[c]
                held |= bits
                if bits & before & _BLANK:
                    held |= _SPACE
                before, kinds, order = bits, np.uint32(0), np.uint8(0)
                i += 1
                continue
            width = 2 + (c >= 0xE0) + (c >= 0xF0)
            if i + width > stop:
                break
            if width == 2:
                c = (c & 0x1F) << 6 | raw[i + 1] & 0x3F
            elif width == 3:
                c = (c & 0x0F) << 12 | (raw[i + 1] & 0x3F) << 6 | raw[i + 2] & 0x3F
            else:
                c = (c & 0x07) << 18 | (raw[i + 1] & 0x3F) << 12 | (raw[i + 2] & 0x3F) << 6 | raw[i + 3] & 0x3F
                c = c if c < _LIMIT else _LOST
            bits = says[c]
            held |= bits
            kinds_two_before, kinds_before, kinds = kinds_before if kinds else np.uint32(0), kinds, misread[c]
            if kinds & _ENCODINGS & (kinds_before >> _TWO | kinds_two_before >> _MORE & kinds_before):
                held |= _MOJIBAKE
            if c < 0x100:
                behind_lead = (c == 0xC2 or c == 0xC3) and i + 2 < stop and raw[i + 2] == 0x20
                if behind_lead or unused[langs[row], c]:
                    held |= _MOJIBAKE
            if bits & _SECOND and before & (_FIRST | bits & _MARK):
                held |= _UNNORMALISED
            mark = combining[c] if bits & _MARK else np.uint8(0)
            if mark and order > mark:
                held |= _UNNORMALISED
            before, order = bits, mark
            i += width
        if before & _BLANK:
            held |= _SPACE
        found[row] = held


def _references(raw, offsets, rows, found):  # type: ignore[no-untyped-def]
    for n in range(rows.size):
        stop = offsets[rows[n] + 1]
        for i in range(offsets[rows[n]], stop):
            if raw[i] != 0x26:  # &
                continue
            at, most, allowed = i + 1, _LONGEST_NAME, _ALPHANUMERIC
            if at < stop and raw[at] == 0x23:  # #
                at, most, allowed = at + 1, _MOST_DECIMALS, _DIGIT
                if at < stop and (raw[at] | 0x20) == 0x78:  # x
                    at, most, allowed = at + 1, _MOST_HEX, _HEX
            elif at == stop or not _CLASS[raw[at]] & _ALPHABETIC:
                continue
            end = at
            while end < stop and end - at <= most and _CLASS[raw[end]] & allowed:
                end += 1
            if at < end <= at + most and end < stop and raw[end] == 0x3B:  # ;
                found[n] = True
                break


def _angles(raw, offsets, rows, found):  # type: ignore[no-untyped-def]
    for n in range(rows.size):
        start, stop = offsets[rows[n]], offsets[rows[n] + 1]
        for i in range(start, stop):
            c = raw[i]
            if c == 0x3C and i + 1 < stop:  # < in front of a name, / ! ?
                following = raw[i + 1]
                name = _CLASS[following] & (_ALPHABETIC | _BEYOND)  # ſ is an s where case is ignored
                if name or following == 0x2F or following == 0x21 or following == 0x3F:
                    found[n] = True
                    break
            if c == 0x3E and i > start:  # > behind /, or a quote and white space, or at the start a name
                at = i - 1
                while at > start and i - 1 - at < _SPACES and _CLASS[raw[at]] & (_SPACING | _BEYOND):
                    at -= 1
                quoted = raw[at] == 0x22 or raw[at] == 0x27
                if quoted or raw[i - 1] == 0x2F or (i - start < _NAME_END and _CLASS[raw[i - 1]] & (_SMALL | _DIGIT)):
                    found[n] = True
                    break


def _scripts(raw, offsets, rows, found):  # type: ignore[no-untyped-def]
    for n in range(rows.size):
        start, stop = offsets[rows[n]], offsets[rows[n] + 1]
        for i in range(start, stop):
            c = raw[i]
            if c == 0x3D:  # =
                found[n] = True
                break
            if i == start or (c != 0x28 and c != 0x2E):
                continue
            last, last_but_one = raw[i - 1], raw[i - 2] if i - 2 >= start else np.uint8(0)
            called = _CLASS[last] & (_ALPHANUMERIC | _BEYOND) or last == 0x5F or last == 0x24
            called = called or (_CLASS[last] & _SPACING and last_but_one == 0x6E)  # function (
            if (c == 0x28 and called) or (c == 0x2E and last == 0x67 and last_but_one == 0x61):  # googletag.
                found[n] = True
                break


def _personal(raw, offsets, rows, says, found):  # type: ignore[no-untyped-def]
    recent = np.empty(_DIGITS, np.int64)  # where the last digits stand
    for n in range(rows.size):
        start, stop = offsets[rows[n]], offsets[rows[n] + 1]
        held, digits, grouped, close = np.uint32(0), 0, 0, False
        account = says[n] & _PHONE != 0  # digits of other scripts may be a card number's
        dot, dot_before, colon = start - 1, start - 1, stop
        for i in range(start, stop):
            c = raw[i]
            if _CLASS[c] & _DIGIT:
                if digits >= _DIGITS - 1:
                    span = i - recent[(digits + 1) % _DIGITS]
                    held |= _CLOSE if span < _PHONE_SPAN else np.uint32(0)
                    close |= span < _IBAN_SPAN
                recent[digits % _DIGITS] = i
                digits += 1
                grouped += 1
                account |= grouped >= _CARD
                if i - start >= 3 and _CLASS[raw[i - 1]] & _DIGIT:
                    account |= _CLASS[raw[i - 2]] & _CLASS[raw[i - 3]] & _CAPITAL != 0
                continue
            if c != 0x20 and c != 0x2D:
                grouped = 0
            if c != 0x2E and c != 0x3A and c != 0x40 and c != 0x2B:
                continue
            behind = _CLASS[raw[i - 1]] if i > start else np.uint8(0)
            ahead = _CLASS[raw[i + 1]] if i + 1 < stop else np.uint8(0)
            if c == 0x2E and behind & ahead & _DIGIT:
                held |= _IP if dot_before >= start and i - dot_before <= _IPV4_DOTS else np.uint32(0)
                dot_before, dot = dot, i
            elif c == 0x3A:
                held |= _IP if 0 < i - colon <= _IPV6_COLONS else np.uint32(0)
                four = (
                    i - start >= 4 and _CLASS[raw[i - 4]] & _CLASS[raw[i - 3]] & _CLASS[raw[i - 2]] & behind & _HEX != 0
                )
                colon = i if four else stop
            elif c == 0x40 and behind & _IN_ADDRESS and ahead & (_ALPHANUMERIC | _BEYOND):
                held |= _EMAIL
            elif c == 0x2B and ahead & (_DIGIT | _OPENING | _BEYOND):
                held |= _PLUS
        found[n] = held | (_IBAN if close and account else np.uint32(0))
