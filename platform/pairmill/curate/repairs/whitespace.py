"""White space: each run of it to one character, none at the ends of a text.

`collapse` makes it a space. `collapse_lines` makes it a line feed where it holds a line break of any kind, so that
lines are trimmed and empty ones go, else a space. The first is Python's `split`, which is faster than any array work;
lines would need it once for each of them, so they are done on code points.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa

from pairmill.curate import arrays, codepoints

_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"  # where str.splitlines splits


def collapse(text: str) -> str:
    """The text with each run of white space as one space."""
    return " ".join(text.split())


def collapse_lines(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """The texts with white space collapsed inside their lines, and empty lines dropped."""
    flat, offsets = codepoints.decode(texts)
    space = _spaces()[flat]
    first = space & ~arrays.before(space, offsets)
    keep = ~space | first
    filled = np.diff(offsets) > 0
    heads, tails = offsets[:-1][filled], offsets[1:][filled] - 1
    keep[heads[space[heads]]] = False
    if len(starts := np.flatnonzero(first)):
        keep[starts[np.searchsorted(starts, tails[space[tails]], "right") - 1]] = False
    return codepoints.encode(*arrays.compress(_feeds(flat, space, starts), offsets, keep))


def _feeds(flat: np.ndarray, space: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The code points with white space replaced by spaces, and the first of each run that breaks a line by a feed."""
    at = np.flatnonzero(space)
    breaks = at[_breaks()[flat[at]]]
    flat = np.where(space, np.uint32(0x20), flat)
    flat[starts[np.searchsorted(starts, breaks, "right") - 1]] = 0x0A
    return flat


@cache
def _spaces() -> np.ndarray:
    return codepoints.classes() == codepoints.SPACE


@cache
def _breaks() -> np.ndarray:
    table = np.zeros(codepoints.LIMIT, bool)
    table[[ord(c) for c in _BREAKS]] = True
    return table
