"""Inner loops of near duplicates, compiled by numba when first used.

They are loops because the same steps in NumPy write and read a temporary array per step, at three to seven times the
CPU. Compiling takes some CPU-seconds, once per machine (numba keeps the code beside this file or in the user's
cache directory, if either can be written) and 0.5 s per process. None of the loops holds the GIL. Those of texts and
signatures are in `signing`.
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
def unique() -> Kernel:
    """Return unique(values, offsets, out, out_offsets): writes each sorted row without its repeats."""
    return compile_kernel(_unique, "uint64[] int64[]", "uint64[::1] int64[::1]")


@cache
def walk() -> Kernel:
    """Return walk(rows, buckets, count, values, offsets, threshold, labels, pinned, kept, partner, jaccard, holder).

    It is the walk of `resolve`.

    `rows` are visited in order. A row is compared with the kept rows of its buckets (`buckets[i]`, below `count`), each
    a sorted set values[offsets[row]:offsets[row + 1]]. A row whose label is held by a kept row (`holder[label]`) goes.
    Rows below `pinned` stay.
    """
    inputs = "int64[] int64[][] int64 uint64[] int64[] float64 int64[] int64"
    return compile_kernel(_walk, inputs, "boolean[::1] int64[::1] float32[::1] int64[::1]")


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
    rows, buckets, count, values, offsets, threshold, labels, pinned, kept, partner, jaccard, holder
):
    width = buckets.shape[1]
    head = np.full(count, -1, np.int64)  # of each bucket's list of kept rows, as index * width + place
    tail = np.full(count, -1, np.int64)
    following = np.full(buckets.size, -1, np.int64)
    compared_with = np.full(rows.size, -1, np.int64)
    for i in range(rows.size):
        row = rows[i]
        if holder[labels[row]] >= 0 and row >= pinned:
            partner[row], jaccard[row] = holder[labels[row]], 1.0
            continue
        start, stop = offsets[row], offsets[row + 1]
        best = rows.size
        for place in range(width):
            link = head[buckets[i, place]] if row >= pinned else -1
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
