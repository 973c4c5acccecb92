"""Language identification: engines behind one small interface, and what their answers mean for declared languages.

A new engine is one module with `load() -> Engine` and one line in `ENGINES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate.language import calibration, cascade, contradiction, eldc, fasttext, langdetect, noise, py3langid
from pairmill.curate.language.decide import Policy, assign
from pairmill.curate.language.engine import Engine

if TYPE_CHECKING:
    from pairmill.spec.curate import LanguageIdentification

ENGINES: dict[str, Callable[[], Engine]] = {
    "cascade": cascade.load,
    "eldc": eldc.load,
    "fasttext": fasttext.load,
    "langdetect": langdetect.load,
    "py3langid": py3langid.load,
}


def load(engine: str) -> Engine:
    """The engine by its name in the spec; its model is loaded once per process, with the first text."""
    if engine not in ENGINES:
        raise KeyError(f"no language engine {engine!r}; allowed: {', '.join(ENGINES)}")
    return ENGINES[engine]()


def identity(engine: str) -> dict[str, Any]:
    """Everything that decides what the engine answers and what is made of it; loads no model."""
    chosen = load(engine)
    versions = [chosen.version, calibration.VERSION, noise.VERSION]
    return {"engine": chosen.name, "version": versions, "checksum": chosen.checksum, "score": contradiction.VERSION}


def judge(
    texts: pa.Array, declared: pa.Array, policy: Policy, options: LanguageIdentification
) -> tuple[pa.Array, np.ndarray, pa.Array, np.ndarray]:
    """Identify one side of a batch and weigh the answer against what is declared.

    Returns, per row: the identified language (null: unknown), its confidence (float32), the final language of the
    side, and the score of the rule `language` (float32; NaN where it does not apply: nothing is declared, or the
    policy is not `require`).
    """
    engine = load(options.engine)
    found, confidence = engine.identify(texts) if policy != "trust" else _where_undeclared(engine, texts, declared)
    final = assign(declared, found, confidence, policy, options.min_confidence)
    if policy == "require":
        score = contradiction.score(texts, declared, found, confidence, engine.labels)
    else:
        score = np.full(len(texts), np.nan, np.float32)
    return found, confidence, final, score


def _where_undeclared(engine: Engine, texts: pa.Array, declared: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Identify only the texts of which nothing is declared; the others' answer is unknown, with confidence 0."""
    rows = np.flatnonzero(pc.equal(pc.fill_null(declared, ""), "").to_numpy(zero_copy_only=False))
    languages, confidence = np.full(len(texts), None, object), np.zeros(len(texts), np.float32)
    if len(rows):
        found, confidence[rows] = engine.identify(texts.take(pa.array(rows)))
        languages[rows] = found.to_pylist()
    return pa.array(languages, pa.string()), confidence


__all__ = ["ENGINES", "Engine", "Policy", "assign", "identity", "judge", "load"]
