"""Supervised contrastive loss on anchors and their labels (Khosla et al. 2020, 2004.11362, equation 2, L_out).

With z_i the unit anchors, A(i) all rows but i, and P(i) those of A(i) with the label of i,

    L = 1/|I| sum_{i in I} -1/|P(i)| sum_{p in P(i)} log( exp(z_i z_p / t) / sum_{a in A(i)} exp(z_i z_a / t) )

over I, the rows that have another row of their label in the batch. (The paper sums over i.) A batch without such rows
has loss 0. Rows of one text count as others of their label.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pairmill.spec import objectives as spec
from pairmill.train.objectives.base import Embedded, Meta, Objective, Rows, unit
from pairmill.train.objectives.false_negatives import own
from pairmill.train.objectives.temperature import Temperature


class SupervisedContrastive(Objective):
    """anchor (n, d), label (n,). Statistics: similarity within and across labels, share of rows with a positive."""

    name = "supervised_contrastive"

    def __init__(self, options: spec.SupervisedContrastive) -> None:
        super().__init__()
        self.temperature = Temperature(options.temperature)

    def compute(self, embedded: Embedded, meta: Meta, rows: Rows) -> tuple[Tensor, dict[str, Tensor]]:
        label = self.required(meta.label, "label")
        anchor = unit(embedded.anchor)
        similarities = rows.of(anchor) @ anchor.T
        itself = own(rows, anchor.device)
        logits = self.temperature(similarities).masked_fill(itself, torch.finfo(similarities.dtype).min)
        positives = (rows.of(label)[:, None] == label) & ~itself
        partners = positives.sum(1)
        log_p = logits - logits.logsumexp(1, keepdim=True)
        per_row = -log_p.masked_fill(~positives, 0).sum(1) / partners.clamp(min=1)
        _, group, size = torch.unique(label, return_inverse=True, return_counts=True)
        paired = (size[group] > 1).sum().clamp(min=1)
        with torch.no_grad():
            negatives = ~(positives | itself)
            statistics = {
                "positive_similarity": (similarities * positives).sum() / positives.sum().clamp(min=1),
                "negative_similarity": (similarities * negatives).sum() / negatives.sum().clamp(min=1),
                "paired": (partners > 0).to(similarities.dtype).mean(),
                "temperature": self.temperature.value(similarities),
            }
        return per_row.sum() / paired, statistics
