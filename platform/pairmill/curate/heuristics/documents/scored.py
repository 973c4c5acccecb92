"""A rule among several in one module: what `heuristics.MODULES` needs to know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pairmill.curate.heuristics.side import Side


@dataclass(frozen=True)
class Scored:
    """`score(side)` -> float32 (n,), NaN where the rule does not apply; VERSION is raised when scores change."""

    score: Callable[[Side], np.ndarray]
    VERSION: int


def ratio(part: np.ndarray, whole: np.ndarray, applies: np.ndarray | bool = True) -> np.ndarray:
    """`part / whole` as float32; NaN where `whole` is 0 or the rule does not apply."""
    valid = applies & (whole > 0)
    return np.where(valid, part / np.where(whole > 0, whole, 1), np.nan).astype(np.float32)
