"""Characters inside URLs and e-mail addresses / characters that are not white space; 0 for an empty side.

Only words (stretches without white space) that hold `://`, `www.` or `@` are searched. Repetitions before the decisive
character are bounded, so that the search is linear on any input; a URL ends at quotes, angle brackets, East Asian text.
Source: bicleaner-hardrules no_only_urls.
"""

from __future__ import annotations

import re

import numpy as np

from pairmill.curate.heuristics.side import Side, share

VERSION = 1
_HINTS = ("://", "www.", "WWW.", "@")
_REST = "[^\\s<>\"'«»“”\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef]"
_ADDRESS = re.compile(
    rf"(?:(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{{1,15}}://|(?<![\w.])www\.){_REST}+"
    r"|(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}",
    re.IGNORECASE,
)


def score(side: Side) -> np.ndarray:
    inside = np.zeros(len(side), np.int64)
    hits = np.concatenate([side.find(hint) for hint in _HINTS])
    if len(hits):
        starts, ends, _ = side.words
        hit = np.unique(np.searchsorted(starts, hits, "right") - 1)
        found = [_characters(side.flat[start:end]) for start, end in zip(starts[hit], ends[hit], strict=True)]
        np.add.at(inside, side.row(starts[hit]), found)
    return share(inside, side.solid, empty=0)


def _characters(word: np.ndarray) -> int:
    """Characters inside addresses in one word."""
    text = word.tobytes().decode("utf-32-le")
    return sum(match.end() - match.start() for match in _ADDRESS.finditer(text))
