"""Places that look like text decoded in the wrong encoding, whether or not that can be undone.

Counted are (1) what UTF-8's bytes become in Latin-1 or Windows-1252: a lead byte (`Ã`, `â`, `Ð`) and its one or two
continuation bytes (U+0080 to U+00BF, or `€`, `‚`, `™` and the like), unless capitals stand in front (`CAFÉ”`); (2) the
same in Windows-1251, where every second character is `Р` or `С` (`РџСЂРё`); (3) five or more different letters from
U+00C0 to U+00FF in a row, as Cyrillic, Greek, Hebrew or Arabic bytes become in Latin-1 (`Ïðèâåò`). Source: ftfy's
`badness` heuristic, https://ftfy.readthedocs.io, as a score.

Not counted are `ß` as a lead byte (of N'Ko; it stands in front of quotes: `»ß«`) and an accented letter in front of
dots and quotes only (`Iné…“`). Cleaning repairs most such text before the rule sees it.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from pairmill.curate import codepoints
from pairmill.curate.heuristics import kernels
from pairmill.curate.heuristics.scripts import properties
from pairmill.curate.heuristics.side import Side

VERSION = 2
_QUOTED = re.compile("[à-ï][…’”“‘„‚«»‹›–—]{2}")  # each was counted once


def score(side: Side) -> np.ndarray:
    places = np.zeros(len(side), np.int64)
    kernels.mojibake()(side.flat, side.offsets, _roles(), properties(), places)
    rows, texts = side.strings(places > 0)
    for row, text in zip(rows, texts, strict=True):
        places[row] -= len(_QUOTED.findall(text))
    return places.astype(np.float32)


@cache
def _roles() -> np.ndarray:
    """The uint8 table (0x110000,) of bits from code point to what it may be in wrongly decoded text."""
    table = np.zeros(codepoints.LIMIT, np.uint8)
    table[0xC0:0x100] = kernels.LATIN_1
    table[[0xD7, 0xF7]] = 0
    table[0xC2 : ord("ß")] |= kernels.LEAD_2
    table[0xE0:0xF0] |= kernels.LEAD_3
    table[0x420:0x422] |= kernels.LEAD_CYRILLIC
    table[0x80:0xC0] |= kernels.CONTINUATION
    signs = [character for character in bytes(range(0x80, 0xC0)).decode("cp1252", "ignore") if not character.isalpha()]
    table[[ord(character) for character in signs]] |= kernels.CONTINUATION
    return table
