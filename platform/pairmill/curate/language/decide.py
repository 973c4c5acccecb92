"""From declared and identified languages to the language of a side."""

from __future__ import annotations

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
    return pc.if_else(pa.array(pairwise(same_language, declared, sure)), declared, pc.coalesce(sure, declared))


def canonical_column(codes: pa.Array) -> pa.Array:
    """Each code in BCP-47's spelling; empty strings become null."""
    unique = codes.dictionary_encode()
    names = [canonical(code) or None if code else None for code in unique.dictionary.to_pylist()]
    return pa.array(names, pa.string()).take(unique.indices)


def pairwise(relation: object, left: pa.Array, right: pa.Array) -> np.ndarray:
    """`relation(left, right)` as bool (n,), called once per distinct pair of codes; False where one is null."""
    assert callable(relation)
    a, b = left.dictionary_encode(), right.dictionary_encode()
    names_a, names_b = a.dictionary.to_pylist(), b.dictionary.to_pylist()
    either_null = pc.or_(left.is_null(), right.is_null()).to_numpy(zero_copy_only=False)
    keys = _numbers(a.indices) * (len(names_b) + 1) + _numbers(b.indices)
    distinct, where = np.unique(keys[~either_null], return_inverse=True)
    pairs = [divmod(int(key), len(names_b) + 1) for key in distinct]
    result = np.zeros(len(left), bool)
    if pairs:
        result[~either_null] = np.array([relation(names_a[i], names_b[j]) for i, j in pairs], bool)[where]
    return result


def _numbers(indices: pa.Array) -> np.ndarray:
    return pc.fill_null(indices, 0).to_numpy(zero_copy_only=False).astype(np.int64)
