"""Nearest neighbours by cosine, with faiss: the inner product of unit vectors.

- flat: all vectors, exact.
- ivf: k-means parts the vectors into lists; a query looks through the lists whose centres are nearest. ivf-sq holds a
  byte per dimension, ivf-pq an eighth of that (product quantisation): cosines are approximate there.
- hnsw: a graph; fast for few queries, slow to build.

Queries come in large batches, so ivf is searched list by list and not query by query: all queries that look through a
list are multiplied with it at once, which reads each list once for a block of queries (`_by_list`).

An index of several shards gives the answer of a whole one: their best k are merged, equal cosines in the order of ids.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from pairmill.compiled import Kernel, compile_kernel
from pairmill.errors import PairmillError

if TYPE_CHECKING:
    from pairmill.spec.mine import Index as IndexSpec

#: Vectors up to which exact search is as quick as any: 2 cores answer some 5,000 queries a second of 384 dimensions.
FLAT_ROWS = 50_000
TRAIN = 64  # vectors of the sample that k-means sees for each list
PROBED = 32  # a query looks through one list in so many
PQ_DIMS = 8  # dimensions that product quantisation writes as a byte
PQ_ROWS = 256  # vectors that product quantisation needs to be made at all
BLOCK = 16_384  # queries that go through the lists together
PRODUCTS = 1 << 24  # cosines computed at a time: 64 MB
HEADROOM = 2  # an index is in memory twice while it is written or read


@dataclass(frozen=True)
class Choice:
    """A kind of index with its parameters, and why."""

    kind: str
    lists: int
    probes: int
    links: int
    seed: int
    reason: str

    def __str__(self) -> str:
        more = {"hnsw": f", {self.links} links", "flat": ""}.get(
            self.kind, f", {self.lists} lists, {self.probes} probes"
        )
        return f"{self.kind}{more}: {self.reason}"


def require() -> None:
    """Raise PairmillError where faiss is not installed."""
    if find_spec("faiss") is None:
        raise PairmillError("mining needs faiss, which is not installed. Install it: pip install 'pairmill[mine]'")


def size_of(kind: str, rows: int, dims: int, links: int = 32) -> int:
    """What building and searching an index takes in memory, bytes."""
    each = {"ivf-sq": dims + 8, "ivf-pq": math.ceil(dims / PQ_DIMS) + 8, "hnsw": 4 * dims + 8 * links}
    return int(HEADROOM * rows * each.get(kind, 4 * dims + 8))


def choose(rows: int, dims: int, memory: int, given: IndexSpec) -> Choice:
    """The index for so many vectors in so many bytes, unless `given.kind` names one."""
    kind: str = given.kind
    reason = "as the spec says"
    if kind == "auto" and rows <= FLAT_ROWS:
        kind, reason = "flat", f"{rows:,} vectors are searched exactly"
    elif kind == "auto":
        sizes = {name: size_of(name, rows, dims) for name in ("ivf", "ivf-sq", "ivf-pq")}
        kind = next((name for name, size in sizes.items() if size <= memory), "ivf-pq")
        reason = f"{rows:,} vectors of {dims} dimensions take {sizes[kind] / 1e9:.2f} of {memory / 1e9:.2f} GB"
    if kind == "ivf-pq" and rows < PQ_ROWS:
        kind, reason = "flat", f"{rows:,} vectors are too few for ivf-pq"
    lists = given.lists or min(round(4 * math.sqrt(rows)), rows // 39)
    lists = max(1, min(lists, rows))
    probes = min(given.probes or math.ceil(lists / PROBED), lists)
    return Choice(kind, lists, probes, given.links, given.seed, reason)


def build(vectors: np.ndarray, choice: Choice) -> Any:
    """A faiss index of unit vectors (n, d) float32, numbered from 0."""
    made = empty(choice, vectors.shape[1], vectors[sample(len(vectors), choice)])
    made.add(np.ascontiguousarray(vectors))
    return made


def sample(rows: int, choice: Choice) -> np.ndarray:
    """The rows, ascending, whose vectors `empty` wants to see."""
    if choice.kind in ("flat", "hnsw"):
        return np.zeros(0, np.int64)
    picked = np.random.default_rng(choice.seed).permutation(rows)[: max(TRAIN * choice.lists, 20_000)]
    return np.sort(picked)


def empty(choice: Choice, dims: int, seen: np.ndarray) -> Any:
    """A faiss index to add vectors to; `seen` (s, d) are those that its lists are made from."""
    import faiss

    if choice.kind == "flat":
        return faiss.IndexFlatIP(dims)
    if choice.kind == "hnsw":
        made = faiss.IndexHNSWFlat(dims, choice.links, faiss.METRIC_INNER_PRODUCT)
        made.hnsw.efConstruction, made.hnsw.efSearch = 200, 128
        return made
    made = _lists_of(choice, dims)
    made.train(np.ascontiguousarray(seen, np.float32))
    return made


def _lists_of(choice: Choice, dims: int) -> Any:
    import faiss

    product = faiss.METRIC_INNER_PRODUCT
    centres: Any = faiss.IndexFlatIP(dims)
    made: Any
    if choice.kind == "ivf":
        made = faiss.IndexIVFFlat(centres, dims, choice.lists, product)
    elif choice.kind == "ivf-sq":
        made = faiss.IndexIVFScalarQuantizer(centres, dims, choice.lists, faiss.ScalarQuantizer.QT_8bit, product)
        made.by_residual = False
    else:
        made = faiss.IndexIVFPQ(centres, dims, choice.lists, _parts(dims), 8, product)
    centres.this.disown()
    made.own_fields = True
    made.nprobe = choice.probes
    made.cp.seed, made.cp.niter, made.cp.max_points_per_centroid = choice.seed + 1, 10, TRAIN
    return made


def _parts(dims: int) -> int:
    """Bytes of a vector in product quantisation: they must divide the dimensions."""
    return next(parts for parts in range(max(1, dims // PQ_DIMS), 0, -1) if dims % parts == 0)


def search(index: Any, queries: np.ndarray, k: int, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest: cosines (q, k) float32, descending, and ids (q, k) int64, ascending where cosines are equal.

    Where there are fewer than k: -inf and -1. Raises PairmillError where dimensions differ.
    """
    import faiss

    if queries.shape[1] != index.d:
        raise PairmillError(f"queries have {queries.shape[1]} dimensions, the indexed vectors {index.d}.")
    queries = np.ascontiguousarray(queries, np.float32)
    faiss.omp_set_num_threads(threads)
    if isinstance(index, (faiss.IndexIVFFlat, faiss.IndexIVFScalarQuantizer)):
        return _by_list(index, queries, k, threads)
    cosines, ids = index.search(queries, min(k, max(index.ntotal, 1)))
    return merge([(np.where(ids >= 0, cosines, -np.inf).astype(np.float32), ids)], k)


def merge(parts: Iterable[tuple[np.ndarray, np.ndarray]], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The best k of several answers to the same queries, as `search` returns them."""
    cosines, ids = (np.concatenate(found, axis=1) for found in zip(*parts, strict=True))
    order = np.lexsort((np.where(ids < 0, np.iinfo(np.int64).max, ids), -cosines), axis=1)[:, :k]
    cosines, ids = (np.take_along_axis(found, order, 1) for found in (cosines, ids))
    lacking = k - ids.shape[1]
    if lacking > 0:
        cosines = np.pad(cosines, ((0, 0), (0, lacking)), constant_values=-np.inf)
        ids = np.pad(ids, ((0, 0), (0, lacking)), constant_values=-1)
    return cosines.astype(np.float32, copy=False), ids.astype(np.int64, copy=False)


def recall(found: np.ndarray, exact: np.ndarray) -> float:
    """Share of the exact neighbours' ids (q, k) that were found (q, k); -1 stands for none."""
    there = (found[:, :, None] == exact[:, None, :]) & (exact[:, None, :] >= 0)
    return float(there.any(1).sum() / max((exact >= 0).sum(), 1))


def _by_list(index: Any, queries: np.ndarray, k: int, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """Search an index of lists with many queries: a product per list and block of queries."""
    import faiss

    cosines = np.full((len(queries), k), -np.inf, np.float32)
    ids = np.full((len(queries), k), -1, np.int64)
    lists = [_list(index, number) for number in range(index.nlist)]
    size = min(BLOCK, max(1, math.ceil(len(queries) / threads)))

    def block(start: int) -> None:
        rows = slice(start, start + size)
        _, near = index.quantizer.search(queries[rows], index.nprobe)
        flat = near.ravel()
        order = np.argsort(flat, kind="stable")
        bounds = np.searchsorted(flat[order], np.arange(index.nlist + 1))
        mine = queries[rows]
        for number in np.flatnonzero(np.diff(bounds)).tolist():
            codes, members = lists[number]
            if not len(members):
                continue
            asking = order[bounds[number] : bounds[number + 1]] // near.shape[1]
            vectors = codes if index.code_size == 4 * index.d else index.sq.decode(codes)
            step = max(1, PRODUCTS // len(members))
            for first in range(0, len(asking), step):
                some = asking[first : first + step]
                _push()(mine[some] @ vectors.T, some, members, cosines[rows], ids[rows])

    faiss.omp_set_num_threads(1)
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(block, start) for start in range(0, len(queries), size)]:
            done.result()
    return cosines, ids


def _list(index: Any, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors or codes of a list, and their ids: views of faiss's memory."""
    import faiss

    held, size = index.invlists, index.invlists.list_size(number)
    if not size:
        return np.empty((0, index.code_size), np.uint8), np.empty(0, np.int64)
    ids = faiss.rev_swig_ptr(held.get_ids(number), size)
    codes = faiss.rev_swig_ptr(held.get_codes(number), size * index.code_size)
    if index.code_size == 4 * index.d:
        return codes.view(np.float32).reshape(size, index.d), ids
    return codes.reshape(size, index.code_size), ids


@cache
def _push() -> Kernel:
    """push(products (a, m), asking (a,), members (m,), cosines (q, k), ids (q, k)): keep the best k of each query."""
    return compile_kernel(_keep_best, "float32[][] int64[] int64[]", "float32[:,::1] int64[:,::1]")


def _keep_best(
    products: np.ndarray, asking: np.ndarray, members: np.ndarray, cosines: np.ndarray, ids: np.ndarray
) -> None:
    last = cosines.shape[1] - 1
    for row in range(products.shape[0]):
        best, named = cosines[asking[row]], ids[asking[row]]
        for column in range(products.shape[1]):
            value = products[row, column]
            if value < best[last] or (value == best[last] and members[column] > named[last]):
                continue
            at = last
            while at > 0 and (value > best[at - 1] or (value == best[at - 1] and members[column] < named[at - 1])):
                best[at], named[at] = best[at - 1], named[at - 1]
                at -= 1
            best[at], named[at] = value, members[column]
