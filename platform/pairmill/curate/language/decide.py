"""From declared and identified languages to the language of a side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate.language.codes import canonical, same_language

Policy = Literal["require", "trust", "identify"]


def assign(
    declared: pa.Array | None, identified: pa.Array, confidence: np.ndarray, policy: Policy, min_confidence: float
) -> pa.Array:
    """The final language of each text (string array, null where nobody knows).

    require, trust: what is declared; where nothing is, the identified language if it is confident, else null.
        (They differ in what happens to contradictions: with `require` the rule `language` rejects them.)
    identify: the identified language if it is confident; else what is declared, which is better than nothing.
        Where both name one language, the declared code stays, because it is the more exact one (`pt-BR`, `zh-Hant`).

    Confident: `confidence >= min_confidence`. Codes come out in BCP-47's spelling (`pt_BR` as `pt-BR`).
    """
    sure = pc.if_else(pa.array(confidence >= np.float32(min_confidence)), identified, pa.scalar(None, pa.string()))
    if declared is None:
        return sure
    declared = canonical_column(declared)
    if policy != "identify":
        return pc.coalesce(declared, sure)
    return pc.if_else(pa.array(pairwise(same_language, declared, sure) > 0), declared, pc.coalesce(sure, declared))


def canonical_column(codes: pa.Array) -> pa.Array:
    """Each code in BCP-47's spelling; empty strings become null."""
    unique = codes.dictionary_encode()
    names = [canonical(code) or None if code else None for code in unique.dictionary.to_pylist()]
    return pa.array(names, pa.string()).take(unique.indices)


def pairwise(relation: Callable[[str, str], float], left: pa.Array, right: pa.Array) -> np.ndarray:
    """`relation(left, right)` as float64 (n,), called once per distinct pair of codes; 0 where one is null."""
    (i, names), (j, others) = _numbered(left), _numbered(right)
    table = np.zeros((len(names) + 1, len(others) + 1))
    held = np.zeros(table.shape, bool)
    held[i, j] = True
    for one, other in np.argwhere(held[:-1, :-1]).tolist():
        table[one, other] = relation(names[one], others[other])
    return table[i, j]


def _numbered(codes: pa.Array) -> tuple[np.ndarray, list[str]]:
    """The number of each code among the distinct ones, -1 for null, and these."""
    unique = codes.dictionary_encode()
    return np.asarray(unique.indices.fill_null(-1)), unique.dictionary.to_pylist()
