"""URLs and e-mail addresses in a side.

Only words that hold `://`, `www.` or `@` are searched. A word is a stretch without spaces, tabs and line breaks; no
other white space is in an address. Repetitions before the decisive character are bounded, so that the search is linear
on any input; a URL ends at quotes, angle brackets, East Asian text.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from pairmill.curate.dedup.kernels import Kernel, compile_kernel

if TYPE_CHECKING:
    from pairmill.curate.heuristics.side import Side

_LOWER = np.uint8(0x20)  # the bit by which `w` and `W` differ
_REST = "[^\\s<>\"'«»“”\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef]"
_ADDRESS = re.compile(
    rf"(?:(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{{1,15}}://|(?<![\w.])www\.){_REST}+"
    r"|(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}",
    re.IGNORECASE,
)


def find(side: Side) -> tuple[np.ndarray, list[str]]:
    """The rows of the addresses (int64), in order, and the addresses."""
    encoded, bounds = side.encoded
    hints = _hints(encoded)
    if not len(hints):
        return hints, []
    words = np.empty((len(hints), 3), np.int64)
    words = words[: _words()(encoded, bounds, hints, words)]
    data, counts = memoryview(encoded.data), []
    found: list[str] = []
    for _, start, end in words.tolist():
        matches = [match[0] for match in _ADDRESS.finditer(str(data[start:end], "utf-8"))]
        counts.append(len(matches))
        found += matches
    return np.repeat(words[:, 0], counts), found


def _hints(data: np.ndarray) -> np.ndarray:
    """Where `@`, the colon of `://` and the first w of `www.` stand in some UTF-8, ascending: int64."""
    at, colons, dots = (np.flatnonzero(data == ord(sign)) for sign in "@:.")
    colons = colons[colons + 2 < len(data)]
    colons = colons[(data[colons + 1] == ord("/")) & (data[colons + 2] == ord("/"))]
    dots = dots[dots >= 3]
    for distance in (1, 2, 3):
        dots = dots[data[dots - distance] | _LOWER == ord("w")]
    return np.sort(np.concatenate([at, colons, dots - 3]))


@cache
def _words() -> Kernel:
    """Return words(data, bounds, hints, out): writes row, start and end of the words with a hint, returns how many."""
    return compile_kernel(_words_loop, "uint8[] int64[] int64[]", "int64[:,::1]", "int64")


def _words_loop(data, bounds, hints, out):  # type: ignore[no-untyped-def]
    count = row = end = 0
    for at in hints:
        if at < end:
            continue
        while bounds[row + 1] <= at:
            row += 1
        start, end = at, at
        while start > bounds[row] and not (data[start - 1] == 32 or data[start - 1] == 10 or data[start - 1] == 9):
            start -= 1
        while end < bounds[row + 1] and not (data[end] == 32 or data[end] == 10 or data[end] == 9):
            end += 1
        out[count, 0], out[count, 1], out[count, 2] = row, start, end
        count += 1
    return count
