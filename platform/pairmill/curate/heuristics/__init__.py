"""Heuristic rules: one module each, with `score(...) -> float32 (n,)`, `VERSION`, formula and source.

A new rule is one file here, one line in the table below, and one line in `spec/rules.py`. A rule on the sides is
`score(side)`, a rule on the pair `score(anchor, positive)`. Rules on documents are in `documents/`, the rule `language`
is in `curate/language`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType

import numpy as np

from pairmill.curate.heuristics import (
    addresses,
    brackets,
    capitals,
    code,
    cut_off,
    digits,
    documents,
    empty,
    escapes,
    glued_words,
    html,
    identical,
    length_difference,
    length_ratio,
    letters,
    longest_word,
    lost_letters,
    markup,
    max_chars,
    max_words,
    min_chars,
    mixed_alphabets,
    mojibake,
    numbers,
    personal,
    placeholders,
    private_use,
    punctuation,
    repetition,
    script,
    sentences,
    separators,
    shared_phrases,
    shared_words,
    spaced_letters,
    symbols,
    terminal_punctuation,
    url_share,
    word_length,
)
from pairmill.curate.heuristics.documents.scored import Scored
from pairmill.curate.heuristics.side import Side
from pairmill.spec.rules import RULES

MODULES: dict[str, ModuleType | Scored] = {
    "empty": empty,
    "min_chars": min_chars,
    "max_chars": max_chars,
    "identical": identical,
    "length_ratio": length_ratio,
    "url_share": url_share,
    "letters": letters,
    "script": script,
    "body_script": script,
    "numbers": numbers,
    "placeholders": placeholders,
    "repetition": repetition,
    "html": html,
    "length_difference": length_difference,
    "max_words": max_words,
    "word_length": word_length,
    "longest_word": longest_word,
    "glued_words": glued_words,
    "spaced_letters": spaced_letters,
    "shared_words": shared_words,
    "shared_phrases": shared_phrases,
    "punctuation": punctuation,
    "digits": digits,
    "symbols": symbols,
    "capitals": capitals,
    "terminal_punctuation": terminal_punctuation,
    "sentences": sentences,
    "cut_off": cut_off,
    "brackets": brackets,
    "addresses": addresses,
    "separators": separators,
    "markup": markup,
    "code": code,
    "escapes": escapes,
    "mojibake": mojibake,
    "lost_letters": lost_letters,
    "private_use": private_use,
    "mixed_alphabets": mixed_alphabets,
    **personal.MODULES,
    **documents.MODULES,
}


def score_all(anchor: Side, positive: Side, names: Iterable[str]) -> dict[str, np.ndarray]:
    """The score columns of the named rules, float32 (n,); `language`, which is computed elsewhere, is left out."""
    scores: dict[str, np.ndarray] = {}
    for name in names:
        if name in MODULES:
            rule = RULES[name]
            score: Callable[..., np.ndarray] = MODULES[name].score
            if rule.per == "pair":
                scores[name] = score(anchor, positive)
            else:
                sides = (anchor, positive) if rule.per == "side" else (positive,)
                scores |= {column: score(side) for column, side in zip(rule.columns, sides, strict=True)}
    return scores


def versions(names: Iterable[str]) -> dict[str, int]:
    """The VERSION of each named rule, raised when its scores change."""
    return {name: MODULES[name].VERSION for name in names if name in MODULES}


__all__ = ["MODULES", "Side", "score_all", "versions"]
