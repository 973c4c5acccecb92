"""Typographic quotes and dashes to the ones of ASCII, character by character."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa

from pairmill.curate import codepoints

QUOTES = {**dict.fromkeys("“”„‟«»〝〞〟＂", '"'), **dict.fromkeys("‘’‚‛‹›＇", "'")}
DASHES = dict.fromkeys("‐‑‒–—―−﹘﹣－", "-")


def replace(texts: pa.LargeStringArray, characters: str) -> pa.LargeStringArray:
    """Replace quotes or dashes (`characters`: "quotes" or "dashes")."""
    flat, offsets = codepoints.decode(texts)
    return codepoints.encode(_table(characters)[flat], offsets)


@cache
def _table(characters: str) -> np.ndarray:
    """The uint32 table (0x110000,) from code point to code point."""
    table = np.arange(codepoints.LIMIT, dtype=np.uint32)
    for old, new in (QUOTES if characters == "quotes" else DASHES).items():
        table[ord(old)] = ord(new)
    return table
