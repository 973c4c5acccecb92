"""The inner loops of `ask`, compiled by numba when first used (see `compiled.py`): one pass each."""

# mypy: disable-error-code="assignment,arg-type"
from __future__ import annotations

from functools import cache

import numpy as np

from pairmill.compiled import Kernel, compile_kernel
from pairmill.curate.codepoints import DIGIT, LIMIT, MARK, SPACE

#: Bits of a code point's property, beside its class (the low four bits) and the number of its script (six from SCRIPT).
LETTER, LATIN, LEAD, CONTINUATION, COMBINES = 16, 32, 64, 128, 256
SCRIPT, DECIDES = 9, 1 << 15
CHARACTERS, LETTERS, MARKS, SPACES, DIGITS, BESIDE_DIGITS, MOJIBAKE, UNDECODED, COMBINING, DECISIVE = range(10)
COUNTS = 10
_KIND, _SCRIPTS = 15, 63
_PAIR = LEAD | CONTINUATION
_REPLACEMENT = 0xFFFD
_SEARCH = 30  # bytes in which a part of an excerpt looks for white space to begin behind


@cache
def excerpt() -> Kernel:
    """Return excerpt(data, offsets, cut, parts, out, out_offsets); see `engine.excerpts`.

    Texts are UTF-8. `out` has room for each text, or for 4 cut + parts bytes of it if that is less.
    """
    return compile_kernel(_excerpt, "uint8[] int64[] int64 int64", "uint8[::1] int64[::1]")


@cache
def tally() -> Kernel:
    """Return tally(data, offsets, properties, counts, scripts), which counts characters of UTF-8 texts.

    Adds to `counts` (n, COUNTS), by columns: CHARACTERS, of them LETTERS, MARKS, SPACES and DIGITS; Latin letters
    BESIDE_DIGITS, which are those in stretches of Latin letters and digits with at least one digit; pairs of MOJIBAKE,
    a LEAD before a CONTINUATION; UNDECODED, which are U+FFFD; COMBINING, which NFC may change; DECISIVE, which are
    in `letters.DECISIVE`. And to `scripts` (n, scripts): letters of each script.
    """
    return compile_kernel(_tally, "uint8[] int64[] uint16[]", "int64[:,::1] int64[:,::1]")


def _excerpt(data, offsets, cut, parts, out, out_offsets):  # type: ignore[no-untyped-def]
    n = np.int64(0)
    out_offsets[0] = 0
    for row in range(offsets.size - 1):
        text = data[offsets[row] : offsets[row + 1]]
        size = text.size
        whole = size <= cut
        if not whole and size <= 4 * cut:
            characters = 0
            for i in range(size):
                characters += text[i] & 0xC0 != 0x80
            whole = characters <= cut
        end = 0
        for part in range(1 if whole else parts):
            begin = max(end, size * part // parts)
            while begin < size and text[begin] & 0xC0 == 0x80:
                begin += 1
            if part:
                for i in range(begin, min(begin + _SEARCH, size)):
                    if text[i] == 32 or text[i] == 10:
                        begin = i + 1
                        break
                out[n] = 32
                n += 1
            end = size if whole else begin
            for _ in range(0 if whole else cut // parts):
                end += end < size
                while end < size and text[end] & 0xC0 == 0x80:
                    end += 1
            source, copy = text[begin:end], out[n : n + end - begin]
            for i in range(source.size):
                copy[i] = source[i] if source[i] else 32
            n += end - begin
        out_offsets[row + 1] = n


def _tally(data, offsets, properties, counts, scripts):  # type: ignore[no-untyped-def]
    for row in range(offsets.size - 1):
        characters = letters = marks = spaces = digits = beside = pairs = undecoded = combining = decisive = 0
        latin, figures = 0, False  # of the stretch: Latin letters in front of its first digit; whether it has one
        before = 0
        text, script, i = data[offsets[row] : offsets[row + 1]], scripts[row], 0
        while i < text.size:
            c = np.int64(text[i])
            width = 1
            if c >= 0x80:
                width = 2 + (c >= 0xE0) + (c >= 0xF0)
                if i + width > text.size:  # not UTF-8: who makes a string of it, says so
                    break
                if width == 2:
                    c = (c & 0x1F) << 6 | text[i + 1] & 0x3F
                elif width == 3:
                    c = (c & 0x0F) << 12 | (text[i + 1] & 0x3F) << 6 | text[i + 2] & 0x3F
                else:
                    c = (c & 0x07) << 18 | (text[i + 1] & 0x3F) << 12 | (text[i + 2] & 0x3F) << 6 | text[i + 3] & 0x3F
                    c = min(c, LIMIT - 1)
                undecoded += c == _REPLACEMENT
            i += width
            p = np.int64(properties[c])
            kind, is_letter, is_latin = p & _KIND, (p & LETTER) != 0, (p & LATIN) != 0
            is_digit = kind == DIGIT
            characters += 1
            letters += is_letter
            marks += kind == MARK
            spaces += kind == SPACE
            combining += (p & COMBINES) != 0
            digits += is_digit
            # no branches from here on: they would be mispredicted at each word
            decisive += (p & DECIDES) != 0
            script[p >> SCRIPT & _SCRIPTS] += is_letter
            pairs += ((before & LEAD) | (p & CONTINUATION)) == _PAIR
            before = p
            beside += is_digit * latin + (is_latin & figures)
            latin = is_latin * (latin + 1 - figures)
            figures = is_digit | (is_latin & figures)
        count = counts[row]
        count[CHARACTERS] += characters
        count[LETTERS] += letters
        count[MARKS] += marks
        count[SPACES] += spaces
        count[DIGITS] += digits
        count[BESIDE_DIGITS] += beside
        count[MOJIBAKE] += pairs
        count[UNDECODED] += undecoded
        count[COMBINING] += combining
        count[DECISIVE] += decisive
