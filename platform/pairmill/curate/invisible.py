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

from pairmill.curate import arrays, codepoints

KEEP, REMOVE, BREAK, JOINER, TAG = range(5)
_REMOVED = (
    (0x00, 0x08), (0x0E, 0x1B), (0x7F, 0x84), (0x86, 0x9F), (0xAD, 0xAD), (0x61C, 0x61C), (0x200B, 0x200B),
    (0x200E, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0xFDD0, 0xFDEF), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB),
    (0xFFFE, 0xFFFF), (0xE0001, 0xE0001), (0xE000, 0xF8FF),
    (0xF0000, 0x10FFFF),
)  # fmt: skip
_BREAKS = "\r\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029"
_ZWJ = 0x200D
_BLACK_FLAG = 0x1F3F4
_JOINING = ((0x600, 0x8FF), (0x900, 0xDFF), (0xF00, 0x109F), (0x1780, 0x18AF), (0xA840, 0xA8FF), (0xFB50, 0xFDFF),
            (0xFE70, 0xFEFE), (0x10AC0, 0x10AFF), (0x11000, 0x1134F), (0x1E900, 0x1E95F))  # fmt: skip
_EMOJI = ((0x203C, 0x203C), (0x2049, 0x2049), (0x2190, 0x21FF), (0x2300, 0x23FF), (0x25A0, 0x27BF), (0x2900, 0x297F),
          (0x2B00, 0x2BFF), (0xFE0F, 0xFE0F), (0x1F000, 0x1FAFF))  # fmt: skip
_IS_JOINING, _IS_VIRAMA, _IS_EMOJI = 1, 2, 4


@cache
def actions() -> np.ndarray:
    """Return the uint8 table (0x110000,) from code point to KEEP, REMOVE, BREAK, JOINER or TAG."""
    table = np.zeros(codepoints.LIMIT, np.uint8)
    for first, last in _REMOVED:
        table[first : last + 1] = REMOVE
    table[[ord(c) for c in _BREAKS]] = BREAK
    table[[0x200C, _ZWJ]] = JOINER
    table[0xE0020:0xE0080] = TAG
    return table


@cache
def _neighbours() -> np.ndarray:
    """What a code point is to a joiner beside it: bits of _IS_JOINING, _IS_VIRAMA, _IS_EMOJI."""
    table = np.zeros(codepoints.LIMIT, np.uint8)
    classes = codepoints.classes()
    for first, last in _JOINING:
        table[first : last + 1][np.isin(classes[first : last + 1], (codepoints.LETTER, codepoints.MARK))] |= _IS_JOINING
    for point in np.flatnonzero(classes == codepoints.MARK).tolist():
        if unicodedata.combining(chr(point)) == 9:
            table[point] |= _IS_VIRAMA
    for first, last in _EMOJI:
        table[first : last + 1] |= _IS_EMOJI
    return table


def remove(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """Remove control and invisible characters and unify line breaks, as the module says."""
    flat, offsets = codepoints.decode(texts)
    action = actions()[flat]
    if not action.any():
        return texts
    second = (flat == 0x0A) & (arrays.before(flat, offsets) == 0x0D)
    flat = np.where(action == BREAK, np.uint32(0x0A), flat)
    flat, offsets = arrays.compress(flat, offsets, (action != REMOVE) & ~second)
    for stray in (_repeated_joiners, _stray_joiners, _stray_tags):
        if (drop := stray(flat, offsets)).any():
            flat, offsets = arrays.compress(flat, offsets, ~drop)
    return codepoints.encode(flat, offsets)


def _repeated_joiners(flat: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    joiner = actions()[flat] == JOINER
    return joiner & arrays.before(joiner, offsets)


def _stray_joiners(flat: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    joiner = actions()[flat] == JOINER
    if not joiner.any():
        return joiner
    kinds = _neighbours()[flat]
    before = arrays.before(kinds, offsets)
    both = before & arrays.after(kinds, offsets)
    needed = (before & _IS_VIRAMA) | (both & _IS_JOINING) | np.where(flat == _ZWJ, both & _IS_EMOJI, 0)
    return joiner & (needed == 0)


def _stray_tags(flat: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    tag = actions()[flat] == TAG
    if not tag.any():
        return tag
    start = tag & ~arrays.before(tag, offsets)
    flagged = arrays.before(flat, offsets)[start] == _BLACK_FLAG
    tag[tag] = ~flagged[np.cumsum(start)[tag] - 1]
    return tag
