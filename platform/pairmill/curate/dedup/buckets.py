"""Links inside buckets: of the rows that share a band, which may be near duplicates.

1. Rows come ordered by bucket and, within it, by id. Each is compared, by sketch, with the bucket's heads, in order:
   the first that is near enough is linked to it. Where none is, the row becomes a head itself.
2. A bucket has at most HEADS heads; a row that finds no head near and no room is left over.
3. Of the left-over rows, those with equal sketches are linked; the first of each take part in a second pass, whose
   buckets are narrower: the same bucket and the same PIECE of the sketch, for each of its pieces. What is left over
   there in every piece is counted as unresolved.

So a bucket costs at most HEADS comparisons a row however many rows it has, and can be read in pieces: its heads are all
that is remembered (`Heads`). Rows with the same sketch in the same bucket are always linked, directly or through
others, so each of several readers may link them among its own rows first and pass on only the first of them.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from pairmill.compiled import Kernel, compile_kernel
from pairmill.curate.dedup.sketch import most_different

VERSION = 1
HEADS = 32
NARROW_HEADS = 64
PIECE = 12  # bits
NONE = np.iinfo(np.int64).min  # no id
_ODD = np.uint64(0x9E3779B97F4A7C15)


class Links(NamedTuple):
    """Pairs of ids (int64), the earlier one in `head`, and the ids that found no partner for lack of room."""

    row: np.ndarray
    head: np.ndarray
    unresolved: int


class Heads:
    """The heads of the bucket that is being read; ids (int64) and sketches (words of uint64)."""

    def __init__(self, room: int, words: int) -> None:
        self.ids, self.sketches = np.empty(room, np.int64), np.empty((room, words), np.uint64)
        self.bucket, self.count = np.zeros(1, np.uint64), np.zeros(1, np.int64)


class Linker:
    """Links rows that are fed in the order of (bucket, id)."""

    def __init__(self, threshold: float, slots: int, words: int) -> None:
        self._most, self._slots, self._words = most_different(threshold, slots), slots, words
        self._heads = Heads(HEADS, words)
        self._left: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._links: list[tuple[np.ndarray, np.ndarray]] = []

    def feed(self, buckets: np.ndarray, ids: np.ndarray, sketches: np.ndarray) -> None:
        """More rows: `buckets` (n,) uint64, `ids` (n,) int64, `sketches` (n, words) uint64."""
        left = self._link(buckets, ids, sketches, self._heads)
        if len(left):
            self._left.append((buckets[left], ids[left], sketches[left]))

    def finish(self) -> Links:
        """The links of all rows fed."""
        unresolved = self._narrow() if self._left else 0
        self._left = []
        columns = zip(*self._links, strict=True) if self._links else ([np.empty(0, np.int64)],) * 2
        row, head = (np.concatenate(list(column)) for column in columns)
        return Links(row, head, unresolved)

    def _link(self, buckets: np.ndarray, ids: np.ndarray, sketches: np.ndarray, heads: Heads) -> np.ndarray:
        """Link what can be; return the numbers of the rows left over."""
        found = np.empty(len(ids), np.int64)
        state = heads.ids, heads.sketches, heads.bucket, heads.count
        _leaders()(buckets, ids, sketches, self._most, *state, found)
        linked = np.flatnonzero((found != NONE) & (found != ids))
        self._links.append((ids[linked], found[linked]))
        return np.flatnonzero(found == NONE)

    def _narrow(self) -> int:
        """The second pass, over the rows that the first one left over; returns how many it leaves over."""
        buckets, ids, sketches = map(np.concatenate, zip(*self._left, strict=True))
        first, copy = first_alike(buckets, ids, sketches)
        self._links.append((ids[copy], ids[first[copy]]))
        alone = np.flatnonzero(first == np.arange(len(ids)))
        buckets, ids, sketches = buckets[alone], ids[alone], sketches[alone]
        left = np.ones(len(ids), bool)
        for piece in range(self._slots // PIECE):
            narrow = (buckets ^ _piece(sketches, piece)) * _ODD
            order = np.lexsort((ids, narrow))
            over = self._link(narrow[order], ids[order], sketches[order], Heads(NARROW_HEADS, self._words))
            here = np.zeros(len(ids), bool)
            here[order[over]] = True
            left &= here
        return int(left.sum())


def _piece(sketches: np.ndarray, piece: int) -> np.ndarray:
    """The piece's bits, with its number, spread over 64 bits: (n,) uint64."""
    bits = np.zeros(len(sketches), np.uint64)
    for bit in range(piece * PIECE, (piece + 1) * PIECE):
        bits = bits << np.uint64(1) | (sketches[:, bit // 64] >> np.uint64(bit % 64)) & np.uint64(1)
    return (bits + np.uint64((piece + 1) << PIECE)) * np.uint64(0xFF51AFD7ED558CCD)


def first_alike(buckets: np.ndarray, ids: np.ndarray, sketches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row the number of the first row (by id) with the same bucket and sketch; and the other rows."""
    order = np.lexsort((ids, *sketches.T, buckets))
    new = np.ones(len(order), bool)
    new[1:] = buckets[order[1:]] != buckets[order[:-1]]
    new[1:] |= (sketches[order[1:]] != sketches[order[:-1]]).any(axis=1)
    first = np.empty(len(order), np.int64)
    first[order] = order[np.flatnonzero(new)[np.cumsum(new) - 1]]
    return first, np.flatnonzero(first != np.arange(len(order)))


@cache
def _leaders() -> Kernel:
    """leaders(buckets, ids, sketches, most, head_ids, head_sketches, bucket, count, out): out[i] is the id of the head
    that row i is linked to, its own id if it became one, NONE if there was no room. The heads are those of `bucket`."""
    inputs = "uint64[] int64[] uint64[][] int64"
    return compile_kernel(_leaders_loop, inputs, "int64[::1] uint64[:,::1] uint64[::1] int64[::1] int64[::1]")


def _leaders_loop(buckets, ids, sketches, most, head_ids, head_sketches, bucket, count, out):  # type: ignore[no-untyped-def]
    words = sketches.shape[1]
    room, none = head_ids.size, np.int64(-(2**63))
    current, heads = bucket[0], count[0]
    for i in range(ids.size):
        if buckets[i] != current:
            current, heads = buckets[i], 0
        found = none
        for j in range(heads):
            different = np.uint64(0)
            for word in range(words):
                x = sketches[i, word] ^ head_sketches[j, word]
                x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
                x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
                x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
                different += (x * np.uint64(0x0101010101010101)) >> np.uint64(56)
            if different <= np.uint64(most):
                found = head_ids[j]
                break
        if found == none and heads < room:
            head_ids[heads] = found = ids[i]
            for word in range(words):
                head_sketches[heads, word] = sketches[i, word]
            heads += 1
        out[i] = found
    bucket[0], count[0] = current, heads
