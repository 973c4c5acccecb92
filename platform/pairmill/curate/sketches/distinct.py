"""How many different texts there are: HyperLogLog with the estimator of Ertl.

Flajolet et al. (2007); Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (1702.01284), algorithm
6: no bias at any number, no tables. Registers depend on the set of texts alone.
"""

from __future__ import annotations

import base64
import math
import zlib

import numpy as np

PRECISION = 14
REGISTERS = 1 << PRECISION
ERROR = 1.04 / math.sqrt(REGISTERS)  # relative standard error, 0.8 %
_BITS = 64 - PRECISION


class Distinct:
    """The number of different 64-bit hashes."""

    def __init__(self) -> None:
        self.registers = np.zeros(REGISTERS, np.uint8)

    def add(self, hashes: np.ndarray) -> None:
        """Count hashes (n,) uint64."""
        rest = hashes & np.uint64((1 << _BITS) - 1)
        length = np.frexp(rest.astype(np.float64))[1]  # exact: fewer than 53 bits
        np.maximum.at(self.registers, hashes >> np.uint64(_BITS), (_BITS + 1 - length).astype(np.uint8))

    def merge(self, other: str) -> None:
        """Add what `to_json` gave."""
        there = np.frombuffer(zlib.decompress(base64.b64decode(other)), np.uint8)
        self.registers = np.maximum(self.registers, there)

    def to_json(self) -> str:
        return base64.b64encode(zlib.compress(self.registers.tobytes())).decode()

    def estimate(self) -> int:
        """The number, within ERROR two times out of three."""
        counts = np.bincount(self.registers, minlength=_BITS + 2).tolist()
        z = REGISTERS * _tau(1 - counts[_BITS + 1] / REGISTERS)
        for k in range(_BITS, 0, -1):
            z = 0.5 * (z + counts[k])
        z += REGISTERS * _sigma(counts[0] / REGISTERS)
        return round(REGISTERS**2 / (2 * math.log(2) * z))


def _sigma(x: float) -> float:
    """x + sum of x^(2^k) 2^(k-1)."""
    if x == 1:
        return math.inf
    y, z, before = 1.0, x, -1.0
    while z != before:
        x, before = x * x, z
        z, y = z + x * y, 2 * y
    return z


def _tau(x: float) -> float:
    """(1 - x - sum of (1 - x^(2^-k))^2 2^-k) / 3."""
    if x in (0.0, 1.0):
        return 0.0
    y, z, before = 1.0, 1 - x, -1.0
    while z != before:
        x, before, y = math.sqrt(x), z, 0.5 * y
        z -= (1 - x) ** 2 * y
    return z / 3
