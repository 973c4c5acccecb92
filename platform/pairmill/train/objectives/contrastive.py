"""The contrastive core: one softmax cross-entropy whose denominator is put together from directions.

With s the cosine, t the temperature and e(x, y) = exp(s(x, y) / t), row i's sums over the batch are

    a2p   D_i = sum_j e(a_i, p_j) + sum_k e(a_i, n_k)        n_k: hard negatives, the row's own or the whole batch's
    p2a   D_i = sum_j e(p_i, a_j)
    a2a   D_i = sum_{j != i} e(a_i, a_j)
    p2p   D_i = sum_{j != i} e(p_i, p_j)

    joint           L = 1/n sum_i -log( e(a_i, p_i) / sum over directions of D_i )
    per_direction   L = 1/n sum_i mean over directions of -log( e(a_i, p_i) / D_i )

Masked candidates (`false_negatives.py`) leave the sums. a2p and p2a keep the positive, so it counts twice in a joint
denominator of both, as in GTE (Li et al. 2023, 2308.03281, section 3.3). InfoNCE (van den Oord et al. 2018, 1807.03748)
is a2p alone. Jina's bidirectional loss (2402.17016) is the sum of a2p and p2a where this is the mean: use weight 2.

A row's sums take m x n similarities for a slice of m rows, so slices bound the memory of a large batch.
"""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from pairmill.spec import objectives as spec
from pairmill.train.objectives import false_negatives
from pairmill.train.objectives.base import Embedded, Meta, Objective, Rows, unit
from pairmill.train.objectives.temperature import Temperature


class Contrastive(Objective):
    """See the module. Statistics are of the first direction: accuracy (the positive beats all candidates), similarity
    to positives and negatives, masked candidates a row; and the temperature."""

    name = "contrastive"

    def __init__(self, options: spec.Contrastive) -> None:
        super().__init__()
        self.options = options
        self.temperature = Temperature(options.temperature)

    def compute(self, embedded: Embedded, meta: Meta, rows: Rows) -> tuple[Tensor, dict[str, Tensor]]:
        anchor, positive = unit(embedded.anchor), unit(self.required(embedded.positive, "positive"))
        similarity = (rows.of(anchor) * rows.of(positive)).sum(-1)
        masks = self._masks(embedded, meta, rows)
        blocks: list[tuple[Tensor, Tensor]] = []
        sums: list[Tensor] = []
        for direction in self.options.directions:
            candidates = [self._in_batch(direction, anchor, positive, similarity, masks[direction], rows)]
            negatives = self._negatives(embedded) if direction == "a2p" else None
            if negatives is not None:
                candidates.append(self._hard(anchor, unit(negatives), similarity, meta, rows))
            blocks = blocks or candidates
            sums.append(_combined([self._log_sum(*block) for block in candidates]))
        logit = self.temperature(similarity)
        joint = self.options.partition == "joint"
        log_denominator = _combined(sums) if joint else torch.stack(sums).mean(0)
        return rows.mean(log_denominator - logit), self._figures(blocks, similarity, rows)

    def _negatives(self, embedded: Embedded) -> Tensor | None:
        """(n, h, d) hard negatives to use. Those the options name must be there; by default, those there are used."""
        if self.options.hard_negatives == "off":
            return None
        return self.required(embedded.negatives, "negatives") if self.options.negatives else embedded.negatives

    def _log_sum(self, similarities: Tensor, mask: Tensor) -> Tensor:
        """(m,) log of the sum of exp(similarity / t) over what is not masked; very low where all is."""
        logits = self.temperature(similarities)
        return logits.masked_fill(mask, torch.finfo(logits.dtype).min).logsumexp(1)

    def _masks(self, embedded: Embedded, meta: Meta, rows: Rows) -> dict[str, Tensor]:
        """Per direction, (m, n) true where a candidate is masked by identity, label or guide."""
        options = self.options.false_negatives
        label = self.required(meta.label, "label") if options.same_label else None
        own = false_negatives.own(rows, embedded.anchor.device)
        related = false_negatives.related(meta, label, rows, options)
        masks = dict.fromkeys(self.options.directions, torch.zeros_like(own) if related is None else related)
        if options.judge == "guide":
            teacher_anchor = self.required(embedded.teacher_anchor, "teacher_anchor")
            teacher_positive = self.required(embedded.teacher_positive, "teacher_positive")
            guide = {"a": unit(teacher_anchor.detach()), "p": unit(teacher_positive.detach())}
            threshold = (rows.of(guide["a"]) * rows.of(guide["p"])).sum(-1)
            for direction in masks:
                judged = rows.of(guide[direction[0]]) @ guide[direction[2]].T
                masks[direction] = masks[direction] | false_negatives.too_similar(judged, threshold, options)
        return {
            direction: mask | own if direction in ("a2a", "p2p") else mask & ~own for direction, mask in masks.items()
        }

    def _in_batch(
        self, direction: str, anchor: Tensor, positive: Tensor, similarity: Tensor, mask: Tensor, rows: Rows
    ) -> tuple[Tensor, Tensor]:
        """(m, n) similarities of a direction and what of them is masked."""
        side = {"a": anchor, "p": positive}
        similarities = rows.of(side[direction[0]]) @ side[direction[2]].T
        return similarities, self._judged(similarities, similarity, mask, false_negatives.own(rows, anchor.device))

    def _hard(
        self, anchor: Tensor, negatives: Tensor, similarity: Tensor, meta: Meta, rows: Rows
    ) -> tuple[Tensor, Tensor]:
        """(m, n h) similarities to all rows' hard negatives, or (m, h) to the row's own, and what is masked."""
        everyones = self.options.hard_negatives == "batch"
        if everyones:
            similarities = rows.of(anchor) @ negatives.flatten(0, 1).T
        else:
            similarities = (rows.of(anchor)[:, None] * rows.of(negatives)).sum(-1)
        mask = false_negatives.same_text_negatives(meta, rows, self.options.false_negatives, everyones)
        if mask is None:
            mask = torch.zeros_like(similarities, dtype=torch.bool)
        if everyones:
            trusted = false_negatives.own(rows, anchor.device).repeat_interleave(negatives.shape[1], 1)
            mask = self._judged(similarities, similarity, mask, trusted)
        return similarities, mask

    def _judged(self, similarities: Tensor, similarity: Tensor, mask: Tensor, trusted: Tensor) -> Tensor:
        """`mask`, and what the model itself finds too similar among the candidates that are not trusted."""
        options = self.options.false_negatives
        if options.margin is None or options.judge != "model":
            return mask
        found = false_negatives.too_similar(similarities.detach(), similarity.detach(), options)
        return mask | (found & ~trusted)

    @torch.no_grad()
    def _figures(self, blocks: list[tuple[Tensor, Tensor]], similarity: Tensor, rows: Rows) -> dict[str, Tensor]:
        own = false_negatives.own(rows, similarity.device)
        best = torch.full_like(similarity, -torch.inf)
        total, left = similarity.new_zeros(()), similarity.new_zeros(())
        candidates = -rows.count
        for number, (similarities, mask) in enumerate(blocks):
            out = mask | own if number == 0 else mask
            best = torch.maximum(best, similarities.masked_fill(out, -torch.inf).amax(1))
            total = total + similarities.masked_fill(out, 0).sum()
            candidates, left = candidates + out.numel(), left + (~out).count_nonzero()
        return {
            "accuracy": (similarity > best).to(similarity.dtype).mean(),
            "positive_similarity": similarity.mean(),
            "negative_similarity": total / left.clamp(min=1),
            "masked": (candidates - left) / rows.count,
            "temperature": self.temperature.value(similarity),
        }


def _combined(sums: list[Tensor]) -> Tensor:
    """Log of the sum of numbers given by their logarithms."""
    return reduce(torch.logaddexp, sums)
