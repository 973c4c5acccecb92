"""Control and invisible characters: which are removed, which become line breaks, and which matter.

- Line breaks of any kind (CR, CR LF, VT, FF, FS to US, NEL, U+2028, U+2029) become a line feed; tab and line feed stay.
- Removed: other controls, soft hyphen, zero-width space, word joiner, byte order mark, marks and embeddings of
  direction, invisible operators, interlinear annotation, noncharacters such as U+FFFE, private use (bullets and icons
  of fonts that are not here).
- The joiners ZWJ and ZWNJ are spelling in some scripts and noise elsewhere. They stay
    behind a virama (combining class 9): they choose conjunct or half form, also at the end of a word (Malayalam);
    between two letters or marks of a joining or Indic script: Persian writes its prefixes and plurals with ZWNJ;
    ZWJ between two emoji, modifiers and U+FE0F included: families, professions, flags are joined by it.
  Of several joiners in a row the first is looked at, the others go.
- Tags (U+E0020 to U+E007F) stay behind a black flag: they spell the flags of England, Scotland and Wales.
- Everything else of category Cf stays: Arabic number signs, Egyptian and musical controls are visible or needed.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import pyarrow as pa

from pairmill.curate import codepoints
from pairmill.curate.repairs import kernels
from pairmill.curate.repairs.kernels import BREAK, IS_EMOJI, IS_JOINING, IS_VIRAMA, JOINER, REMOVE, TAG, ZWJ

_REMOVED = (
    (0x00, 0x08), (0x0E, 0x1B), (0x7F, 0x84), (0x86, 0x9F), (0xAD, 0xAD), (0x61C, 0x61C), (0x200B, 0x200B),
    (0x200E, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0xFDD0, 0xFDEF), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB),
    (0xFFFE, 0xFFFF), (0xE0001, 0xE0001), (0xE000, 0xF8FF),
    (0xF0000, 0x10FFFF),
)  # fmt: skip
_BREAKS = "\r\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029"
_JOINING = ((0x600, 0x8FF), (0x900, 0xDFF), (0xF00, 0x109F), (0x1780, 0x18AF), (0xA840, 0xA8FF), (0xFB50, 0xFDFF),
            (0xFE70, 0xFEFE), (0x10AC0, 0x10AFF), (0x11000, 0x1134F), (0x1E900, 0x1E95F))  # fmt: skip
_EMOJI = ((0x203C, 0x203C), (0x2049, 0x2049), (0x2190, 0x21FF), (0x2300, 0x23FF), (0x25A0, 0x27BF), (0x2900, 0x297F),
          (0x2B00, 0x2BFF), (0xFE0F, 0xFE0F), (0x1F000, 0x1FAFF))  # fmt: skip


@cache
def actions() -> np.ndarray:
    """Return the uint8 table (0x110000,) from code point to KEEP, REMOVE, BREAK, JOINER or TAG."""
    table = np.zeros(codepoints.LIMIT, np.uint8)
    for first, last in _REMOVED:
        table[first : last + 1] = REMOVE
    table[[ord(c) for c in _BREAKS]] = BREAK
    table[[0x200C, ZWJ]] = JOINER
    table[0xE0020:0xE0080] = TAG
    return table


@cache
def _neighbours() -> np.ndarray:
    """What a code point is to a joiner beside it: bits of IS_JOINING, IS_VIRAMA, IS_EMOJI."""
    table = np.zeros(codepoints.LIMIT, np.uint8)
    classes = codepoints.classes()
    for first, last in _JOINING:
        table[first : last + 1][np.isin(classes[first : last + 1], (codepoints.LETTER, codepoints.MARK))] |= IS_JOINING
    for point in np.flatnonzero(classes == codepoints.MARK).tolist():
        if unicodedata.combining(chr(point)) == 9:
            table[point] |= IS_VIRAMA
    for first, last in _EMOJI:
        table[first : last + 1] |= IS_EMOJI
    return table


def remove(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """Remove control and invisible characters and unify line breaks, as the module says."""
    return kernels.rewrite(kernels.remove(), texts, actions(), _neighbours())
