"""How well mining finds and judges translations, on the shared data with a real model.

`bitext`: gold pairs of the Bible or the LibreOffice help among distractors on both sides, shuffled; the threshold is
chosen on one half and judged on the other. F1 for the margins by ratio and by distance, and for the plain cosine.
`misaligned`: rows of messy_dev whose target belongs to another row, against untouched rows, over all languages: AUC of
the margin (in pools of all rows, and of the row's pair of languages), of the consistency rank and of the plain cosine;
the share caught where at most 2 % of the untouched rows are lost.

python tests/benchmarks/mining_quality.py DATA MODEL [--languages de sw] [--gold 1000] [--distractors 4000]
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform")]

from pairmill.embed.engine import Engine, make  # noqa: E402
from pairmill.mine import consistency, index  # noqa: E402
from pairmill.mine.margin import margin, neighbour_mean  # noqa: E402
from pairmill.mine.matching import Neighbours, best_threshold, mine  # noqa: E402
from pairmill.mine.texts import text_ids  # noqa: E402
from pairmill.spec.embed import EmbeddingModel  # noqa: E402
from pairmill.spec.mine import Index  # noqa: E402

LOST = 0.02


def nearest(queries: np.ndarray, others: np.ndarray, k: int) -> Neighbours:
    flat = index.build(others, index.choose(len(others), others.shape[1], 1 << 40, Index(kind="flat")))
    return Neighbours(*index.search(flat, queries, k))


def parallel(data: Path, corpus: str, language: str) -> tuple[list[str], list[str]]:
    """Pairs in which no text stands twice, in random order."""
    table = pq.read_table(data / f"bitext/{corpus}.parquet", columns=["src_lang", "src", "tgt"])
    rows = table.filter(pc.equal(table["src_lang"], language))
    sides = [rows[name].to_pylist() for name in ("src", "tgt")]
    once = np.ones(len(rows), bool)
    for texts in sides:
        ids = text_ids(texts)
        first = np.zeros(len(rows), bool)
        first[np.unique(ids, return_index=True)[1]] = True
        once &= first
    order = np.random.default_rng(0).permutation(np.flatnonzero(once))
    return [sides[0][i] for i in order], [sides[1][i] for i in order]


def bitext(
    engine: _Prompted, data: Path, corpus: str, language: str, gold: int, distractors: int, k: int
) -> dict[str, Any]:
    """Two halves, each with `gold` pairs and `distractors` texts on each side that have no partner."""
    foreign, english = parallel(data, corpus, language)
    need = gold + 2 * distractors
    if len(foreign) < 2 * need:
        distractors = (len(foreign) // 2 - gold) // 2
        need = gold + 2 * distractors
    halves = []
    for half in range(2):
        at = half * need
        left = foreign[at : at + gold + distractors]
        right = english[at : at + gold] + english[at + gold + distractors : at + need]
        mixed = np.random.default_rng(half).permutation(len(right))
        vectors = engine.encode(left), engine.encode([right[i] for i in mixed])
        truth = np.full(len(left), -1)
        truth[mixed[mixed < gold]] = np.flatnonzero(mixed < gold)
        halves.append((*vectors, truth))
    found = {name: _judged(halves, name, gold, k) for name in ("ratio", "distance", "absolute")}
    return {"gold": gold, "distractors": distractors, "k": k, **found}


def _judged(
    halves: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], kind: str, gold: int, k: int
) -> dict[str, float]:
    mined = []
    for left, right, truth in halves:
        pairs = mine(nearest(left, right, k), nearest(right, left, k), kind, "max")
        mined.append((pairs.scores, truth[pairs.left] == pairs.right))
    cut = best_threshold(*mined[0], gold)
    scores, right = mined[1]
    taken = scores >= cut.threshold
    hits = int((taken & right).sum())
    precision, recall = hits / max(int(taken.sum()), 1), hits / gold
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    figures = {"threshold": cut.threshold, "precision": precision, "recall": recall, "f1": f1, "dev_f1": cut.f1}
    return {name: round(value, 4) for name, value in figures.items()}


def messy(data: Path) -> list[dict[str, Any]]:
    """Rows of messy_dev that are untouched or misaligned, with their label."""
    lines = gzip.decompress((data / "messy/messy_dev.jsonl.gz").read_bytes()).split(b"\n")
    found = []
    for line in (data / "messy/messy_dev_labels.jsonl").read_text("utf-8").splitlines():
        label = json.loads(line)
        if label["label"] in ("none", "misaligned"):
            found.append({**json.loads(lines[label["line"] - 1]), "label": label["label"]})
    return found


def misaligned(engine: _Prompted, data: Path, k: int, pool: int) -> dict[str, Any]:
    """AUC and share caught of each score; the pools are the rows themselves, and `pool` passages more for the ranks."""
    rows = messy(data)
    bad = np.array([row["label"] == "misaligned" for row in rows])
    languages = np.array([row["src_lang"] for row in rows])
    src, tgt = (engine.encode([row[name] for row in rows]) for name in ("src", "tgt"))
    ids = [text_ids([row[name] for row in rows]) for name in ("src", "tgt")]
    cosine = np.einsum("nd,nd->n", src, tgt)
    scores = {"cosine": cosine}
    for kind in ("ratio", "distance"):
        scores[f"{kind} margin, all"] = margin(cosine, *_means(src, tgt, ids, np.ones(len(rows), bool), k), kind)
        found = np.zeros(len(rows), np.float32)
        for language in np.unique(languages):
            some = languages == language
            found[some] = margin(cosine[some], *_means(src, tgt, ids, some, k), kind)
        scores[f"{kind} margin, by languages"] = found
    distinct = np.unique(ids[1], return_index=True)[1]
    extra = _extra(data, pool - len(distinct), set(ids[1].tolist()))
    known = np.concatenate([ids[1][distinct], text_ids(extra)])
    vectors = np.concatenate([tgt[distinct], engine.encode(extra)]) if extra else tgt[distinct]
    order = np.argsort(known)
    ranks = consistency.ranks(src, tgt, np.ascontiguousarray(vectors[order]), ids[1], known[order])
    scores["consistency rank"] = -ranks.astype(np.float32)
    counts = {"clean": int((~bad).sum()), "misaligned": int(bad.sum()), "languages": len(np.unique(languages))}
    figures = {name: _separated(found, bad) for name, found in scores.items()}
    by_language = {
        language: round(auc(scores["ratio margin, all"][languages == language], bad[languages == language]), 4)
        for language in np.unique(languages).tolist()
    }
    return {**counts, "pool": len(known), "scores": figures, "ratio margin, all: AUC by language": by_language}


def _means(src: np.ndarray, tgt: np.ndarray, ids: list[np.ndarray], some: np.ndarray, k: int) -> tuple[np.ndarray, ...]:
    """Neighbour means of some rows among their distinct texts, both ways."""
    found = []
    for one, other, texts in ((src, tgt, ids[1]), (tgt, src, ids[0])):
        distinct = np.unique(texts[some], return_index=True)[1]
        found.append(neighbour_mean(nearest(one[some], other[some][distinct], k).cosines))
    return tuple(found)


def _extra(data: Path, count: int, known: set[int]) -> list[str]:
    """English passages of the same corpora that no row has."""
    if count <= 0:
        return []
    texts: set[str] = set()
    for corpus in ("bible", "libreoffice_help", "quran"):
        texts |= set(pc.unique(pq.read_table(data / f"bitext/{corpus}.parquet", columns=["tgt"])["tgt"]).to_pylist())
    ordered = sorted(texts)
    chosen = [ordered[i] for i in np.random.default_rng(0).permutation(len(ordered))[: 2 * count]]
    return [text for text, one in zip(chosen, text_ids(chosen).tolist(), strict=True) if one not in known][:count]


def auc(scores: np.ndarray, bad: np.ndarray) -> float:
    """Probability that a good row scores more than a bad one; ties count half."""
    from scipy.stats import rankdata

    ranks, good = rankdata(scores), ~bad
    return float((ranks[good].sum() - good.sum() * (good.sum() + 1) / 2) / (good.sum() * bad.sum()))


def _separated(scores: np.ndarray, bad: np.ndarray) -> dict[str, float]:
    """AUC, and what a threshold catches that loses at most LOST of the good rows."""
    scores = np.nan_to_num(scores, nan=-np.inf)
    good = np.sort(scores[~bad])
    threshold = good[int(LOST * len(good))]
    lost, caught = float((scores[~bad] < threshold).mean()), float((scores[bad] < threshold).mean())
    figures = {"auc": auc(scores, bad), "threshold": float(threshold), "lost": lost, "caught": caught}
    return {name: round(value, 4) for name, value in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("model", help="a model directory")
    parser.add_argument("--prefix", default="query: ", help="what goes before every text")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--languages", nargs="*", default=["de", "sw"])
    parser.add_argument("--corpus", default="bible")
    parser.add_argument("--gold", type=int, default=1000)
    parser.add_argument("--distractors", type=int, default=2000)
    parser.add_argument("--pool", type=int, default=5000, help="passages that ranks are found among")
    parser.add_argument("--k", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    model = EmbeddingModel(path=given.model, pooling="mean", max_length=256, prompts={"all": given.prefix})
    engine = _Prompted(make(model, given.precision, given.threads))
    figures: dict[str, Any] = {}
    start = time.perf_counter()
    for language in given.languages:
        figures[f"bitext {language}-en"] = bitext(
            engine,
            given.data,
            given.corpus,
            language,
            given.gold,
            given.distractors,
            given.k,
        )
    figures["misaligned"] = misaligned(engine, given.data, given.k, given.pool)
    print(json.dumps({**figures, "seconds": round(time.perf_counter() - start, 1)}, indent=1))


class _Prompted:
    """An engine that puts its one prompt before every text."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return self._engine.encode(texts, "all")


if __name__ == "__main__":
    main()
