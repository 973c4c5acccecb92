"""Clean: repairs that keep what a text says and make equal texts equal.

1. One pass over the code points finds, for each row, the steps that may change it (`suspects.flags`); a clean row costs
   a table look-up per character.
2. The steps run in the order of the spec's fields (entities, mojibake, unicode, control, whitespace), each on its
   suspects alone.
3. A row that a step changed is examined again, and the round repeats until nothing changes (at most ROUNDS times):
   removing a zero-width character may bring `&am` and `p;` together, and `&amp;quot;` was escaped twice. So cleaning is
   idempotent for every text that needs fewer than ROUNDS rounds; only escapes nested on purpose need more.

References are resolved only with their semicolon (`?a=1&copy=2` is a URL), each by the rules of HTML 5.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate import invisible, suspects
from pairmill.spec.curate import Clean

VERSION = 1
ROUNDS = 8
_REFERENCE = re.compile("&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

Repair = Callable[[pa.LargeStringArray], pa.LargeStringArray]


def clean(column: pa.Array, options: Clean) -> tuple[pa.LargeStringArray, dict[str, int]]:
    """Repair a column of texts (string or large_string; null counts as empty).

    Returns the texts and, by step that is switched on, how many rows it changed.
    """
    texts = pc.fill_null(column.cast(pa.large_string()), "")
    steps = _steps(options)
    changed = {bit: np.zeros(len(texts), bool) for bit in steps}
    flags = suspects.flags(texts, options)
    for _ in range(ROUNDS):
        if not flags.any():
            break
        for bit, (_, repair) in steps.items():
            rows = np.flatnonzero(flags & bit)
            if not len(rows):
                continue
            before = texts.take(pa.array(rows))
            after = repair(before)
            differs = pc.not_equal(before, after)
            flags[rows] &= ~np.uint8(bit)
            rows = rows[np.asarray(differs)]
            if len(rows):
                new = after.filter(differs)
                changed[bit][rows] = True
                if bit != suspects.SPACE:  # words joined by spaces give no other step anything to do
                    flags[rows] = suspects.flags(new, options)
                texts = _replace(texts, rows, new)
    return texts, {name: int(changed[bit].sum()) for bit, (name, _) in steps.items()}


def _steps(options: Clean) -> dict[int, tuple[str, Repair]]:
    """The steps that are switched on, in order: suspect bit -> (name, repair)."""
    steps: dict[int, tuple[str, Repair]] = {}
    if options.entities == "unescape":
        steps[suspects.ENTITY] = "entities", _entities
    if options.mojibake == "fix":
        steps[suspects.MOJIBAKE] = "mojibake", _mojibake
    if options.unicode != "keep":
        steps[suspects.UNNORMALISED] = "unicode", partial(_normalise, form=options.unicode)
    if options.control == "remove":
        steps[suspects.INVISIBLE] = "control", invisible.remove
    if options.whitespace == "collapse":
        steps[suspects.SPACE] = "whitespace", _whitespace
    return steps


def _replace(texts: pa.LargeStringArray, rows: np.ndarray, new: pa.LargeStringArray) -> pa.LargeStringArray:
    if len(rows) == len(texts):
        return new
    mask = np.zeros(len(texts), bool)
    mask[rows] = True
    return pc.replace_with_mask(texts, pa.array(mask), new)


def _by_row(texts: pa.LargeStringArray, repair: Callable[[str], str]) -> pa.LargeStringArray:
    return pa.array([repair(text) for text in texts.to_pylist()], pa.large_string())


def _entities(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    return _by_row(texts, lambda text: _REFERENCE.sub(lambda match: html.unescape(match[0]), text))


def _mojibake(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    import ftfy

    return _by_row(texts, ftfy.fix_encoding)


def _normalise(texts: pa.LargeStringArray, form: Literal["NFC", "NFKC"]) -> pa.LargeStringArray:
    return _by_row(texts, partial(unicodedata.normalize, form))


def _whitespace(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    return _by_row(texts, lambda text: " ".join(text.split()))
