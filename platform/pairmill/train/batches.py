"""From what the reader gives of a step to what an objective is computed of."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pairmill.train import reader
from pairmill.train.gradient_cache import Batch, Tokens
from pairmill.train.objectives.base import Meta

#: Columns of prepared rows -> fields of `Meta`, and their types.
_META: dict[str, tuple[str, torch.dtype]] = {
    "anchor_id": ("anchor_ids", torch.int64),
    "positive_id": ("positive_ids", torch.int64),
    "negative_ids": ("negative_ids", torch.int64),
    "score": ("score", torch.float32),
    "label": ("label", torch.int64),
    "scores": ("scores", torch.float32),
}


def of(read: reader.Batch, needed: frozenset[str]) -> Batch:
    """A rank's batch, with the fields of `Embedded` that the objective needs; a teacher without tokens of its own reads
    the student's."""
    teacher = [side for side in ("anchor", "positive") if f"teacher_{side}" in needed]
    sides = {name: split(ragged) for name, ragged in read.tokens.items()}
    taught = {side: sides.get(f"teacher_{side}", sides[side]) for side in teacher if side in sides}
    meta: dict[str, Any] = {
        field: torch.tensor(read.meta[column], dtype=kind)
        for column, (field, kind) in _META.items()
        if column in read.meta
    }
    positive = sides.get("positive") if "positive" in needed else None
    return Batch(sides["anchor"], positive, sides.get("negatives"), Meta(**meta), taught)


def split(ragged: reader.Ragged) -> Tokens:
    """The sequences, as views."""
    return np.split(ragged.values, ragged.offsets[1:-1])
