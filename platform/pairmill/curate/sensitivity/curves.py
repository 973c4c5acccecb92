"""From counts by lever, point and pair of languages to the summary's `sensitivity`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pairmill.curate.sensitivity.levers import Lever


def curves(
    found: Sequence[Lever],
    points: Sequence[Sequence[float]],
    pairs: Sequence[Sequence[str]],
    passing: np.ndarray,
    removed: np.ndarray,
    known: Sequence[Sequence[bool]],
    kept: int,
) -> list[dict[str, Any]]:
    """One curve per lever, its points ascending by threshold.

    `passing` and `removed` (levers, points, pairs and others): what more passes all rules, and what more duplicates
    remove, at a point than at the one before. `kept`: rows that the run kept. Where only a part of the groups was
    walked, what it says is scaled to what was removed in all, and the curve is not exact.
    """
    passes, gone = passing.cumsum(axis=1), removed.cumsum(axis=1)
    told = []
    for number, (lever, at) in enumerate(zip(found, points, strict=True)):
        now = at.index(lever.at)
        lost = int(passes[number, now].sum()) - kept
        walked = int(gone[number, now].sum())
        stays = passes[number] - gone[number] * (1 if walked == lost else lost / max(walked, 1))
        line = [
            {
                "threshold": threshold,
                "kept": round(stays[point].sum().item()),
                "by_pair": {name(pair): round(stays[point, n].item()) for n, pair in enumerate(pairs)},
            }
            for point, threshold in enumerate(at)
            if known[number][point]
        ]
        line.sort(key=lambda one: one["threshold"])
        about = {"rule": lever.name, "columns": list(lever.columns), "bound": lever.bound, "at": lever.at}
        told.append({**about, "points": line, "exact": walked == lost})
    return told


def name(pair: Sequence[str]) -> str:
    """`de-en`; a language that is not known is `und`."""
    return "-".join(code or "und" for code in pair)
