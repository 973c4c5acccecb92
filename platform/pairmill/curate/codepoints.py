"""Text columns as flat arrays of Unicode code points, so that curation can work in NumPy instead of row by row.

1. `decode` cuts the used bytes out of an Arrow string array and turns them into UTF-32 in one call.
2. Row boundaries come from Arrow's own count of code points per row.
3. `classes` is one look-up table from code point to a coarse class: `classes()[flat]` classifies a whole batch.
4. `encode` turns code points back into an Arrow array.
"""

import unicodedata
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.pairs.strings import byte_offsets

LIMIT = 0x110000

OTHER = 0
LETTER = 1
MARK = 2
DIGIT = 3
OTHER_NUMBER = 4
SPACE = 5
PUNCTUATION = 6
SYMBOL = 7
CONTROL = 8

WHITE_SPACE_CONTROLS = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85"

_CLASS_OF_CATEGORY = {
    **dict.fromkeys(["Lu", "Ll", "Lt", "Lm", "Lo"], LETTER),
    **dict.fromkeys(["Mn", "Mc", "Me"], MARK),
    "Nd": DIGIT,
    **dict.fromkeys(["Nl", "No"], OTHER_NUMBER),
    **dict.fromkeys(["Zs", "Zl", "Zp"], SPACE),
    **dict.fromkeys(["Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"], PUNCTUATION),
    **dict.fromkeys(["Sm", "Sc", "Sk", "So"], SYMBOL),
    **dict.fromkeys(["Cc", "Cf"], CONTROL),
    **dict.fromkeys(["Cs", "Co", "Cn"], OTHER),
}
# Planes 0-3 and the tags of plane 14; everything else is unassigned or private.
_ASSIGNED = ((0x0, 0x40000), (0xE0000, 0xE1000))


def decode(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Decode a string or large_string array without nulls (it may be sliced).

    Returns the rows' code points, joined, as uint32, and the int64 offsets (n + 1) of the rows in code points.
    """
    data, rows = byte_offsets(column)
    text = str(data[rows[0] : rows[-1]], "utf-8")
    flat = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    if len(flat) == rows[-1] - rows[0]:
        return flat, rows - rows[0]
    offsets = np.zeros(len(rows), np.int64)
    np.cumsum(pc.utf8_length(column).to_numpy(zero_copy_only=False), out=offsets[1:])
    return flat, offsets


def encode(flat: np.ndarray, offsets: np.ndarray) -> pa.LargeStringArray:
    """Encode code points (uint32) and row offsets (n + 1, starting anywhere in `flat`): the inverse of `decode`."""
    used = np.ascontiguousarray(flat[offsets[0] : offsets[-1]], np.uint32)
    data = used.tobytes().decode("utf-32-le").encode()
    rows = np.asarray(offsets, np.int64) - offsets[0]
    if len(data) != len(used):
        ends = np.zeros(len(used) + 1, np.int64)
        np.cumsum(_utf8_width(used), out=ends[1:])
        rows = ends[rows]
    return pa.LargeStringArray.from_buffers(len(rows) - 1, pa.py_buffer(rows), pa.py_buffer(data))


def _utf8_width(flat: np.ndarray) -> np.ndarray:
    width = np.ones(len(flat), np.uint8)
    for first_wider in (0x80, 0x800, 0x10000):
        width += flat >= first_wider
    return width


@cache
def classes() -> np.ndarray:
    """Return the uint8 table (0x110000,) from code point to class constant.

    SPACE holds Z* and the white-space controls, CONTROL the other Cc and Cf, OTHER what is unassigned or private.
    """
    table = np.full(LIMIT, OTHER, np.uint8)
    for first, last in _ASSIGNED:
        names = map(unicodedata.category, map(chr, range(first, last)))
        table[first:last] = np.fromiter(map(_CLASS_OF_CATEGORY.__getitem__, names), np.uint8, last - first)
    table[[ord(c) for c in WHITE_SPACE_CONTROLS]] = SPACE
    table.flags.writeable = False
    return table
