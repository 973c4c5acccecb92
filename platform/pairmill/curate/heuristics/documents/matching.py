# mypy: disable-error-code="no-untyped-def, assignment"
"""The loops that compare: lines with lines, n-grams with n-grams, words with lists (see `kernels.py`).

`grams` visits the tokens once per size, but of the larger sizes only those whose n-gram of the size before repeats, so
that most of a text is seen once. All are linear whatever the text; hashes of 64 bits stand for what is compared.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from pairmill.compiled import Kernel, compile_kernel
from pairmill.curate.heuristics.documents.characters import IDEOGRAPH, KINDS, MARK

GRAMS = 9
MOST = 32  # stop words that are counted
_K = np.uint64(0x9E3779B97F4A7C15)
_M = np.uint64(0xFF51AFD7ED558CCD)
_HALF, _TEN = np.uint64(32), np.uint64(1023)


@cache
def duplicates() -> Kernel:
    """Return duplicates(hashes, sizes, offsets, limit, found): items and their sizes that repeat an earlier one.

    Only the first `limit` items of a row are compared. `found` is int64 (n, 2).
    """
    return compile_kernel(_duplicates, "uint64[] int64[] int64[] int64", "int64[:,::1]")


@cache
def grams() -> Kernel:
    """Return grams(hashes, sizes, offsets, windows, limit, found): the characters of repeated n-grams.

    `windows` (n, 9) are the tokens of a 2-gram to a 10-gram in each row, ascending. `found` (n, 9): for the first three
    the characters of all places of the most frequent n-gram, if it has two (ties: the longest); for the others the
    characters of n-grams that equal an earlier one, from left to right, without overlap.
    """
    return compile_kernel(_grams, "uint64[] int32[] int64[] int64[][] int64", "int64[:,::1]")


@cache
def listed() -> Kernel:
    """Return listed(words, word_offsets, starts, masks, table, last, found, at, distinct).

    Writes to `distinct` how many (at most `MOST`) entries of the row's part of `table` (from `starts[row]`,
    `masks[row]` + 1 slots; mask -1: none) occur among its words, and to `at` and `found` which words are in `last`, and
    their hash with those of the two words before. Returns how many these are.
    """
    inputs = "uint64[] int64[] int64[] int64[] uint64[] uint64[]"
    return compile_kernel(_listed, inputs, "uint64[:,::1] int64[::1] int64[::1]", "int64")


@cache
def runs() -> Kernel:
    """Return runs(flat, properties, offsets, starts, masks, table, longest, distinct).

    As `listed`, but looks up every run of up to `longest[row]` characters of unspaced scripts, and adds to `distinct`.
    """
    inputs = "uint32[] uint32[] int64[] int64[] int64[] uint64[] int64[]"
    return compile_kernel(_runs, inputs, "int64[::1]")


def word_hash(word: str) -> int:
    """The hash that `words` gives a word (lower case): a polynomial over its code points, mixed."""
    h = 0
    for character in word:
        h = (h + ord(character)) * int(_K) % (1 << 64)
    h = (h ^ (h >> 32)) * int(_M) % (1 << 64)
    return h ^ (h >> 32)


def _duplicates(hashes, sizes, offsets, limit, found):
    longest = 0
    for row in range(offsets.size - 1):
        longest = max(longest, min(offsets[row + 1] - offsets[row], limit))
    room = 4
    while room < 2 * longest:
        room *= 2
    slots, stamp = np.empty(room, np.uint64), np.full(room, -1, np.int64)
    for row in range(offsets.size - 1):
        first = offsets[row]
        last = min(offsets[row + 1], first + limit)
        used = 4
        while used < 2 * (last - first):
            used *= 2
        mask = np.uint64(used - 1)
        count = total = 0
        for i in range(first, last):
            slot = hashes[i] & mask
            while stamp[slot] == row and slots[slot] != hashes[i]:
                slot = (slot + np.uint64(1)) & mask
            if stamp[slot] == row:
                count += 1
                total += sizes[i]
            else:
                stamp[slot], slots[slot] = row, hashes[i]
        found[row, 0], found[row, 1] = count, total


def _grams(hashes, sizes, offsets, windows, limit, found):
    longest = 0
    for row in range(offsets.size - 1):
        longest = max(longest, min(offsets[row + 1] - offsets[row], limit))
    room = 4
    while room < 2 * longest:
        room *= 2
    sums, ends = np.empty(longest + 1, np.uint64), np.empty(longest + 1, np.int64)
    at, places = np.empty(longest, np.int64), np.empty(longest, np.int64)
    values, traces = np.empty(longest, np.uint64), np.zeros(4 * room, np.uint8)
    slots, counts, visited = np.empty(room, np.uint64), np.empty(room, np.int32), np.empty(room, np.bool_)
    powers = np.empty(64, np.uint64)
    powers[0] = 1
    for k in range(1, 64):
        powers[k] = powers[k - 1] * _K
    generation = 0
    for row in range(offsets.size - 1):
        first = offsets[row]
        size = min(offsets[row + 1] - first, limit)
        sums[0] = 0
        ends[0] = 0
        for i in range(size):
            sums[i + 1] = sums[i] * _K + hashes[first + i]
            ends[i + 1] = ends[i] + sizes[first + i]
        left = size
        for i in range(size):
            at[i] = i
        for level in range(windows.shape[1]):
            found[row, level] = 0
            window = windows[row, level]
            while left and at[left - 1] + window > size:
                left -= 1
            if left < 2:
                left = 0
                continue
            base = 2
            while base < 8 * left:
                base *= 2
            mask = np.uint64(base - 1)
            generation = generation % 127 + 1
            if generation == 1:
                traces[:] = 0
            for j in range(left):
                i = at[j]
                h = sums[i + window] - sums[i] * powers[window]
                h = (h ^ (h >> _HALF)) * _M
                h ^= h >> _HALF
                values[j] = h
                trace = traces[h & mask]
                traces[h & mask] = 2 * generation + (trace >> 1 == generation)
            maybe = 0
            for j in range(left):
                at[maybe], values[maybe] = at[j], values[j]
                maybe += traces[values[j] & mask] & 1
            used = 4
            while used < 2 * maybe:
                used *= 2
            mask = np.uint64(used - 1)
            counts[:used] = 0
            for j in range(maybe):
                h = values[j]
                slot = h & mask
                while counts[slot] and slots[slot] != h:
                    slot = (slot + np.uint64(1)) & mask
                slots[slot] = h
                counts[slot] += 1
                places[j] = slot
            visited[:used] = False
            kept = most = most_size = free = repeated = 0
            for j in range(maybe):
                i, slot = at[j], places[j]
                count = counts[slot]
                if count < 2:
                    continue
                at[kept] = i
                kept += 1
                length = ends[i + window] - ends[i]
                if count > most or (count == most and length > most_size):
                    most, most_size = count, length
                if i >= free:
                    if visited[slot]:
                        repeated += length
                        free = i + window
                    else:
                        visited[slot] = True
            left = kept
            found[row, level] = most * most_size if level < 3 else repeated


def _listed(words, offsets, starts, masks, table, last, found, at, distinct):
    seen = np.full(table.size, -1, np.int32)
    bloom = np.zeros(1024, np.bool_)  # whether some word of `last` has these ten bits
    for h in last:
        bloom[h & _TEN] = True
    n = 0
    for row in range(offsets.size - 1):
        before = earlier = np.uint64(0)
        start, mask = starts[row], masks[row]
        count = 0
        for i in range(offsets[row], offsets[row + 1]):
            h = words[i]
            if mask >= 0 and count < MOST:
                slot = np.int64(h) & mask
                while table[start + slot] != h and table[start + slot] != 0:
                    slot = (slot + 1) & mask
                if table[start + slot] and seen[start + slot] != row:
                    seen[start + slot] = row
                    count += 1
            if bloom[h & _TEN]:
                for other in last:
                    if other == h:
                        found[n, 0], found[n, 1], found[n, 2] = h, before, earlier
                        at[n] = i
                        n += 1
                        break
            earlier, before = before, h
        distinct[row] = count
    return n


def _runs(flat, properties, offsets, starts, masks, table, longest, distinct):
    seen = np.full(table.size, -1, np.int32)
    windows = np.zeros(longest.max() + 1 if longest.size else 1, np.uint64)
    for row in range(offsets.size - 1):
        start, mask, reach = starts[row], masks[row], longest[row]
        if reach == 0:
            continue
        run = count = 0
        for i in range(offsets[row], offsets[row + 1]):
            c = flat[i]
            kind = np.int64(properties[c] & KINDS)
            if kind != IDEOGRAPH and (kind != MARK or run == 0):
                run = 0
                continue
            if count >= MOST:
                break
            run = min(run + 1, reach)
            for k in range(run - 1, -1, -1):
                windows[k] = ((windows[k - 1] if k else np.uint64(0)) + np.uint64(c)) * _K
                h = (windows[k] ^ (windows[k] >> _HALF)) * _M
                h ^= h >> _HALF
                slot = np.int64(h) & mask
                while table[start + slot] != h and table[start + slot] != 0:
                    slot = (slot + 1) & mask
                if table[start + slot] and seen[start + slot] != row:
                    seen[start + slot] = row
                    count += 1
        distinct[row] = min(distinct[row] + count, MOST)
