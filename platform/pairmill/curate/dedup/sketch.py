"""Sketches: one bit of every slot of a signature, enough to verify candidates without their texts (Li and König 2010).

The bit is taken after a multiplication that moves all bits of the slot there, because the low bits of the slots of
short texts repeat each other. Two texts agree in a bit with probability (1 + J) / 2: in the slot with probability J, by
chance otherwise. So J is estimated as 2 a / S - 1, where a of S bits agree, with a standard deviation of
sqrt((1 - J^2) / S), 0.053 at J = 0.8 and 128 slots.
"""

import math

import numpy as np

_SPREAD = np.uint32(0x9E3779B1)
#: How many standard deviations below the threshold a pair may be estimated: it loses 1 pair in 3,000 at the threshold.
DEVIATIONS = 3.4


def words(slots: int) -> int:
    """64-bit words of a sketch of that many slots."""
    return -(-slots // 64)


def sketch(signature: np.ndarray) -> np.ndarray:
    """Sketches (n, words) uint64 of signatures (n, slots) uint32."""
    count, slots = signature.shape
    packed = np.zeros((count, 8 * words(slots)), np.uint8)
    bits = np.packbits((signature * _SPREAD).view(np.int32) < 0, axis=1)
    packed[:, : bits.shape[1]] = bits
    return packed.view(np.uint64)


def most_different(threshold: float, slots: int) -> int:
    """In how many bits two sketches may differ at most to be taken for a Jaccard similarity of the threshold."""
    least = threshold - DEVIATIONS * math.sqrt((1 - threshold**2) / slots)
    return math.floor(slots * (1 - least) / 2)
