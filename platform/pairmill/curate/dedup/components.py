"""Connected components of links, each named by its smallest id, in one process or as rounds over partitions of links.

In one process: union by the smaller id, with path halving.

Over partitions: small-star and large-star in turn (Kiveris et al. 2014, "Connected Components in MapReduce and
Beyond"), each a function of all links that share their first end, until a round changes nothing; the links then lead
from each id straight to the smallest of its component. It takes O(log^2 n) rounds.
"""

from functools import cache

import numpy as np

from pairmill.compiled import Kernel, compile_kernel

VERSION = 1
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class Forest:
    """Components over the numbers 0 to n - 1 that grow link by link."""

    def __init__(self, n: int) -> None:
        self._parent = np.arange(n)

    def join(self, left: np.ndarray, right: np.ndarray) -> None:
        """Join the components of left[i] and right[i] (int64)."""
        _join()(left, right, self._parent)

    def labels(self) -> np.ndarray:
        """The smallest number of each one's component: (n,) int64."""
        _flatten()(self._parent)
        return self._parent


def of_links(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Components of links between ids (int64): the ids, ascending, and the smallest id of each one's component."""
    ids = np.sort(np.concatenate([left, right]))  # np.unique hashes, which takes ten times as long
    ids = ids[np.append(True, ids[1:] != ids[:-1])] if len(ids) else ids
    table = np.full(1 << (2 * len(ids)).bit_length(), -1, np.int64)
    numbers = np.empty((2, len(left)), np.int64)
    _number()(ids, left, right, table, numbers)
    forest = Forest(len(ids))
    forest.join(*numbers)
    return ids, ids[forest.labels()]


def large_star(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From all links of each u, each given in both directions: its larger neighbours, linked to the smallest of all."""
    u, v, smallest = _stars(u, v)
    larger = v > u
    return _distinct(v[larger], np.minimum(smallest, u)[larger])


def small_star(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From all links of each u to smaller ones: u and these, linked to the smallest of them."""
    u, v, smallest = _stars(u, v)
    return _distinct(np.concatenate([v, u]), np.concatenate([smallest, smallest]))


def _stars(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The links ordered by (u, v), and the smallest neighbour of each one's u."""
    order = np.lexsort((v, u))
    u, v = u[order], v[order]
    new = np.ones(len(u), bool)
    new[1:] = u[1:] != u[:-1]
    return u, v, v[np.flatnonzero(new)][np.cumsum(new) - 1]


def _distinct(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((v, u))
    u, v = u[order], v[order]
    keep = u != v
    keep[1:] &= (u[1:] != u[:-1]) | (v[1:] != v[:-1])
    return u[keep], v[keep]


@cache
def _number() -> Kernel:
    """Return number(ids, left, right, table, numbers): the places of left and right among different ids, (2, n).

    `table` is a power of two above 2 n, filled with -1: an open hash table of places.
    """
    return compile_kernel(_number_loop, "int64[] int64[] int64[]", "int64[::1] int64[:,::1]")


@cache
def _join() -> Kernel:
    return compile_kernel(_join_loop, "int64[] int64[]", "int64[::1]")


@cache
def _flatten() -> Kernel:
    return compile_kernel(_flatten_loop, "", "int64[::1]")


def _number_loop(ids, left, right, table, numbers):  # type: ignore[no-untyped-def]
    mask = table.size - 1
    for i in range(ids.size):  # the upper half of an id is its shard
        place = np.int64((np.uint64(ids[i]) * _SPREAD >> np.uint64(32)) * _SPREAD >> np.uint64(20)) & mask
        while table[place] >= 0:
            place = (place + 1) & mask
        table[place] = i
    for side, values in enumerate((left, right)):
        for i in range(values.size):
            place = np.int64((np.uint64(values[i]) * _SPREAD >> np.uint64(32)) * _SPREAD >> np.uint64(20)) & mask
            while ids[table[place]] != values[i]:
                place = (place + 1) & mask
            numbers[side, i] = table[place]


def _join_loop(left, right, parent):  # type: ignore[no-untyped-def]
    for i in range(left.size):
        a, b = left[i], right[i]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a < b:
            parent[b] = a
        elif b < a:
            parent[a] = b


def _flatten_loop(parent):  # type: ignore[no-untyped-def]
    for i in range(parent.size):  # a parent is smaller than its child, so its own parent is final already
        parent[i] = parent[parent[i]]
