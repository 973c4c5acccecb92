"""The five inner loops of near duplicates, compiled by numba when first used.

They are loops because the same steps in NumPy write and read a temporary array per step, at three to seven times the
CPU. Compiling takes about 1.5 CPU-seconds, once per machine (numba keeps the code beside this file or in the user's
cache directory, if either can be written) and 0.5 s per process. None of the loops holds the GIL.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

Kernel = Callable[..., Any]


def compile_kernel(function: Kernel, inputs: str, outputs: str, result: str = "void") -> Kernel:
    """Compile a function of arrays and numbers that may only be read, and of arrays that are written."""
    import numba

    def read(name: str) -> Any:
        kind, dimensions = getattr(numba.types, name.rstrip("[]")), name.count("[]")
        return numba.types.Array(kind, dimensions, "C", readonly=True) if dimensions else kind

    written = [numba.core.sigutils.normalize_signature(f"void({name})")[0][0] for name in outputs.split()]
    signature = getattr(numba.types, result)(*map(read, inputs.split()), *written)
    try:
        return numba.njit(signature, nogil=True, cache=True)(function)
    except RuntimeError:  # neither this directory nor the user's cache directory can be written
        return numba.njit(signature, nogil=True)(function)


@cache
def fold() -> Kernel:
    """Return fold(flat, offsets, table, expands, flagged, expansions, expansion_offsets, out, out_offsets, at).

    Writes the folded rows to `out` and `out_offsets`, spaces collapsed, and the positions in `flat` whose table value
    is at least `flagged` to `at`, and returns how many these are. A table value is a code below `expands`, or an index
    with that bit set.
    """
    inputs = "uint32[] int64[] uint32[] uint32 uint32 uint32[] int64[]"
    return compile_kernel(_fold, inputs, "uint32[::1] int64[::1] int64[::1]", "int64")


@cache
def hash_windows() -> Kernel:
    """Return hash_windows(flat, offsets, size, multipliers, out, out_offsets).

    Writes the hashes of all windows of `size` values of each row, or of the whole row if it is shorter, not empty.
    """
    return compile_kernel(_hash_windows, "uint32[] int64[] int64 uint64[]", "uint64[::1] int64[::1]")


@cache
def lowest() -> Kernel:
    """Return lowest(hashes, offsets, factors, terms, out): out[row, k] = min(out, factors[k] h + terms[k] mod 2^32).

    h is the high half of each of the row's hashes.
    """
    return compile_kernel(_lowest, "uint64[] int64[] uint32[] uint32[]", "uint32[:,::1]")


@cache
def unique() -> Kernel:
    """Return unique(values, offsets, out, out_offsets): writes each sorted row without its repeats."""
    return compile_kernel(_unique, "uint64[] int64[]", "uint64[::1] int64[::1]")


@cache
def walk() -> Kernel:
    """Return walk(rows, buckets, count, values, offsets, threshold, labels, kept, partner, jaccard, holder).

    It is the walk of `resolve`.

    `rows` are visited in order. A row is compared with the kept rows of its buckets (`buckets[i]`, below `count`), each
    a sorted set values[offsets[row]:offsets[row + 1]]. A row whose label is held by a kept row (`holder[label]`) goes.
    """
    inputs = "int64[] int64[][] int64 uint64[] int64[] float64 int64[]"
    return compile_kernel(_walk, inputs, "boolean[::1] int64[::1] float32[::1] int64[::1]")


def _fold(  # type: ignore[no-untyped-def]
    flat, offsets, table, expands, flagged, expansions, expansion_offsets, out, out_offsets, at
):
    size = found = 0
    out_offsets[0] = 0
    for row in range(offsets.size - 1):
        last = np.uint32(0)
        for i in range(offsets[row], offsets[row + 1]):
            value = table[flat[i]]
            if value >= expands:
                if value >= flagged:
                    at[found] = i
                    found += 1
                index = np.int64(value & np.uint32(expands - 1))
                if value & expands:
                    for j in range(expansion_offsets[index], expansion_offsets[index + 1]):
                        value = expansions[j]
                        if value != 32 or last != 32:
                            out[size] = value
                            size += 1
                        last = value
                    continue
                value = np.uint32(index)
            if value != 32 or last != 32:
                out[size] = value
                size += 1
            last = value
        out_offsets[row + 1] = size
    return found


def _hash_windows(flat, offsets, size, multipliers, out, out_offsets):  # type: ignore[no-untyped-def]
    base, mix, end = multipliers[0], multipliers[1], multipliers[2]
    oldest = np.uint64(1)
    for _ in range(size):
        oldest *= base
    count = 0
    out_offsets[0] = 0
    for row in range(offsets.size - 1):
        start, stop = offsets[row], offsets[row + 1]
        h = np.uint64(0)
        for i in range(start, min(start + size, stop)):
            h = (h + np.uint64(flat[i])) * base
        for i in range(start + size, stop + (stop - start >= size)):
            g = (h ^ (h >> np.uint64(32))) * mix
            g = (g ^ (g >> np.uint64(29))) * end
            out[count] = g ^ (g >> np.uint64(32))
            count += 1
            if i < stop:
                h = (h + np.uint64(flat[i])) * base - oldest * np.uint64(flat[i - size]) * base
        if 0 < stop - start < size:
            g = (h ^ (h >> np.uint64(32))) * mix + np.uint64(stop - start)
            g = (g ^ (g >> np.uint64(29))) * end
            out[count] = g ^ (g >> np.uint64(32))
            count += 1
        out_offsets[row + 1] = count


def _lowest(hashes, offsets, factors, terms, out):  # type: ignore[no-untyped-def]
    half = np.uint64(32)
    longest = 0
    for row in range(offsets.size - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    kept = np.empty(longest + 1, np.uint32)
    seen = np.empty(2048, np.uint64)
    for row in range(offsets.size - 1):
        n = 0
        if offsets[row + 1] - offsets[row] < 512:
            for i in range(offsets[row], offsets[row + 1]):
                kept[n] = np.uint32(hashes[i] >> half)
                n += 1
        else:  # two fifths of a page's shingles repeat earlier ones: leave out those that a small table remembers
            for slot in range(2048):
                seen[slot] = slot ^ 1  # no hash that belongs into the slot
            for i in range(offsets[row], offsets[row + 1]):
                slot = hashes[i] & np.uint64(2047)
                kept[n] = np.uint32(hashes[i] >> half)
                n += seen[slot] != hashes[i]  # without a branch, which would be mispredicted
                seen[slot] = hashes[i]
        for i in range(0, n, 4):  # four at a time, so that a slot is loaded and stored once for four
            a, b = kept[i], kept[min(i + 1, n - 1)]
            c, d = kept[min(i + 2, n - 1)], kept[min(i + 3, n - 1)]
            for k in range(factors.size):
                f, t = factors[k], terms[k]
                ab = min(np.uint32(f * a + t), np.uint32(f * b + t))
                cd = min(np.uint32(f * c + t), np.uint32(f * d + t))
                out[row, k] = min(out[row, k], min(ab, cd))


def _unique(values, offsets, out, out_offsets):  # type: ignore[no-untyped-def]
    count = 0
    out_offsets[0] = 0
    for row in range(offsets.size - 1):
        for i in range(offsets[row], offsets[row + 1]):
            if i == offsets[row] or values[i] != values[i - 1]:
                out[count] = values[i]
                count += 1
        out_offsets[row + 1] = count


def _walk(  # type: ignore[no-untyped-def]
    rows, buckets, count, values, offsets, threshold, labels, kept, partner, jaccard, holder
):
    width = buckets.shape[1]
    head = np.full(count, -1, np.int64)  # of each bucket's list of kept rows, as index * width + place
    tail = np.full(count, -1, np.int64)
    following = np.full(buckets.size, -1, np.int64)
    compared_with = np.full(rows.size, -1, np.int64)
    for i in range(rows.size):
        row = rows[i]
        if holder[labels[row]] >= 0:
            partner[row], jaccard[row] = holder[labels[row]], 1.0
            continue
        start, stop = offsets[row], offsets[row + 1]
        best = rows.size
        for place in range(width):
            link = head[buckets[i, place]]
            while link >= 0:
                other = link // width
                if other >= best:
                    break
                link = following[link]
                if compared_with[other] == i:
                    continue
                compared_with[other] = i
                first, last = offsets[rows[other]], offsets[rows[other] + 1]
                small, large = min(stop - start, last - first), max(stop - start, last - first)
                if small == 0 or small / large < threshold:
                    continue
                x, y, common = start, first, 0
                while x < stop and y < last:
                    left, right = values[x], values[y]
                    x += left <= right
                    y += right <= left
                    common += left == right
                similarity = common / (small + large - common)
                if similarity >= threshold:
                    best = other
                    jaccard[row] = similarity
                    break
        if best < rows.size:
            partner[row] = rows[best]
            continue
        kept[row] = True
        holder[labels[row]] = row
        for place in range(width):
            bucket, link = buckets[i, place], i * width + place
            if tail[bucket] < 0:
                head[bucket] = link
            else:
                following[tail[bucket]] = link
            tail[bucket] = link
