"""The inner loops of the repairs, compiled by numba when first used (see `compiled.py`).

Those that write texts read and write UTF-8. They only drop characters or put shorter ones in their place, so that the
output (`out`, and the rows' `out_offsets` in it) is never longer than the input.
"""

# mypy: disable-error-code=assignment
from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa

from pairmill.compiled import Kernel, compile_kernel
from pairmill.curate import codepoints
from pairmill.pairs.strings import byte_offsets

KEEP, REMOVE, BREAK, JOINER, TAG = range(5)  # what is done with a character, see `curate/invisible.py`
IS_JOINING, IS_VIRAMA, IS_EMOJI = 1, 2, 4  # what a character is to a joiner beside it
ZWJ, BLACK_FLAG = 0x200D, 0x1F3F4
LEAD, FOLLOWER, FOREIGN, LATIN_LEAD, LETTER, INDIC, C1 = (1 << bit for bit in range(7))  # see `mojibake.py`


def rewrite(kernel: Kernel, texts: pa.LargeStringArray, *arguments: object) -> pa.LargeStringArray:
    """Call kernel(raw, offsets, *arguments, out, out_offsets) on texts; returns what it writes."""
    data, offsets = byte_offsets(texts)
    raw = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]]
    out, out_offsets = np.empty(len(raw), np.uint8), np.zeros(len(offsets), np.int64)
    kernel(raw, offsets - offsets[0], *arguments, out, out_offsets)
    buffers = pa.py_buffer(out_offsets), pa.py_buffer(out[: out_offsets[-1]].copy())
    return pa.LargeStringArray.from_buffers(len(texts), *buffers)


@cache
def collapse() -> Kernel:
    """Return collapse(raw, offsets, spaces, breaks, out, out_offsets): see `whitespace.py`.

    `spaces` and `breaks` are tables by code point (up to 0x10000) of white space, and of what makes of it a line feed.
    """
    return compile_kernel(_collapse, "uint8[] int64[] boolean[] boolean[]", "uint8[::1] int64[::1]")


@cache
def remove() -> Kernel:
    """Return remove(raw, offsets, actions, neighbours, out, out_offsets): see `curate/invisible.py`.

    `actions` and `neighbours` are tables by code point: KEEP to TAG, and bits IS_JOINING to IS_EMOJI.
    """
    return compile_kernel(_remove, "uint8[] int64[] uint8[] uint8[]", "uint8[::1] int64[::1]")


@cache
def garbled() -> Kernel:
    """Return garbled(points, roles, places): what the code points of a text hold of wrongly decoded text.

    -1 if a C1 control, or letters that only half-decoding puts side by side; else how many places may be UTF-8 read in
    a one-byte encoding. Their starts and ends are written to `places` (most, 2) until it is full.
    """
    return compile_kernel(_garbled, "uint32[] uint8[]", "int64[:,::1]", "int64")


def _collapse(raw, offsets, spaces, breaks, out, out_offsets):  # type: ignore[no-untyped-def]
    n = 0
    for row in range(offsets.size - 1):
        i, stop, first = offsets[row], offsets[row + 1], n
        waiting = np.uint8(0)  # the white space since the last character
        while i < stop:
            c = np.int64(raw[i])
            width = 1 + (c >= 0xC0) + (c >= 0xE0) + (c >= 0xF0)
            if i + width > stop:
                break
            if width == 2:
                c = (c & 0x1F) << 6 | raw[i + 1] & 0x3F
            elif width == 3:
                c = (c & 0x0F) << 12 | (raw[i + 1] & 0x3F) << 6 | raw[i + 2] & 0x3F
            if width < 4 and spaces[c]:  # no white space needs four
                waiting = np.uint8(0x0A) if waiting == 0x0A or breaks[c] else np.uint8(0x20)
            else:
                if waiting and n > first:
                    out[n] = waiting
                    n += 1
                waiting = np.uint8(0)
                for step in range(width):
                    out[n + step] = raw[i + step]
                n += width
            i += width
        out_offsets[row + 1] = n


def _remove(raw, offsets, actions, neighbours, out, out_offsets):  # type: ignore[no-untyped-def]
    n = 0
    for row in range(offsets.size - 1):
        i, stop = offsets[row], offsets[row + 1]
        joiner = 0  # the one that waits for the character behind it
        before, kept, last = np.uint8(0), 0, 0  # neighbours of what is before it; the last character kept, and read
        keeps_tags = False
        while i < stop:
            c = np.int64(raw[i])
            width = 1 + (c >= 0xC0) + (c >= 0xE0) + (c >= 0xF0)
            if i + width > stop:
                break
            if width == 2:
                c = (c & 0x1F) << 6 | raw[i + 1] & 0x3F
            elif width == 3:
                c = (c & 0x0F) << 12 | (raw[i + 1] & 0x3F) << 6 | raw[i + 2] & 0x3F
            elif width == 4:
                c = (c & 0x07) << 18 | (raw[i + 1] & 0x3F) << 12 | (raw[i + 2] & 0x3F) << 6 | raw[i + 3] & 0x3F
                c = c if c < codepoints.LIMIT else 0
            action, begin, of_two = actions[c], i, c == 0x0A and last == 0x0D
            i, last = i + width, c
            if action == REMOVE or of_two:
                continue
            if action == JOINER:
                joiner = joiner if joiner else c
                continue
            kind = neighbours[c]
            if joiner:
                both = before & kind
                if before & IS_VIRAMA or both & IS_JOINING or (joiner == ZWJ and both & IS_EMOJI):
                    out[n], out[n + 1], out[n + 2] = 0xE2, 0x80, 0x80 | joiner & 0x3F
                    n += 3
                    kept = joiner
                joiner = 0
            before = kind
            if action == TAG:
                keeps_tags = kept == BLACK_FLAG or (keeps_tags and actions[kept] == TAG)
                if not keeps_tags:
                    kept = c
                    continue
            kept = c
            if action == BREAK:
                out[n] = 0x0A
                n += 1
                continue
            for step in range(width):
                out[n + step] = raw[begin + step]
            n += width
        if joiner and before & IS_VIRAMA:
            out[n], out[n + 1], out[n + 2] = 0xE2, 0x80, 0x80 | joiner & 0x3F
            n += 3
        out_offsets[row + 1] = n


def _garbled(points, roles, places):  # type: ignore[no-untyped-def]
    found, free, size = 0, 0, points.size  # before `free` all belongs to places found
    for i in range(size):
        c = points[i]
        if c < 0x80 and not roles[c] & LETTER:
            continue
        role = roles[c]
        if role & C1:
            return -1
        if i + 1 == size:
            break
        ahead = roles[points[i + 1]]
        if (role & LATIN_LEAD and ahead & FOREIGN) or (role & FOREIGN and ahead & LATIN_LEAD):
            return -1
        if role & LETTER and ahead & INDIC and not (i + 2 < size and roles[points[i + 2]] & FOREIGN):
            return -1
        if i < free:
            continue
        if role & LEAD and ahead & FOLLOWER:
            free = i + 2
            while free < size and (points[free] == 0x20 or roles[points[free]] & (LEAD | FOLLOWER)):
                free += 1
        elif (c == 0xC2 or c == 0xC3) and points[i + 1] == 0x20:
            free = i + 2
        else:
            continue
        if found < places.shape[0]:
            places[found, 0], places[found, 1] = i, free
        found += 1
    return found
