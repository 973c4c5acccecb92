"""Evaluation in the course of training, on rows that training never sees.

For each held-out group: accuracy of finding a row's other side among those of all rows, both ways, its reciprocal
rank, the mean cosine of pairs; alignment and uniformity (Wang and Isola 2020, arXiv 2005.10242, section 4.1). Rows with
gold scores have Spearman's correlation instead. Texts that occur twice count as one answer.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from pairmill.train.batches import split
from pairmill.train.gradient_cache import Embed, Tokens, World, embed, micro_batches
from pairmill.train.reader import Reader

BLOCK = 1024  # rows of the similarity matrix that are held at a time


def evaluate(
    encode: Embed, reader: Reader, groups: list[dict[str, Any]], rows: int, micro_batch: int, world: World
) -> dict[str, dict[str, Any]]:
    """Figures by group name, equal on all ranks; at most `rows` rows of each group."""
    found = {}
    for group in groups:
        count = min(rows, group["rows"])
        columns = reader.read(group["name"], np.arange(count))
        if "positive" not in columns:
            continue  # labelled texts: there is no other side to find
        anchors, positives = (
            embed_all(encode, split(columns[side]), micro_batch, world) for side in ("anchor", "positive")
        )
        if "score" in columns:
            found[group["name"]] = scored(anchors, positives, columns["score"])
        else:
            found[group["name"]] = retrieval(anchors, positives, columns["anchor_id"], columns["positive_id"])
    return found


def embed_all(encode: Embed, texts: Tokens, micro_batch: int, world: World) -> torch.Tensor:
    """Unit vectors (n, d) of all texts, each rank doing its share."""
    share = -(-len(texts) // world.size)
    mine = [texts[min(i, len(texts) - 1)] for i in range(world.rank * share, (world.rank + 1) * share)]
    pieces = list(micro_batches(mine, micro_batch))
    with torch.no_grad():
        vectors = embed(encode, mine, pieces, world.passes(len(pieces)))
    return F.normalize(world.gather(vectors)[: len(texts)].float(), dim=-1)


def retrieval(
    anchors: torch.Tensor, positives: torch.Tensor, anchor_ids: np.ndarray, positive_ids: np.ndarray
) -> dict[str, Any]:
    """Figures of n pairs of unit vectors (n, d)."""
    ways = {
        "anchor_to_positive": _ranks(anchors, positives, positive_ids),
        "positive_to_anchor": _ranks(positives, anchors, anchor_ids),
    }
    figures: dict[str, Any] = {"rows": len(anchors)}
    for way, ranks in ways.items():
        hits = int((ranks == 0).sum())
        figures[way] = {
            "accuracy": hits / len(ranks),
            "interval": list(wilson(hits, len(ranks))),
            "mrr": float((1 / (1 + ranks)).mean()),
        }
    figures["accuracy"] = sum(figures[way]["accuracy"] for way in ways) / 2
    figures["cosine"] = float((anchors * positives).sum(-1).mean())
    figures["alignment"] = float((anchors - positives).square().sum(-1).mean())
    figures["uniformity"] = (uniformity(anchors) + uniformity(positives)) / 2
    return figures


def _ranks(queries: torch.Tensor, documents: torch.Tensor, ids: np.ndarray) -> np.ndarray:
    """For each query (n,) how many documents of other texts are more similar than its own."""
    texts = torch.tensor(ids, device=queries.device)
    found = []
    for start in range(0, len(queries), BLOCK):
        rows = torch.arange(start, min(start + BLOCK, len(queries)), device=queries.device)
        similar = queries[rows] @ documents.T
        own = similar.gather(1, rows[:, None])
        better = (similar > own) & (texts[None] != texts[rows][:, None])
        found.append(better.sum(1).cpu().numpy())
    return np.concatenate(found)


def uniformity(vectors: torch.Tensor) -> float:
    """log of the mean of exp(-2 |x - y|^2) over all pairs of different rows; lower is more uniform."""
    total, n = 0.0, len(vectors)
    if n < 2:
        return 0.0
    for start in range(0, n, BLOCK):
        distances = 2 - 2 * vectors[start : start + BLOCK] @ vectors.T
        total += float(torch.exp(-2 * distances.clamp(min=0)).sum())
    return math.log(max((total - n) / (n * (n - 1)), 1e-30))


def scored(anchors: torch.Tensor, positives: torch.Tensor, gold: np.ndarray) -> dict[str, Any]:
    """Spearman's correlation of cosine and gold score; `accuracy` is the same figure, for early stopping."""
    from scipy.stats import spearmanr

    cosines = (anchors * positives).sum(-1).cpu().numpy()
    value = float(spearmanr(cosines, gold).statistic)
    return {"rows": len(gold), "spearman": value, "accuracy": value, "cosine": float(cosines.mean())}


def wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    share, square = hits / n, z * z / n
    middle = (share + square / 2) / (1 + square)
    half = z * math.sqrt(share * (1 - share) / n + square / (4 * n)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)
