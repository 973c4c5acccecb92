"""URLs and e-mail addresses in a side.

Only words that hold `://`, `www.` or `@` beside what these need are searched. A word is a stretch without spaces, tabs
and line breaks; no other white space is in an address. Repetitions before the decisive character are bounded, so that
the search is linear on any input; a URL ends at quotes, angle brackets, East Asian text.
"""

from __future__ import annotations

import re
import string
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from pairmill.compiled import Kernel, compile_kernel

if TYPE_CHECKING:
    from pairmill.curate.heuristics.side import Side

_BLANK, _SCHEME, _NAME, _COLON, _AT, _W = (1 << bit for bit in range(6))
_REST = "[^\\s<>\"'«»“”\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef]"
_ADDRESS = re.compile(
    rf"(?:(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{{1,15}}://|(?<![\w.])www\.){_REST}+"
    r"|(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}",
    re.IGNORECASE,
)


def find(side: Side) -> tuple[np.ndarray, list[str]]:
    """The rows of the addresses (int64), in order, and the addresses."""
    encoded, bounds = side.encoded
    words = np.empty((len(encoded) // 3 + 1, 3), np.int64)
    words = words[: _words()(encoded, bounds, *_meanings(), words)]
    data, counts = memoryview(encoded.data), []
    found: list[str] = []
    for _, start, end in words.tolist():
        matches = [match[0] for match in _ADDRESS.finditer(str(data[start:end], "utf-8"))]
        counts.append(len(matches))
        found += matches
    return np.repeat(words[:, 0], counts), found


@cache
def _meanings() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three uint8 tables (256,) by byte of UTF-8: what it is (`_BLANK` to `_NAME`), the sign of an address it may be,
    and of which sign it may be the next byte. Of characters beyond ASCII, all that some of them are."""
    what, sign, next_ = (np.zeros(256, np.uint8) for _ in range(3))
    letters = string.ascii_letters + string.digits
    for table, bit, characters in (
        (what, _BLANK, "\t\n "), (what, _SCHEME, letters + "+.-"), (what, _NAME, letters + "_.+%-"),
        (sign, _COLON, ":"), (sign, _AT, "@"), (sign, _W, "wW"),
        (next_, _COLON, "/"), (next_, _AT, letters + "_-"), (next_, _W, "wW"),
    ):  # fmt: skip
        table[[ord(c) for c in characters]] |= np.uint8(bit)
    what[0x80:], next_[0x80:] = _SCHEME | _NAME, _AT
    return what, sign, next_


@cache
def _words() -> Kernel:
    """Return words(data, bounds, what, sign, next, out): writes row, start and end of the words that hold a sign of an
    address with what an address needs beside it; returns how many."""
    return compile_kernel(_words_loop, "uint8[] int64[] uint8[] uint8[] uint8[]", "int64[:,::1]", "int64")


def _words_loop(data, bounds, what, sign, next_, out):  # type: ignore[no-untyped-def]
    count = 0
    for row in range(bounds.size - 1):
        first, stop = bounds[row], bounds[row + 1]
        i = first
        while i < stop - 1:
            found = sign[data[i]] & next_[data[i + 1]]
            i += 1
            if not found:
                continue
            before = what[data[i - 2]] if i - 2 >= first else np.uint8(0)
            if found == _COLON:  # ://
                hint = i + 2 < stop and data[i + 1] == 0x2F and before & _SCHEME
            elif found == _AT:
                hint = before & _NAME != 0
            else:  # www.
                hint = i + 3 < stop and data[i + 1] | 0x20 == 0x77 and data[i + 2] == 0x2E
            if hint:
                start = i - 1
                while start > first and not what[data[start - 1]] & _BLANK:
                    start -= 1
                while i < stop and not what[data[i]] & _BLANK:
                    i += 1
                out[count, 0], out[count, 1], out[count, 2] = row, start, i
                count += 1
    return count
