"""Clean: repairs that keep what a text says and make equal texts equal.

1. One pass over the code points finds the rows that a step may change; a clean row costs a table look-up per character.
2. On these rows the steps run in the order of the spec's fields: entities, mojibake, unicode, control, whitespace.
3. A row that a step changed goes through all steps again, until nothing changes (at most PASSES times): removing a
   zero-width character may bring `&am` and `p;` together, and `&amp;quot;` was escaped twice. So cleaning is idempotent
   for any text that needs no more than PASSES - 1 rounds, and no text was seen that needs more than three.

References are resolved only with their semicolon (`?a=1&copy=2` is a URL), each by the rules of HTML 5.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate import codepoints, invisible, suspects
from pairmill.spec.curate import Clean

VERSION = 1
PASSES = 6
_REFERENCE = re.compile("&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

Step = Callable[[pa.LargeStringArray], pa.LargeStringArray]


def clean(column: pa.Array, options: Clean) -> tuple[pa.LargeStringArray, dict[str, int]]:
    """Repair a column of texts (string or large_string; null counts as empty).

    Returns the texts and, by step that is switched on, how many rows it changed.
    """
    texts = pc.fill_null(column.cast(pa.large_string()), "")
    steps = _steps(options)
    changed_by = {name: np.zeros(len(texts), bool) for name in steps}
    rows = np.flatnonzero(suspects.rows(texts, options))
    for _ in range(PASSES):
        if not len(rows):
            break
        before = after = texts.take(pa.array(rows))
        for name, step in steps.items():
            previous, after = after, step(after)
            changed_by[name][rows] |= np.asarray(pc.not_equal(previous, after))
        changed = pc.not_equal(before, after)
        rows = rows[np.asarray(changed)]
        texts = _replace(texts, rows, after.filter(changed))
    return texts, {name: int(changed.sum()) for name, changed in changed_by.items()}


def _steps(options: Clean) -> dict[str, Step]:
    steps: dict[str, Step] = {}
    if options.entities == "unescape":
        steps["entities"] = _entities
    if options.mojibake == "fix":
        steps["mojibake"] = _mojibake
    if options.unicode != "keep":
        form = options.unicode
        steps["unicode"] = lambda texts: _normalise(texts, form)
    if options.control == "remove":
        steps["control"] = invisible.remove
    if options.whitespace == "collapse":
        steps["whitespace"] = _whitespace
    return steps


def _replace(texts: pa.LargeStringArray, rows: np.ndarray, new: pa.LargeStringArray) -> pa.LargeStringArray:
    if not len(rows):
        return texts
    mask = np.zeros(len(texts), bool)
    mask[rows] = True
    return pc.replace_with_mask(texts, pa.array(mask), new)


def _by_row(texts: pa.LargeStringArray, selected: np.ndarray, repair: Callable[[str], str]) -> pa.LargeStringArray:
    """Apply `repair` to the selected rows."""
    rows = np.flatnonzero(selected)
    if not len(rows):
        return texts
    repaired = [repair(text) for text in texts.take(pa.array(rows)).to_pylist()]
    return _replace(texts, rows, pa.array(repaired, pa.large_string()))


def _entities(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    selected = np.asarray(pc.match_substring_regex(texts, "&[#A-Za-z][0-9A-Za-z]+;"))
    return _by_row(texts, selected, lambda text: _REFERENCE.sub(lambda match: html.unescape(match[0]), text))


def _mojibake(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    selected = suspects.mojibake(*codepoints.decode(texts))
    if not selected.any():
        return texts
    import ftfy

    return _by_row(texts, selected, ftfy.fix_encoding)


def _normalise(texts: pa.LargeStringArray, form: str) -> pa.LargeStringArray:
    selected = suspects.unnormalised(*codepoints.decode(texts), form)
    return _by_row(texts, selected, lambda text: unicodedata.normalize(form, text))  # type: ignore[arg-type]


def _whitespace(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """Trim each row and turn each run of white space into one space."""
    flat, offsets = codepoints.decode(texts)
    space = codepoints.classes()[flat] == codepoints.SPACE
    first = np.zeros(len(flat) + 1, bool)
    first[offsets[:-1]] = True
    first = first[:-1]
    keep = ~space
    keep[1:] |= space[1:] & ~space[:-1]
    keep[first] = ~space[first]
    flat, offsets = invisible.compress(np.where(space, np.uint32(0x20), flat), offsets, keep)
    filled = np.diff(offsets) > 0
    last = offsets[1:][filled] - 1
    keep = np.ones(len(flat), bool)
    keep[last] = flat[last] != 0x20
    return codepoints.encode(*invisible.compress(flat, offsets, keep))
