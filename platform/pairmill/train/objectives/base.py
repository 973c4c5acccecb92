"""What an objective is: a scalar of a batch's embeddings that can be computed in parts.

`forward(embedded, meta, rows)` sees the whole global batch and accounts for the rows of a slice. Over slices that
cover the batch without overlap the results add up to `forward(embedded, meta)`, in value and in gradient:

1. A mean over rows, sum_i l_i / n, counts the l_i of its slice (each may look at all embeddings).
2. A loss that is no such mean (a correlation, a ranking) returns its value times the slice's share of the batch.

Embeddings of 16 bits are raised to float32 first, and autocast is off inside, so similarities never lose digits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pairmill.errors import PairmillError


class Embedded(NamedTuple):
    """Pooled embeddings of a global batch of n rows, not normalised; d dimensions, h hard negatives a row."""

    anchor: Tensor
    """(n, d)"""
    positive: Tensor | None = None
    """(n, d)"""
    negatives: Tensor | None = None
    """(n, h, d)"""
    teacher_anchor: Tensor | None = None
    """(n, d) of a frozen teacher or guide"""
    teacher_positive: Tensor | None = None
    """(n, d) of a frozen teacher or guide"""

    def map(self, change: Callable[[Tensor], Tensor]) -> Embedded:
        """All embeddings changed alike."""
        return Embedded(change(self.anchor), *(None if values is None else change(values) for values in self[1:]))


class Meta(NamedTuple):
    """What else is known of a batch's rows. Ids name texts: equal ids, equal texts, on either side."""

    anchor_ids: Tensor
    """(n,) int64"""
    positive_ids: Tensor | None = None
    """(n,) int64"""
    negative_ids: Tensor | None = None
    """(n, h) int64"""
    score: Tensor | None = None
    """(n,) gold similarities"""
    label: Tensor | None = None
    """(n,) int"""
    scores: Tensor | None = None
    """(n, 1 + h) a cross-encoder's, of the positive and the hard negatives"""


@dataclass(frozen=True)
class Rows:
    """The rows of the batch that one call accounts for."""

    start: int
    stop: int
    total: int

    @property
    def count(self) -> int:
        return self.stop - self.start

    @property
    def share(self) -> float:
        return self.count / self.total

    def of(self, values: Tensor) -> Tensor:
        """These rows of a tensor of the whole batch."""
        return values[self.start : self.stop]

    def mean(self, per_row: Tensor) -> Tensor:
        """This slice's part of the mean over the batch; per_row (count,)."""
        return per_row.sum() / self.total


class Objective(nn.Module, ABC):
    """A loss over a batch. Subclasses compute; `name` is what errors and statistics call them."""

    name: str

    def __init__(self) -> None:
        super().__init__()
        self.latest: dict[str, Tensor] = {}
        """`statistics` as they were computed: on the device, which need not be waited for."""

    @property
    def statistics(self) -> dict[str, float]:
        """Of the last call, means over its rows: weighted by row counts, those of slices give the batch's."""
        return {key: float(value) for key, value in self.latest.items()}

    def forward(self, embedded: Embedded, meta: Meta, rows: slice | None = None) -> Tensor:
        """The part of the loss that `rows` accounts for (None: all of it), a scalar.

        Raises PairmillError where the batch lacks what the formula needs.
        """
        part = rows_of(rows, len(embedded.anchor))
        with torch.autocast(embedded.anchor.device.type, enabled=False):
            loss, statistics = self.compute(embedded.map(_raised), meta, part)
        self.latest = {**statistics, "loss": loss.detach() / part.share}
        return loss

    @abstractmethod
    def compute(self, embedded: Embedded, meta: Meta, rows: Rows) -> tuple[Tensor, dict[str, Tensor]]:
        """The slice's part of the loss, and statistics of its rows."""

    def required(self, values: Tensor | None, field: str) -> Tensor:
        """`values`, or a PairmillError that names the field the batch lacks."""
        if values is None:
            raise PairmillError(
                f"objective {self.name}: the batch has no {field}. "
                f"Give the data entry rows with {field}, or another objective."
            )
        return values


def rows_of(rows: slice | None, total: int) -> Rows:
    """A slice of a batch of `total` rows. Raises ValueError if it is empty or has a step."""
    start, stop, step = (rows or slice(None)).indices(total)
    if step != 1 or start >= stop:
        raise ValueError(f"{rows} is no run of rows of a batch of {total}")
    return Rows(start, stop, total)


def unit(vectors: Tensor) -> Tensor:
    """Vectors of length one along the last axis (a zero vector stays zero)."""
    return F.normalize(vectors, dim=-1)


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Cosines of corresponding vectors, (..., d) and (..., d) to (...)."""
    return (unit(first) * unit(second)).sum(-1)


def _raised(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
