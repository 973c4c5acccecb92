"""Inner loops of near duplicates, compiled by numba when first used.

They are loops because the same steps in NumPy write and read a temporary array per step, at three to seven times the
CPU. Compiling takes some CPU-seconds, once per machine (numba keeps the code beside this file or in the user's
cache directory, if either can be written) and 0.5 s per process. None of the loops holds the GIL. Those of texts and
signatures are in `signing`.
"""

from functools import cache

import numpy as np

from pairmill.compiled import Kernel, compile_kernel

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_STEPS = 32  # of a comparison, between looks at whether the threshold is still in reach


@cache
def bands() -> Kernel:
    """Return bands(signature, rows, starts, factor, out): hashes `rows` slots after each other into each column."""
    return compile_kernel(_bands, "uint32[][] int64 uint64[] uint64", "uint64[:,::1]")


@cache
def firsts() -> Kernel:
    """Return firsts(hashes, table, first): the number of the first row with each row's hash (n, 2).

    `table` is a power of two above 2 n, filled with -1: an open hash table of row numbers.
    """
    return compile_kernel(_firsts, "uint64[][]", "int64[::1] int64[::1]")


@cache
def repeated() -> Kernel:
    """Return repeated(hashes, bits, out): writes the numbers of rows whose hash (n,) may not be theirs alone.

    `bits` are two empty bit maps, of slots that one row named and that more did; their words are a power of two. Gives
    the count of rows.
    """
    return compile_kernel(_repeated, "uint64[]", "uint64[:,::1] int64[::1]", "int64")


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


def _bands(signature, rows, starts, factor, out):  # type: ignore[no-untyped-def]
    for row in range(out.shape[0]):
        for band in range(out.shape[1]):
            h = starts[band]
            for slot in range(band * rows, (band + 1) * rows):
                h = (h ^ np.uint64(signature[row, slot])) * factor
                h ^= h >> np.uint64(32)
            out[row, band] = h


def _firsts(hashes, table, first):  # type: ignore[no-untyped-def]
    mask = table.size - 1
    for row in range(first.size):
        place = np.int64((hashes[row, 0] ^ hashes[row, 1]) * _SPREAD >> np.uint64(20)) & mask
        while True:
            other = table[place]
            if other < 0:
                table[place] = other = row
            if hashes[other, 0] == hashes[row, 0] and hashes[other, 1] == hashes[row, 1]:
                break
            place = (place + 1) & mask
        first[row] = other


def _repeated(hashes, bits, out):  # type: ignore[no-untyped-def]
    mask = bits.shape[1] - 1
    for i in range(hashes.size):
        h = hashes[i] * _SPREAD
        word, bit = np.int64(h >> np.uint64(26)) & mask, np.uint64(1) << (h >> np.uint64(20) & np.uint64(63))
        bits[1, word] |= bits[0, word] & bit
        bits[0, word] |= bit
    count = np.int64(0)
    for i in range(hashes.size):
        h = hashes[i] * _SPREAD
        word = np.int64(h >> np.uint64(26)) & mask
        out[count] = i
        count += np.int64(bits[1, word] >> (h >> np.uint64(20) & np.uint64(63)) & np.uint64(1))
    return count


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
                needed = np.int64(threshold * (small + large) / (1 + threshold)) - 1  # of common values, or one more
                x, y, common = start, first, 0
                while x < stop and y < last and common + min(stop - x, last - y) >= needed:
                    for _ in range(_STEPS):
                        if x >= stop or y >= last:
                            break
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
