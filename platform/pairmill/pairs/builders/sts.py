"""Two sentences with a gold similarity (STS benchmark; Jina's third stage, 2402.17016, trains on such).

Scores are brought from the set's own scale to 0..1.
"""

from __future__ import annotations

from typing import Any

from pairmill.pairs.builders.base import Pair, WrongRecord, field_of, text
from pairmill.spec.record_builders import Sts


def build(record: dict[str, Any], options: Sts) -> list[Pair] | str:
    first, second = text(record, *options.sentence1), text(record, *options.sentence2)
    if not first or not second:
        return "no_sentence"
    score = _score(record, options)
    if score is None:
        return "no_score"
    lang = text(record, *options.lang) or None
    return [Pair(first, second, anchor_lang=lang, positive_lang=lang, score=score)]


def _score(record: dict[str, Any], options: Sts) -> float | None:
    low, high = options.scale
    for field in options.score:
        value = field_of(record, field)
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise WrongRecord(f"{field}: {type(value).__name__} instead of a number")
        try:
            score = float(value)
        except ValueError as error:
            raise WrongRecord(f"{field}: {str(value)[:40]!r} is no number") from error
        if not low <= score <= high:
            raise WrongRecord(f"{field}: {score:g} is outside the scale {low:g} to {high:g}")
        return (score - low) / (high - low)
    return None
