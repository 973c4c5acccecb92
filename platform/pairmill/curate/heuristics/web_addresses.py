"""URLs and e-mail addresses in a side.

Only words (stretches without white space) that hold `://`, `www.` or `@` are searched. Repetitions before the decisive
character are bounded, so that the search is linear on any input; a URL ends at quotes, angle brackets, East Asian text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pairmill.curate.heuristics.side import Side

_W = (ord("w"), ord("W"))
_REST = "[^\\s<>\"'«»“”\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef]"
_ADDRESS = re.compile(
    rf"(?:(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{{1,15}}://|(?<![\w.])www\.){_REST}+"
    r"|(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}",
    re.IGNORECASE,
)


def find(side: Side) -> tuple[np.ndarray, list[str]]:
    """The rows of the addresses (int64), in order, and the addresses."""
    dots = side.find(".")
    for before in (1, 2, 3):  # www.
        dots = dots[np.isin(side.flat[np.maximum(dots - before, 0)], _W)]
    hits = np.concatenate([side.find("://"), side.find("@"), dots])
    if not len(hits):
        return hits, []
    starts, ends = _words(side, hits)
    words = zip(starts.tolist(), ends.tolist(), strict=True)
    texts = [side.flat[start:end].tobytes().decode("utf-32-le") for start, end in words]
    found = [[match[0] for match in _ADDRESS.finditer(text)] for text in texts]
    return np.repeat(side.row(starts), [len(each) for each in found]), [each for text in found for each in text]


def _words(side: Side, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the words that hold the positions start and end."""
    spaces, row = np.flatnonzero(side.spaces), side.row(at)
    behind = np.searchsorted(spaces, at)
    starts = np.maximum(side.offsets[row], np.r_[-1, spaces][behind] + 1)
    ends = np.minimum(side.offsets[row + 1], np.r_[spaces, len(side.flat)][behind])
    starts, first = np.unique(starts, return_index=True)
    return starts, ends[first]
