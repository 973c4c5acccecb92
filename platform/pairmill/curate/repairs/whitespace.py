"""White space: each run of it to one character, none at the ends of a text.

It becomes a space or, where `lines` are kept, a line feed if it holds a line break of any kind, so that lines are
trimmed and empty ones go. White space is what Python's `str.split` splits at.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa

from pairmill.curate import codepoints
from pairmill.curate.repairs import kernels

_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"  # where str.splitlines splits


def collapse(texts: pa.LargeStringArray, lines: bool) -> pa.LargeStringArray:
    """The texts with white space collapsed, inside their lines if these are kept."""
    return kernels.rewrite(kernels.collapse(), texts, _spaces(), _breaks() if lines else np.zeros_like(_breaks()))


@cache
def _spaces() -> np.ndarray:
    return np.ascontiguousarray(codepoints.classes()[:0x10000] == codepoints.SPACE)


@cache
def _breaks() -> np.ndarray:
    table = np.zeros(0x10000, bool)
    table[[ord(c) for c in _BREAKS]] = True
    return table
