"""What a section made of a run: score side-tables, or a kept dataset, and the figures that the report shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pairmill.pairs.scores import Column

BINS = 40


@dataclass
class Made:
    """`scores`: columns and files, or `kept`: files and counts by source and by languages; `summary`: more figures."""

    columns: tuple[Column, ...] = ()
    files: list[dict[str, Any]] = field(default_factory=list)
    kept: dict[str, Any] | None = None
    summary: dict[str, Any] = field(default_factory=dict)


class Figures:
    """Histograms of scores over [-1, 3], in steps of 0.0125 that are joined for show: what units add up."""

    LOW, HIGH, STEPS = -1.0, 3.0, 320

    def __init__(self, counts: dict[str, list[int]] | None = None):
        self.counts = {name: np.asarray(found, np.int64) for name, found in (counts or {}).items()}

    def add(self, name: str, values: np.ndarray) -> None:
        finite = values[np.isfinite(values)]
        at = ((np.clip(finite, self.LOW, self.HIGH) - self.LOW) / (self.HIGH - self.LOW) * self.STEPS).astype(int)
        found = np.bincount(np.minimum(at, self.STEPS - 1), minlength=self.STEPS)
        found = np.append(found, len(values) - len(finite))
        self.counts[name] = self.counts.get(name, 0) + found

    def merge(self, other: dict[str, list[int]]) -> None:
        for name, found in other.items():
            self.counts[name] = self.counts.get(name, 0) + np.asarray(found, np.int64)

    def to_json(self) -> dict[str, list[int]]:
        return {name: found.tolist() for name, found in self.counts.items()}

    def shown(self) -> dict[str, dict[str, Any]]:
        """By score: `rows`, `missing`, some quantiles, and a histogram of at most BINS bars (`low`, `high`, `rows`)."""
        return {name: _shown(found) for name, found in self.counts.items()}


def _shown(found: np.ndarray) -> dict[str, Any]:
    counts, missing = found[:-1], int(found[-1])
    total = int(counts.sum())
    if not total:
        return {"rows": 0, "missing": missing, "quantiles": {}, "bars": []}
    width = (Figures.HIGH - Figures.LOW) / Figures.STEPS
    below = np.cumsum(counts)
    quantiles = {
        f"{100 * share:g}%": round(Figures.LOW + width * (int(np.searchsorted(below, share * total)) + 0.5), 4)
        for share in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    }
    first, last = int(np.flatnonzero(counts)[0]), int(np.flatnonzero(counts)[-1])
    step = -(-(last + 1 - first) // BINS)
    bars = [
        {
            "low": round(Figures.LOW + width * at, 4),
            "high": round(Figures.LOW + width * min(at + step, last + 1), 4),
            "rows": int(counts[at : at + step].sum()),
        }
        for at in range(first, last + 1, step)
    ]
    return {"rows": total, "missing": missing, "quantiles": quantiles, "bars": bars}


def made_scores(columns: Sequence[Column], done: Sequence[dict[str, Any]], **summary: Any) -> Made:
    """The side-table that units wrote (`file`, `figures`)."""
    figures = Figures()
    for unit in done:
        figures.merge(unit.get("figures", {}))
    files = [unit["file"] for unit in done]
    rows = sum(file["rows"] for file in files)
    return Made(tuple(columns), files, None, {"rows": rows, "figures": figures.shown(), **summary})
