"""(longer + 10) / (shorter + 10), where a side's length is the sum of its characters' weights.

Weights make languages comparable: one Han character stands for about three Latin ones, and so on (the table and how it
was measured: `scripts.py`). White space and marks weigh nothing. The 10 keeps short pairs: `No` and `Nein, danke` have
1.6. Two empty sides have 1. Source: OpusFilter LengthRatioFilter; the smoothing is ours.
"""

from __future__ import annotations

import numpy as np

from pairmill.curate.heuristics.side import Side

VERSION = 1
SMOOTHING = 10


def score(anchor: Side, positive: Side) -> np.ndarray:
    a, p = anchor.weight + SMOOTHING, positive.weight + SMOOTHING
    return (np.maximum(a, p) / np.minimum(a, p)).astype(np.float32)
