"""How fast, how large and how exact an index is: a million vectors, a hundred thousand queries.

The vectors are given (`--vectors`, a .npy file of (n, d) float32), or made of the embeddings of real texts by a model:
each is repeated with small noise until there are enough. Queries are embeddings of other texts, with noise too. Recall
is measured against exact search for a sample of queries; so is whether shards give the answer of the whole.

python tests/benchmarks/index_rate.py --data DATA --model MODEL [--rows 1000000] [--queries 100000] [--kinds ivf ...]
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # threads search blocks of queries; a product is one thread's

import argparse  # noqa: E402
import json  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import pyarrow.compute as pc  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform")]

from pairmill.mine import index  # noqa: E402
from pairmill.spec.mine import Index  # noqa: E402

K = 10


def encoded(data: Path, model: str, prefix: str, count: int, cache: Path | None) -> np.ndarray:
    """Unit vectors of `count` real texts, of several languages and corpora."""
    if cache is not None and cache.exists():
        return np.load(cache)
    from pairmill.embed.engine import make
    from pairmill.spec.embed import EmbeddingModel

    texts: set[str] = set()
    for corpus in ("bible", "libreoffice_help", "quran", "udhr"):
        table = pq.read_table(data / f"bitext/{corpus}.parquet", columns=["src", "tgt"])
        for side in ("src", "tgt"):
            texts |= set(pc.unique(table[side]).to_pylist())
    ordered = sorted(texts)
    chosen = [ordered[i] for i in np.random.default_rng(0).permutation(len(ordered))[:count]]
    place = EmbeddingModel(path=model, pooling="mean", max_length=64, prompts={"all": prefix})
    found = make(place, "bf16", 2).encode(chosen, "all")
    if cache is not None:
        np.save(cache, found)
    return found


def noisy(base: np.ndarray, count: int, noise: float, seed: int) -> np.ndarray:
    """`count` unit vectors: those given, then again with noise of that length."""
    random = np.random.default_rng(seed)
    out = np.empty((count, base.shape[1]), np.float32)
    for start in range(0, count, len(base)):
        some = base[: min(len(base), count - start)]
        if start:
            some = some + random.normal(size=some.shape).astype(np.float32) * np.float32(noise / base.shape[1] ** 0.5)
        out[start : start + len(some)] = some / np.linalg.norm(some, axis=1, keepdims=True)
    return out


def measure(vectors: np.ndarray, queries: np.ndarray, given: Index, exact: np.ndarray, threads: int) -> dict[str, Any]:
    """Build and search; `exact` are the neighbours of the first queries."""
    import faiss

    faiss.omp_set_num_threads(threads)
    choice = index.choose(len(vectors), vectors.shape[1], 16 * 10**9, given)
    started, cpu = time.perf_counter(), time.process_time()
    made = index.build(vectors, choice)
    built = {"build_seconds": time.perf_counter() - started, "build_cpu_seconds": time.process_time() - cpu}
    index.search(made, queries[:1000], K, threads)
    started, cpu = time.perf_counter(), time.process_time()
    _, ids = index.search(made, queries, K, threads)
    seconds, used = time.perf_counter() - started, time.process_time() - cpu
    figures = {
        **built,
        "search_seconds": seconds,
        "search_cpu_seconds": used,
        "queries_per_second": len(queries) / seconds,
        "recall@10": index.recall(ids[: len(exact)], exact),
        "index_bytes": len(faiss.serialize_index(made)),
        "peak_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    return {"choice": str(choice), **{key: round(value, 4) for key, value in figures.items()}}


def sharded(vectors: np.ndarray, queries: np.ndarray, whole: np.ndarray, parts: int, threads: int) -> dict[str, float]:
    """Share of equal answers of exact search in shards and whole."""
    import faiss

    found = []
    bounds = np.linspace(0, len(vectors), parts + 1).astype(int)
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        flat = faiss.IndexFlatIP(vectors.shape[1])
        flat.add(vectors[start:stop])
        cosines, ids = index.search(flat, queries, K, threads)
        found.append((cosines, ids + start))
    _, ids = index.merge(found, K)
    return {"shards": parts, "same_neighbours": index.recall(ids, whole), "same_places": float((ids == whole).mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", help="a model directory")
    parser.add_argument("--prefix", default="query: ")
    parser.add_argument("--vectors", type=Path, help="instead: a .npy file; the last rows are the queries")
    parser.add_argument("--cache", type=Path, help="keep the embeddings of the texts in this .npy file")
    parser.add_argument("--texts", type=int, default=60_000, help="texts that are embedded")
    parser.add_argument("--noise", type=float, default=0.4)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100_000)
    parser.add_argument("--exact", type=int, default=1000, help="queries that recall is measured on")
    parser.add_argument("--kinds", nargs="*", default=["ivf"])
    parser.add_argument("--lists", type=int)
    parser.add_argument("--probes", type=int, nargs="*", default=[None])
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    if given.vectors:
        read = np.load(given.vectors)
        vectors, queries = read[: given.rows], read[-given.queries :]
    else:
        base = encoded(given.data, given.model, given.prefix, given.texts, given.cache)
        cut = len(base) * 9 // 10
        vectors = noisy(base[:cut], given.rows, given.noise, 1)
        queries = noisy(base[cut:], given.queries, given.noise, 2)
    import faiss

    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    started = time.perf_counter()
    order = np.random.default_rng(3).permutation(len(queries))
    queries = np.ascontiguousarray(queries[order])
    _, exact = index.search(flat, queries[: given.exact], K, given.threads)
    figures: dict[str, Any] = {"rows": len(vectors), "dims": vectors.shape[1], "queries": len(queries)}
    figures["exact_queries_per_second"] = round(given.exact / (time.perf_counter() - started), 1)
    figures["sharded"] = sharded(vectors, queries[: given.exact], exact, 5, given.threads)
    del flat
    for kind in given.kinds:
        for probes in given.probes:
            asked = Index(kind=kind, lists=given.lists, probes=probes)
            figures[f"{kind} {probes or ''}".strip()] = measure(vectors, queries, asked, exact, given.threads)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
