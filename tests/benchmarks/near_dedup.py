"""Near duplicates on planted copies: recall and precision against exact Jaccard, and MB per CPU-second.

Corpora, made from the shared data with a fixed seed:
  pages   about 20,000 web pages in 6 languages, of which some 4,500 are near copies: words replaced, deleted or
          inserted, or the first and last lines exchanged
  short   300,000 sentences, of which 60,000 are exact copies and 30,000 have one word changed

Truth: all pairs with an exact Jaccard similarity of at least 0.8, found by an exact set-similarity join (prefix filter:
two sets this similar share one of their rarest shingles), which shares no code with signatures, bands or groups. It
takes minutes and is cached in the temporary directory.
Recall: share of the true pairs of which not both rows are kept. Precision: share of the removed rows whose kept partner
has J >= 0.8 by plain-Python shingle sets. Rates are per CPU-second of one core, kernels warm, text in memory.
"""

import argparse
import hashlib
import json
import tempfile
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix

from pairmill.curate.dedup.exact import first_of
from pairmill.curate.dedup.groups import near_groups
from pairmill.curate.dedup.minhash import SLOTS, bands, has_shingles, signatures
from pairmill.curate.dedup.resolve import resolve, sets
from pairmill.curate.dedup.sketch import sketch
from pairmill.pairs.hashing import hash128

THRESHOLD = 0.8
SLACK = 1e-9
LANGUAGES = ("en", "de", "fr", "es", "ru", "zh")
TARGETS = {"recall": 0.98, "precision": 0.999}


class Result(NamedTuple):
    kept: np.ndarray
    partner: np.ndarray
    seconds: dict[str, float]


def near_dedup(column: pa.Array, threshold: float = THRESHOLD) -> Result:
    """Remove exact, then near duplicates in memory; earlier rows win. CPU-seconds are given by step."""
    seconds: dict[str, float] = {}

    def timed(name: str, step: Callable[[], Any]) -> Any:
        started = time.process_time()
        value = step()
        seconds[name] = time.process_time() - started
        return value

    first = timed("exact", lambda: first_of(hash128(column)))
    rows = np.flatnonzero(first == np.arange(len(column)))
    texts = column.take(pa.array(rows))
    signature = timed("signatures", lambda: signatures(texts))
    banded = timed("bands", lambda: bands(signature))
    valid = has_shingles(signature)
    groups = timed("groups", lambda: near_groups(banded, sketch(signature), valid, threshold, SLOTS))
    grouped = np.flatnonzero(np.bincount(groups.labels, minlength=len(rows))[groups.labels] > 1)
    values, offsets = timed("sets", lambda: sets(texts.take(pa.array(grouped))))
    found = timed("resolve", lambda: resolve(groups.labels[grouped], values, offsets, banded[grouped], threshold))
    partner = np.full(len(column), -1)
    removed = ~found.kept
    partner[rows[grouped[removed]]] = rows[grouped[found.partner[removed]]]
    copies = np.flatnonzero(first != np.arange(len(column)))
    partner[copies] = np.where(partner[first[copies]] >= 0, partner[first[copies]], first[copies])
    return Result(partner < 0, partner, seconds)


def pages(data: Path, count: int, rng: np.random.Generator) -> pa.Array:
    table = pq.read_table(data / "web" / "documents.parquet", columns=["lang_declared", "text"])
    texts = table.filter(pc.is_in(table["lang_declared"], pa.array(LANGUAGES)))["text"].to_pylist()
    chosen = [texts[i] for i in rng.permutation(len(texts))[:count]]
    planted = [changed_page(chosen[i], rng) for i in rng.integers(0, len(chosen), int(count * 0.3))]
    return shuffled(chosen + planted, rng)


def changed_page(text: str, rng: np.random.Generator) -> str:
    lines = text.split("\n")
    if rng.random() < 0.3 and len(lines) > 4:
        return "\n".join(
            [f"Home | Page {rng.integers(1000)} | Log in", *lines[1:-1], f"(c) {rng.integers(1990, 2030)}"]
        )
    words = text.split(" ")
    for _ in range(max(1, round(len(words) * rng.choice([0.002, 0.01, 0.02, 0.04])))):
        at = int(rng.integers(len(words)))
        words[at] = [words[int(rng.integers(len(words)))], "", f"{words[at]} {rng.integers(10_000)}"][rng.integers(3)]
    return " ".join(words)


def sentences(data: Path, count: int, rng: np.random.Generator) -> pa.Array:
    names = ("bible", "libreoffice_help")
    texts = [
        t for n in names for t in pq.read_table(data / "bitext" / f"{n}.parquet", columns=["src"])["src"].to_pylist()
    ]
    chosen = [texts[i] for i in rng.permutation(len(texts))[: int(count * 0.7)]]
    copies = [chosen[i] for i in rng.integers(0, len(chosen), count // 5)]
    edited = [changed_sentence(chosen[i], rng) for i in rng.integers(0, len(chosen), count - len(chosen) - len(copies))]
    return shuffled(chosen + copies + edited, rng)


def changed_sentence(text: str, rng: np.random.Generator) -> str:
    words = text.split(" ")
    words[int(rng.integers(len(words)))] = str(rng.integers(10_000))
    return " ".join(words)


def shuffled(texts: list[str], rng: np.random.Generator) -> pa.Array:
    return pa.array([texts[i] for i in rng.permutation(len(texts))], pa.large_string())


def true_pairs(column: pa.Array, threshold: float) -> np.ndarray:
    """Find all pairs (p, 2) of rows with J >= threshold, from a cache if they were found before."""
    digest = hashlib.sha256(b"1" + str(threshold).encode() + hash128(column).tobytes()).hexdigest()[:16]
    cache = Path(tempfile.gettempdir()) / f"pairmill-true-pairs-{digest}.npy"
    if not cache.exists():
        np.save(cache, similar_pairs(*sets(column), threshold))
    return np.load(cache)


def similar_pairs(values: np.ndarray, offsets: np.ndarray, threshold: float) -> np.ndarray:
    """Join sets exactly: candidates share one of the n - ceil(threshold n) + 1 rarest values of both sets.

    At the first value they share, what follows in both must be enough for the threshold (PPJoin's positional filter).
    """
    _, ids, counts = np.unique(values, return_inverse=True, return_counts=True)
    ids = np.argsort(np.argsort(counts, kind="stable"))[ids]  # number values by how rare they are
    sizes = np.diff(offsets)
    row = np.repeat(np.arange(len(sizes)), sizes)
    ids = ids[np.lexsort((ids, row))]
    place = np.arange(len(ids)) - np.repeat(offsets[:-1], sizes)
    prefix = sizes - np.ceil(threshold * sizes - SLACK).astype(np.int64) + 1
    used = place < prefix[row]
    left, right = np.divmod(candidates(ids[used], row[used], place[used], sizes, threshold), len(sizes))
    common = common_values(ids, offsets, left, right)
    similar = common >= threshold * (sizes[left] + sizes[right] - common) - SLACK
    return np.stack([left[similar], right[similar]], axis=1)


def candidates(
    token: np.ndarray, holder: np.ndarray, place: np.ndarray, sizes: np.ndarray, threshold: float
) -> np.ndarray:
    """Pair the holders of equal tokens, as left * n + right, unless sizes and places rule the pair out."""
    order = np.lexsort((sizes[holder], token))
    token, holder, rest = token[order], holder[order], (sizes[holder] - place)[order]
    size = sizes[holder]
    found: list[np.ndarray] = []
    at = np.arange(len(token))
    for distance in range(1, len(token)):
        at = at[at + distance < len(token)]
        at = at[token[at] == token[at + distance]]
        at = at[size[at] >= threshold * size[at + distance] - SLACK]  # ordered by size
        if not len(at):
            break
        to = at + distance
        enough = threshold / (1 + threshold) * (size[at] + size[to]) - SLACK
        possible = np.minimum(rest[at], rest[to]) >= enough
        ends = np.sort([holder[at[possible]], holder[to[possible]]], axis=0)
        found.append(np.unique(ends[0] * len(sizes) + ends[1]))
        if sum(map(len, found)) > 20_000_000:
            found = [np.unique(np.concatenate(found))]
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)


def common_values(ids: np.ndarray, offsets: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Count the values that pairs of rows share."""
    matrix = csr_matrix((np.ones(len(ids), np.int32), ids, offsets))
    step = 10_000
    parts = [slice(start, start + step) for start in range(0, len(left), step)]
    common = [np.asarray(matrix[left[part]].multiply(matrix[right[part]]).sum(axis=1)).ravel() for part in parts]
    return np.concatenate(common) if common else np.empty(0, np.int64)


def grams(text: str) -> set[str]:
    """Return the shingle set by its definition."""
    out = ""
    for char in unicodedata.normalize("NFKC", text).lower():
        gap = unicodedata.category(char)[0] in "ZP" or char in "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85"
        if not (gap and out.endswith(" ")):
            out += " " if gap else char
    return {out[i : i + 5] for i in range(max(len(out) - 4, 1))} if out else set()


def precision(column: pa.Array, result: Result, threshold: float) -> float:
    removed = np.flatnonzero(~result.kept)
    right = 0
    for row in removed:
        mine, other = column[row].as_py(), column[result.partner[row]].as_py()
        a, b = grams(mine), grams(other)
        right += result.kept[result.partner[row]] and (mine == other or len(a & b) >= threshold * len(a | b))
    return float(right / max(len(removed), 1))


def measure(name: str, column: pa.Array) -> dict[str, Any]:
    megabytes = pc.sum(pc.binary_length(column)).as_py() / 1e6
    near_dedup(column[:2000])
    result = near_dedup(column)
    pairs = true_pairs(column, THRESHOLD)
    both_kept = result.kept[pairs].all(axis=1)
    seconds = sum(result.seconds.values())
    return {
        "corpus": name,
        "rows": len(column),
        "megabytes": round(megabytes, 1),
        "true_pairs": len(pairs),
        "removed": int((~result.kept).sum()),
        "recall": round(float(1 - both_kept.mean()), 5),
        "precision": round(precision(column, result, THRESHOLD), 5),
        "signature_megabytes_per_cpu_second": round(
            pc.sum(
                pc.binary_length(column.filter(pa.array(first_of(hash128(column)) == np.arange(len(column)))))
            ).as_py()
            / 1e6
            / result.seconds["signatures"],
            1,
        ),
        "megabytes_per_cpu_second": round(megabytes / seconds, 1),
        "rows_per_cpu_second": round(len(column) / seconds),
        "cpu_seconds": {step: round(value, 3) for step, value in result.seconds.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    parser.add_argument(
        "--data", type=Path, default=default, help="directory of the shared data (default: %(default)s)"
    )
    parser.add_argument("--pages", type=int, default=15_000, help="original pages; 30 %% are added as near copies")
    parser.add_argument("--sentences", type=int, default=300_000, help="sentences, copies included")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        parser.error(f"--data: {arguments.data} is not a directory")
    results = []
    for name, make, count in (("pages", pages, arguments.pages), ("short", sentences, arguments.sentences)):
        results.append(measure(name, make(arguments.data, count, np.random.default_rng(7))))
        for key, value in results[-1].items():
            target = f"  (target {TARGETS[key]})" if key in TARGETS else ""
            print(f"{key:36} {value}{target}")
        print(flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
