"""Heuristic rules: one module each, with `score(...) -> float32 (n,)`, `VERSION`, formula and source.

A new rule is one file here, one line in the table below, and one line in `spec/rules.py`. A rule on each side is
`score(side)`, a rule on the pair `score(anchor, positive)`. The rule `language` is in `curate/language`.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from pairmill.curate.heuristics import (
    empty,
    html,
    identical,
    length_ratio,
    letters,
    max_chars,
    min_chars,
    numbers,
    placeholders,
    repetition,
    script,
    url_share,
)
from pairmill.curate.heuristics.side import Side
from pairmill.spec.rules import RULES

MODULES: dict[str, ModuleType] = {
    "empty": empty,
    "min_chars": min_chars,
    "max_chars": max_chars,
    "identical": identical,
    "length_ratio": length_ratio,
    "url_share": url_share,
    "letters": letters,
    "script": script,
    "numbers": numbers,
    "placeholders": placeholders,
    "repetition": repetition,
    "html": html,
}


def score_all(anchor: Side, positive: Side) -> dict[str, np.ndarray]:
    """Every score column but those of `language`, float32 (n,), in the order of the table of rules."""
    scores: dict[str, np.ndarray] = {}
    for name, module in MODULES.items():
        columns = RULES[name].columns
        if RULES[name].per == "pair":
            scores[columns[0]] = module.score(anchor, positive)
        else:
            scores |= {column: module.score(side) for column, side in zip(columns, (anchor, positive), strict=True)}
    return scores


def versions() -> dict[str, int]:
    """Each rule's VERSION, raised when its scores change."""
    return {name: module.VERSION for name, module in MODULES.items()}


__all__ = ["MODULES", "Side", "score_all", "versions"]
