"""URLs and e-mail addresses in a side.

Only words (stretches without spaces, tabs and line breaks) that hold `://`, `www.` or `@` are searched. Repetitions
before the decisive character are bounded, so that the search is linear on any input; a URL ends at quotes, angle
brackets, East Asian text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pairmill.curate.heuristics.side import Side

_SPACES = (b" ", b"\n", b"\t")  # words may hold other white space: no address does
_SPACE = re.compile(rb"[ \n\t]")
_REST = "[^\\s<>\"'«»“”\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef]"
_ADDRESS = re.compile(
    rf"(?:(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{{1,15}}://|(?<![\w.])www\.){_REST}+"
    r"|(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}",
    re.IGNORECASE,
)


def find(side: Side) -> tuple[np.ndarray, list[str]]:
    """The rows of the addresses (int64), in order, and the addresses."""
    data, bounds = side.utf8
    rows: list[int] = []
    found: list[str] = []
    for start, end in _words(data, bounds):
        matches = [match[0] for match in _ADDRESS.finditer(data[start:end].decode())]
        rows += [bisect_right(bounds, start) - 1] * len(matches)
        found += matches
    return np.array(rows, np.int64), found


def _words(data: bytes, bounds: list[int]) -> Iterator[tuple[int, int]]:
    """Where the words that hold a hint start and end, in order."""
    texts = {b"://": data, b"@": data, b"www.": data.lower()}
    ahead = {hint: text.find(hint) for hint, text in texts.items()}
    end = 0
    while hits := [at for at in ahead.values() if at >= 0]:
        at = min(hits)
        row = bisect_right(bounds, at) - 1
        first = max(bounds[row], end)
        start = 1 + max(first - 1, *(data.rfind(space, first, at) for space in _SPACES))
        space = _SPACE.search(data, at, bounds[row + 1])
        end = space.start() if space else bounds[row + 1]
        yield start, end
        ahead = {hint: texts[hint].find(hint, end) if 0 <= at < end else at for hint, at in ahead.items()}
