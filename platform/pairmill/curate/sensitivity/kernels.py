"""Inner loops over the rows of groups, compiled by numba when first used."""

from functools import cache

import numpy as np

from pairmill.compiled import Kernel, compile_kernel


@cache
def alike() -> Kernel:
    """Return alike(values, offsets, first, corner, threshold, out): which texts of a group resemble each other.

    Text t is the sorted set values[offsets[t]:offsets[t + 1]]; group g has the texts first[g] to first[g + 1] - 1. Of
    its texts a and b, numbered from 0, out[corner[g] + a * texts + b] becomes whether their Jaccard similarity is at
    least the threshold.
    """
    return compile_kernel(_alike, "uint64[] int64[] int64[] int64[] float64", "boolean[::1]")


@cache
def removed() -> Kernel:
    """Return removed(starts, own, label, pinned, cell, pair, width, corner, alike, points, was, out).

    The walk of `dedup/resolve.py` at each point: out[p, pair] becomes how many more rows of a pair are removed at point
    p than at the one before. Group g has the rows starts[g] to starts[g + 1] - 1 in keep order, and width[g] texts (0:
    leave it out) that `alike` compares; own[i] is the row's text and label[i] its exact label, both numbered in the
    group; a row takes part from point cell[i] on. Pinned rows stay. `was` (rows) is scratch.
    """
    inputs = "int64[] int64[] int64[] boolean[] uint8[] int64[] int64[] int64[] boolean[] int64"
    return compile_kernel(_removed, inputs, "boolean[::1] int64[:,::1]")


def _alike(values, offsets, first, corner, threshold, out):  # type: ignore[no-untyped-def]
    for group in range(first.size - 1):
        texts = first[group + 1] - first[group]
        for a in range(texts):
            for b in range(a):
                x, stop = offsets[first[group] + a], offsets[first[group] + a + 1]
                y, last = offsets[first[group] + b], offsets[first[group] + b + 1]
                small, large = min(stop - x, last - y), max(stop - x, last - y)
                if small == 0 or small / large < threshold:
                    continue
                needed = np.int64(threshold * (small + large) / (1 + threshold)) - 1
                common = 0
                while x < stop and y < last and common + min(stop - x, last - y) >= needed:
                    left, right = values[x], values[y]
                    x += left <= right
                    y += right <= left
                    common += left == right
                found = common / (small + large - common) >= threshold
                out[corner[group] + a * texts + b] = out[corner[group] + b * texts + a] = found


def _removed(  # type: ignore[no-untyped-def]
    starts, own, label, pinned, cell, pair, width, corner, alike, points, was, out
):
    most = np.int64(1)
    for texts in width:
        most = max(most, texts)
    seen, held = np.zeros(most, np.bool_), np.zeros(most, np.bool_)
    kept = np.empty(most, np.int64)
    for group in range(width.size):
        first, stop, texts = starts[group], starts[group + 1], width[group]
        if texts == 0:
            continue
        was[first:stop] = False
        for point in range(points):
            joined = False
            for i in range(first, stop):
                joined |= cell[i] == point
            if not joined:
                continue
            seen[:texts] = False
            held[:texts] = False
            count = 0
            for i in range(first, stop):
                if cell[i] > point:
                    continue
                gone = seen[own[i]] or (held[label[i]] and not pinned[i])
                if not gone and not pinned[i]:
                    for place in range(count):
                        if alike[corner[group] + own[i] * texts + kept[place]]:
                            gone = True
                            break
                seen[own[i]] = True
                if not gone:
                    kept[count] = own[i]
                    count += 1
                    held[label[i]] = True
                if gone != was[i] and not pinned[i]:
                    out[point, pair[i]] += 1 if gone else -1
                    was[i] = gone
