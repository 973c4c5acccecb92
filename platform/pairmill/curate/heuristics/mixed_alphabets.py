"""Words with letters of several of the alphabets Latin, Greek, Cyrillic, Armenian / words; 0 where there is none.

Look-alike letters of the wrong alphabet (`Моsсоw`) come from character recognition, keyboards and spam. A hyphen ends a
word, so `USB-кабель` is fine. So are two words that only stand together: a placeholder and what follows (`%sДата`); or,
each of two letters or more, a word and a name (`библиотекаWizard`), an acronym and an ending (`SMSка`). Python
sees only rows with a word of several alphabets. Source: Unicode UTS 39, mixed-script detection.
"""

from __future__ import annotations

import re

import numpy as np

from pairmill.curate.heuristics import kernels
from pairmill.curate.heuristics.side import Side, share

VERSION = 2
_ALPHABETS = ("A-Za-zÀ-ÖØ-öø-ʯḀ-ỿＡ-Ｚａ-ｚ", "Ͱ-Ͽἀ-῿", "Ѐ-ԯꙀ-ꚟ", "԰-֏")
_MARKS = "\u0300-\u036f\u0483-\u0487"
_WORD = re.compile(f"[{''.join(_ALPHABETS)}{_MARKS}]+")
_PIECE = re.compile("|".join(f"[{letters}][{letters}{_MARKS}]*" for letters in _ALPHABETS))
_ESCAPE = re.compile(r"%(?:\([^()\s]{1,64}\))?[-+#0-9.*$]{0,8}(?:hh?|ll?|[qjztL])?[A-Za-z]|\\[A-Za-z]")


def score(side: Side) -> np.ndarray:
    mixed = side.counts[:, kernels.MIXED].copy()
    rows, texts = side.strings(mixed > 0)
    mixed[rows] = [sum(map(_is_mixed, _WORD.findall(_ESCAPE.sub(" ", text)))) for text in texts]
    return share(mixed, side.counts[:, kernels.RUNS], empty=0)


def _is_mixed(word: str) -> bool:
    pieces = _PIECE.findall(word)
    if len(pieces) != 2:
        return len(pieces) > 2
    first, second = pieces
    together = (first[-1].islower() and second[0].isupper()) or (first.isupper() and second.islower())
    return not together or min(len(first), len(second)) == 1
