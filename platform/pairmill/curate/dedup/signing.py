"""The inner loops from UTF-8 to signatures; importing this module imports numba, so import it where it is used.

Folding (`shingles`): a row is decoded, folded by the table, and, if it has code points that the table flags, searched
for neighbours that interact, by the rules of `folding`. Hashing: the windows of a folded row. Slots (`minhash`): the
first step visits every shingle once; the second takes the minima of 16 slots at a time for all shingles, which pages
hardly need and short texts live on. LLVM, left alone, works on half vectors on processors whose full ones are twice as
fast here (AVX-512), and loads and stores the minima for every shingle. So that step is written as LLVM vectors of 16
numbers: one register of AVX-512, two of AVX2, four of SSE or NEON.

All loops stand in this one file because numba's cache forgets compiled code only when the file of the outermost loop
changes.
"""

from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

from pairmill.compiled import Kernel, compile_kernel
from pairmill.curate.dedup.folding import COMPOSES, EXPANDS, MAY_BE_FINAL, ORDERED, SPACE

EMPTY = np.uint32(0xFFFFFFFF)
_SECOND = np.uint32(1 << 31)
LANES = 16
_AT_ONCE = 8
_HALF = np.uint64(32)
_BIT = np.uint32(1)

_VECTOR, _INT, _LONG = ir.VectorType(ir.IntType(32), LANES), ir.IntType(32), ir.IntType(64)

_CODE = np.uint32(EXPANDS - 1)
_EXPANDS, _FLAGGED = np.uint32(EXPANDS), np.uint32(ORDERED)
_SPACE = np.uint32(SPACE)
_LOW = np.uint32(0x3F)
_SIX = np.uint32(6)
_STEPS_BACK = 16
_JAMO = (0x1161, 0x11C2)
_CASED_GREEK = (0x391, 0x3CE)
_NO_GREEK_LETTER = 0x3A2
_WORD_STARTS_AFTER = (SPACE, 0xA)

_inner: Any = numba.njit(nogil=True)


@_inner
def _decode(data, i, stop, codes):  # type: ignore[no-untyped-def]
    n = 0
    while i < stop:
        code = np.uint32(data[i])
        if code < 0x80:
            i += 1
        elif code < 0xE0:
            code = (code & np.uint32(0x1F)) << _SIX | data[i + 1] & _LOW
            i += 2
        elif code < 0xF0:
            code = ((code & np.uint32(0xF)) << _SIX | data[i + 1] & _LOW) << _SIX | data[i + 2] & _LOW
            i += 3
        else:
            code = ((code & np.uint32(7)) << _SIX | data[i + 1] & _LOW) << _SIX | data[i + 2] & _LOW
            code = code << _SIX | data[i + 3] & _LOW
            i += 4
        codes[n] = code
        n += 1
    return n


@_inner
def _longest(offsets):  # type: ignore[no-untyped-def]
    longest = 0
    for row in range(offsets.size - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    return longest


@_inner
def _holds(ordered, value):  # type: ignore[no-untyped-def]
    low, high = 0, ordered.size
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low < ordered.size and ordered[low] == value


@_inner
def _moves(codes, i, head, tail):  # type: ignore[no-untyped-def]
    return i > 0 and tail[codes[i - 1]] > head[codes[i]]


@_inner
def _composes(codes, i, first, starter, pairs):  # type: ignore[no-untyped-def]
    """Whether it composes with the starter before it; marks in between are taken not to stand in the way."""
    second = first[codes[i]]
    if _JAMO[0] <= second <= _JAMO[1]:
        return True
    for back in range(i - 1, max(i - 1 - _STEPS_BACK, -1), -1):
        before = starter[codes[back]]
        if before:
            return _holds(pairs, np.uint64(before) << np.uint64(21) | np.uint64(second))
    return i > _STEPS_BACK


@_inner
def _may_be_final(codes, i, n):  # type: ignore[no-untyped-def]
    """Whether a capital sigma neither starts a word nor stands before a Greek letter."""
    if i == 0 or codes[i - 1] in _WORD_STARTS_AFTER:
        return False
    after = codes[i + 1] if i + 1 < n else _SPACE
    return not (_CASED_GREEK[0] <= after <= _CASED_GREEK[1] and after != _NO_GREEK_LETTER)


@_inner
def _interacts(codes, n, table, head, tail, first, starter, pairs):  # type: ignore[no-untyped-def]
    for i in range(n):
        flags = table[codes[i]]
        if flags >= _FLAGGED and (
            (flags & ORDERED and _moves(codes, i, head, tail))
            or (flags & COMPOSES and _composes(codes, i, first, starter, pairs))
            or (flags & MAY_BE_FINAL and _may_be_final(codes, i, n))
        ):
            return True
    return False


@_inner
def _fold_row(data, start, stop, codes, tables, out, size):  # type: ignore[no-untyped-def]
    """Fold the row data[start:stop] to `out` from `size`: returns the new size and whether neighbours interact.

    `codes` is room for the row. Neighbours may be said to interact without need, never the other way round.
    """
    table, head, tail, first, starter, pairs, expansions, expansion_offsets = tables
    n = _decode(data, start, stop, codes)
    last, flags = np.uint32(0), np.uint32(0)
    for i in range(n):
        value = table[codes[i]]
        if value >= _EXPANDS:
            flags |= value
            index = np.int64(value & _CODE)
            if value & _EXPANDS:
                for j in range(expansion_offsets[index], expansion_offsets[index + 1]):
                    value = expansions[j]
                    out[size] = value
                    size += (value != _SPACE) | (last != _SPACE)
                    last = value
                continue
            value = np.uint32(index)
        out[size] = value
        size += (value != _SPACE) | (last != _SPACE)  # without a branch, which would be mispredicted
        last = value
    return size, flags >= _FLAGGED and _interacts(codes, n, table, head, tail, first, starter, pairs)


@intrinsic
def _lower_lanes(context, least, factors, at, values, first):  # type: ignore[no-untyped-def]
    """least[k] = min(least[k], factors[k] v mod 2^32) for the LANES slots from `at` and _AT_ONCE values from `first`.

    All arrays are uint32.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        def pointer(array: int, index: Any) -> Any:
            data = context.make_array(signature.args[array])(context, builder, arguments[array]).data
            return builder.gep(data, [index])

        minima = builder.bitcast(pointer(0, arguments[2]), _VECTOR.as_pointer())
        factor = builder.load(builder.bitcast(pointer(1, arguments[2]), _VECTOR.as_pointer()), align=4)
        low = builder.load(minima, align=4)
        for i in range(_AT_ONCE):
            value = builder.load(pointer(3, builder.add(arguments[4], _LONG(i))))
            one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, _INT(0))
            all_lanes = builder.shuffle_vector(one, one, ir.Constant(_VECTOR, None))
            product = builder.mul(factor, all_lanes)
            low = builder.select(builder.icmp_unsigned("<", product, low), product, low)
        builder.store(low, minima, align=4)
        return context.get_dummy_value()

    return types.void(least, factors, types.intp, values, types.intp), generate


_lower: Any = _lower_lanes


@_inner
def _hash_row(flat, start, stop, size, multipliers, out, count):  # type: ignore[no-untyped-def]
    """Hash all windows of `size` values of flat[start:stop], or all of it if it is shorter, to `out` from `count`."""
    base, mix, end = multipliers[0], multipliers[1], multipliers[2]
    oldest = base
    for _ in range(size):
        oldest *= base
    h = np.uint64(0)
    for i in range(start, min(start + size, stop)):
        h = (h + np.uint64(flat[i])) * base
    for i in range(start + size, stop):
        g = (h ^ (h >> _HALF)) * mix
        g = (g ^ (g >> np.uint64(29))) * end
        out[count] = g ^ (g >> _HALF)
        count += 1
        h = h * base + (np.uint64(flat[i]) * base - np.uint64(flat[i - size]) * oldest)
    if stop > start:
        g = (h ^ (h >> _HALF)) * mix + np.uint64(stop - start if stop - start < size else 0)
        g = (g ^ (g >> np.uint64(29))) * end
        out[count] = g ^ (g >> _HALF)
        count += 1
    return count


@_inner
def _sign_row(hashes, n, factors, spread, room, out):  # type: ignore[no-untyped-def]
    """Write the slots `out` of a row's n hashes; `room` holds values (n + _AT_ONCE), lacking, some, found."""
    values, lacking, some, found = room
    slots = out.size
    out[:] = EMPTY
    for i in range(n):
        x = hashes[i] * spread
        k = ((x >> _HALF) * np.uint64(slots)) >> _HALF
        out[k] = min(out[k], np.uint32(x) >> _BIT)
        values[i] = np.uint32(x) | _BIT
    count = np.uint32(0)
    for k in range(slots):
        count += np.uint32(out[k] == EMPTY)
    if n == 0 or count == 0:
        return
    values[n : n + _AT_ONCE] = values[0]
    found[:] = EMPTY
    if 2 * count > slots:
        for at in range(0, slots, LANES):
            for i in range(0, n, _AT_ONCE):
                _lower(found, factors, at, values, i)
        for k in range(slots):
            out[k] = found[k] >> _BIT | _SECOND if out[k] == EMPTY else out[k]
        return
    m = 0
    for k in range(slots):
        lacking[m] = k
        m += out[k] == EMPTY
    for j in range(m):
        some[j] = factors[lacking[j]]
    for at in range(0, m, LANES):
        for i in range(0, n, _AT_ONCE):
            _lower(found, some, at, values, i)
    for j in range(m):
        out[lacking[j]] = found[j] >> _BIT | _SECOND


@_inner
def _room(longest, slots):  # type: ignore[no-untyped-def]
    wide = slots + LANES
    values = np.empty(longest + _AT_ONCE, np.uint32)
    return values, np.empty(slots + 1, np.uint16), np.empty(wide, np.uint32), np.empty(wide, np.uint32)


@_inner
def _ordered(hashes, n, starts, out, at):  # type: ignore[no-untyped-def]
    """Write n hashes to `out` from `at`, ascending and each once, and return how many; `starts` has room for 4 n + 2.

    Hashes spread evenly over their first bits: these sort them into 2 n pieces or more, and insertion does the rest.
    """
    shift = 63
    while 1 << (64 - shift) < 2 * n:
        shift -= 1
    first, pieces = np.uint64(shift), 1 << (64 - shift)
    starts[: pieces + 1] = 0
    for i in range(n):
        starts[np.int64(hashes[i] >> first) + 1] += 1
    for k in range(pieces):
        starts[k + 1] += starts[k]
    for i in range(n):
        piece = np.int64(hashes[i] >> first)
        out[at + starts[piece]] = hashes[i]
        starts[piece] += 1
    for i in range(at + 1, at + n):
        value, j = out[i], i
        while j > at and out[j - 1] > value:
            out[j] = out[j - 1]
            j -= 1
        out[j] = value
    count = min(n, 1)
    for i in range(at + 1, at + n):
        value = out[i]
        if value != out[at + count - 1]:
            out[at + count] = value
            count += 1
    return count


def _fold(  # type: ignore[no-untyped-def]
    data, offsets, table, head, tail, first, starter, pairs, expansions, expansion_offsets, out, out_offsets, rows
):
    tables = (table, head, tail, first, starter, pairs, expansions, expansion_offsets)
    codes = np.empty(_longest(offsets), np.uint32)
    size = found = 0
    out_offsets[0] = 0
    for row in range(offsets.size - 1):
        size, interacts = _fold_row(data, offsets[row], offsets[row + 1], codes, tables, out, size)
        out_offsets[row + 1] = size
        rows[found] = row
        found += interacts
    return found


def _hash_windows(flat, offsets, size, multipliers, out, out_offsets):  # type: ignore[no-untyped-def]
    out_offsets[0] = 0
    for row in range(offsets.size - 1):
        out_offsets[row + 1] = _hash_row(flat, offsets[row], offsets[row + 1], size, multipliers, out, out_offsets[row])


def _lowest(hashes, offsets, factors, spread, out):  # type: ignore[no-untyped-def]
    room = _room(_longest(offsets), out.shape[1])
    for row in range(offsets.size - 1):
        start, stop = offsets[row], offsets[row + 1]
        _sign_row(hashes[start:stop], stop - start, factors, spread, room, out[row])


def _sign(  # type: ignore[no-untyped-def]
    data, offsets, table, head, tail, first, starter, pairs, expansions, expansion_offsets, longest, size, multipliers,
    factors, spread, out, rows,
):  # fmt: skip
    tables = (table, head, tail, first, starter, pairs, expansions, expansion_offsets)
    codes = np.empty(_longest(offsets), np.uint32)
    folded = np.empty(codes.size * longest + 1, np.uint32)
    hashes = np.empty(folded.size, np.uint64)
    room = _room(folded.size, out.shape[1])
    found = 0
    for row in range(offsets.size - 1):
        length, interacts = _fold_row(data, offsets[row], offsets[row + 1], codes, tables, folded, 0)
        n = _hash_row(folded, 0, length, size, multipliers, hashes, 0)
        _sign_row(hashes, n, factors, spread, room, out[row])
        rows[found] = row
        found += interacts
    return found


def _sets(  # type: ignore[no-untyped-def]
    data, offsets, table, head, tail, first, starter, pairs, expansions, expansion_offsets, longest, size, multipliers,
    out, out_offsets, rows,
):  # fmt: skip
    tables = (table, head, tail, first, starter, pairs, expansions, expansion_offsets)
    codes = np.empty(_longest(offsets), np.uint32)
    folded = np.empty(codes.size * longest + 1, np.uint32)
    hashes, starts = np.empty(folded.size, np.uint64), np.empty(4 * codes.size + 4, np.int32)
    found = count = 0
    out_offsets[0] = 0
    for row in range(offsets.size - 1):
        room = offsets[row + 1] - offsets[row]
        length, interacts = _fold_row(data, offsets[row], offsets[row + 1], codes, tables, folded, 0)
        n = _hash_row(folded, 0, length, size, multipliers, hashes, 0)
        rows[found] = row
        if interacts or n > room:
            found += 1
        else:
            count += _ordered(hashes, n, starts, out, count)
        out_offsets[row + 1] = count
    return found


# FOLD(data, offsets, *tables, out, out_offsets, rows) folds rows of UTF-8 into code points, `out` with `out_offsets`,
# and returns how many rows have code points that interact, written to `rows`.
_TABLES = "uint32[] uint8[] uint8[] uint32[] uint32[] uint64[] uint32[] int64[]"
FOLD: Kernel = compile_kernel(_fold, f"uint8[] int64[] {_TABLES}", "uint32[::1] int64[::1] int64[::1]", "int64")
# HASH_WINDOWS(flat, offsets, size, multipliers, out, out_offsets) hashes the windows of rows of code points.
HASH_WINDOWS: Kernel = compile_kernel(_hash_windows, "uint32[] int64[] int64 uint64[]", "uint64[::1] int64[::1]")
# LOWEST(hashes, offsets, factors, spread, out) writes the slots (n, slots) of rows of hashes.
LOWEST: Kernel = compile_kernel(_lowest, "uint64[] int64[] uint32[] uint64", "uint32[:,::1]")
# SIGN(data, offsets, *tables, longest, size, multipliers, factors, spread, out, rows): all that from UTF-8, row by row,
# so that nothing in between leaves the cache. Returns how many rows, written to `rows`, are left to plain Python.
SIGN: Kernel = compile_kernel(
    _sign, f"uint8[] int64[] {_TABLES} int64 int64 uint64[] uint32[] uint64", "uint32[:,::1] int64[::1]", "int64"
)
# SETS(data, offsets, *tables, longest, size, multipliers, out, out_offsets, rows) writes the sorted sets of hashes;
# `out` has room for as many as there are bytes. The sets of the rows left to plain Python, as by SIGN, and of those
# with more windows than bytes, are empty.
SETS: Kernel = compile_kernel(
    _sets, f"uint8[] int64[] {_TABLES} int64 int64 uint64[]", "uint64[::1] int64[::1] int64[::1]", "int64"
)
