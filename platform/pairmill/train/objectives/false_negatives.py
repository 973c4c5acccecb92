"""Which candidates of the contrastive denominator are no negatives.

For row i, with anchor a_i and positive p_i, a candidate of another row j is masked

1. *same text*: if the rows share a text on either side, {a_i, p_i} and {a_j, p_j} intersect. Then both a_j and p_j are
   partners of i, so all four directions are masked alike. A hard negative is masked if it is the text of a_i or p_i.
2. *same label*: if the rows have one label.
3. *margin*: if a judge finds it too similar, s(x_i, y_j) > s(a_i, p_i) - m, or > s(a_i, p_i) - m |s(a_i, p_i)| where
   the margin is relative (GISTEmbed 2402.16829, section 3; NV-Retriever 2407.15831, section 3, whose TopK-MarginPos is
   the absolute and TopK-PercPos the relative one). The judge is the model itself or a frozen guide. A row's own hard
   negatives are trusted: the judge sees only other rows' texts. A guide reads no hard negatives, so it masks none.

The row's own positive is never masked; its similarity to itself (a2a, p2p) always is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pairmill.spec.objectives import FalseNegatives
from pairmill.train.objectives.base import Meta, Rows


def own(rows: Rows, device: torch.device) -> Tensor:
    """(m, n) true where the column is the row itself."""
    columns = torch.arange(rows.total, device=device)
    return columns[rows.start : rows.stop, None] == columns


def related(meta: Meta, label: Tensor | None, rows: Rows, spec: FalseNegatives) -> Tensor | None:
    """(m, n) true where two rows share a text or a label; None where neither is asked for. True for the row itself."""
    masks: list[Tensor] = []
    if spec.same_text:
        sides = [ids for ids in (meta.anchor_ids, meta.positive_ids) if ids is not None]
        masks += [rows.of(mine)[:, None] == theirs for mine in sides for theirs in sides]
    if label is not None:
        masks.append(rows.of(label)[:, None] == label)
    return _any(masks)


def same_text_negatives(meta: Meta, rows: Rows, spec: FalseNegatives, everyones: bool) -> Tensor | None:
    """(m, n h), or (m, h) of the rows' own: true where a hard negative is the row's anchor or positive."""
    if not spec.same_text or meta.negative_ids is None:
        return None
    candidates = meta.negative_ids.reshape(1, -1) if everyones else rows.of(meta.negative_ids)
    sides = [ids for ids in (meta.anchor_ids, meta.positive_ids) if ids is not None]
    return _any([rows.of(ids)[:, None] == candidates for ids in sides])


def too_similar(similarities: Tensor, positive: Tensor, spec: FalseNegatives) -> Tensor:
    """(m, k) true where a judge's similarities pass the threshold set by that of the row's positive, (m,)."""
    assert spec.margin is not None
    width = spec.margin if spec.kind == "absolute" else spec.margin * positive.abs()
    return similarities > (positive - width)[:, None]


def _any(masks: list[Tensor]) -> Tensor | None:
    if not masks:
        return None
    result = masks[0]
    for mask in masks[1:]:
        result = result | mask
    return result
