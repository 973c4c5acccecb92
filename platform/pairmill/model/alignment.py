"""Which tokens of one language translate which of the other: IBM Model 1 (Brown et al. 1993, section 4.2).

Each target token of a pair was made by one source token of it, or by none; t(e|f) is the probability that source token
f makes target token e. Expectation maximisation from uniform probabilities, whose optimum does not depend on the start:

    c(e, f) = sum over pairs and places of e of  t(e|f) / (t(e|none) + sum over the source's tokens f' of t(e|f'))
    t(e|f)  = c(e, f) / sum_e' c(e', f)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

ROUNDS = 6
LONGEST = 40  # tokens of a side: in longer texts nearly every token could make every other
LINKS = 30_000_000  # between tokens of a pair; pairs beyond are left out (about 0.8 GB)


class Translations(NamedTuple):
    """Links between source and target tokens, ordered by source token, then target token."""

    source: np.ndarray
    """Token ids, int64 (n,)."""
    target: np.ndarray
    """Token ids, int64 (n,)."""
    probability: np.ndarray
    """t(target | source), float64 (n,)."""
    times: np.ndarray
    """How often the source made the target, expected, float64 (n,)."""


def translations(source: Sequence[Sequence[int]], target: Sequence[Sequence[int]]) -> Translations:
    """The links of token ids of pairs; pairs with an empty or a very long side are left out."""
    links, places = _links(source, target)
    if not len(links):
        empty = np.empty(0, np.int64)
        return Translations(empty, empty, np.empty(0), np.empty(0))
    kinds, of = np.unique(links, axis=None, return_inverse=True)
    of = of.astype(np.int32)
    del links
    made_by, made = kinds >> 32, kinds & 0xFFFFFFFF
    probability = np.ones(len(kinds))
    count: np.ndarray = probability
    for _ in range(ROUNDS):
        share = probability[of]
        share /= np.bincount(places, share)[places]
        count = np.bincount(of, share, len(kinds))
        probability = count / np.bincount(made_by, count)[made_by]
    some = made_by > 0
    return Translations(made_by[some] - 1, made[some], probability[some], count[some])


def _links(source: Sequence[Sequence[int]], target: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Every link as `(source + 1) << 32 | target`, 0 for no source, and the number of the target's place, int32."""
    links, places = [np.empty(0, np.int64)], [np.empty(0, np.int32)]
    total = first = 0
    for one, other in zip(source, target, strict=True):
        if not (0 < len(one) <= LONGEST and 0 < len(other) <= LONGEST):
            continue
        makers = np.concatenate([[0], np.asarray(one, np.int64) + 1]) << 32
        links.append((makers[None, :] | np.asarray(other, np.int64)[:, None]).ravel())
        places.append(np.repeat(np.arange(first, first + len(other), dtype=np.int32), len(makers)))
        first += len(other)
        total += len(links[-1])
        if total > LINKS:
            break
    return np.concatenate(links), np.concatenate(places)
