"""Clean: repairs that keep what a text says and make equal texts equal.

1. One pass over the text finds, for each row, the steps that may change it (`suspects.flags`); a clean row costs a
   table look-up per character.
2. The steps run in the order of `Bit`, each on its suspects alone: entities, tags, mojibake, unicode, quotes, dashes,
   placeholders, personal data, control, whitespace.
3. A row that a step changed is examined again, and the round repeats until nothing changes (at most ROUNDS times):
   removing a zero-width character may bring `&am` and `p;` together, and `&amp;quot;` was escaped twice. So cleaning is
   idempotent for every text that needs fewer than ROUNDS rounds; only escapes nested on purpose need more.

`clean_pairs` also does what takes both sides: it leaves tags that both sides hold (`tags: unmatched`) and removes menu
accelerators that both mark.

References are resolved only with their semicolon (`?a=1&copy=2` is a URL), each by the rules of HTML 5.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate import invisible, personal, suspects
from pairmill.curate.repairs import accelerators, mojibake, placeholders, tags, typography, whitespace
from pairmill.curate.suspect_tables import Bit
from pairmill.spec.clean import Clean

VERSION = 4
ROUNDS = 8
_REFERENCE = re.compile("&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")

Texts: TypeAlias = pa.LargeStringArray
Langs: TypeAlias = list[str | None]
Repair = Callable[[Texts, Langs], Texts]


@dataclass(frozen=True)
class Step:
    """A repair, its name in the counts, and what (a regex) its result holds where other steps must look again."""

    name: str
    repair: Repair
    again: str = ""


def clean(column: pa.Array, options: Clean, langs: pa.Array | None = None) -> tuple[Texts, dict[str, int]]:
    """Repair a column of texts (string or large_string; null counts as empty).

    `langs`: their languages where known (mojibake of old encodings and national phone numbers depend on it).
    Returns the texts and, by step that is switched on, how many rows it changed.
    """
    texts = _filled(column)
    return _clean(texts, suspects.flags(texts, options, langs), options, langs, np.zeros(len(texts), bool))


def clean_pairs(
    anchor: pa.Array,
    positive: pa.Array,
    options: Clean,
    langs: tuple[pa.Array | None, pa.Array | None] = (None, None),
    rounds: int = ROUNDS,
) -> tuple[Texts, Texts, dict[str, int]]:
    """Repair both sides of pairs. Returns the sides and the changed rows by step, both sides together."""
    columns = [_filled(side) for side in (anchor, positive)]
    found = [suspects.found(column, options, lang) for column, lang in zip(columns, langs, strict=True)]
    exempt = _speaking_of_tags(columns, found[0][1] & found[1][1], options)
    changed: Counter[str] = Counter()
    for side, column in enumerate(columns):
        columns[side], counts = _clean(column, found[side][0], options, langs[side], exempt)
        changed.update(counts)
    if options.accelerators == "remove":
        columns, rows = _accelerators(columns)
        changed["accelerators"] = 2 * len(rows)
        if len(rows) and rounds:  # without its mark a text may have something else to repair
            taken = pa.array(rows)
            some = [None if lang is None else lang.take(taken) for lang in langs]
            parts = [column.take(taken) for column in columns]
            *parts, counts = clean_pairs(parts[0], parts[1], options, (some[0], some[1]), rounds - 1)
            columns = [_replace(column, rows, part) for column, part in zip(columns, parts, strict=True)]
            changed.update(counts)
    return columns[0], columns[1], dict(changed)


def _filled(column: pa.Array) -> Texts:
    texts = column.cast(pa.large_string())
    return pc.fill_null(texts, "") if texts.null_count else texts


def _clean(
    texts: Texts, flags: np.ndarray, options: Clean, langs: pa.Array | None, exempt: np.ndarray
) -> tuple[Texts, dict[str, int]]:
    """`flags`: the steps that may change each row; `exempt`: rows (bool) whose tags stay."""
    steps = _steps(options)
    flags[exempt] &= ~np.uint16(Bit.TAG)
    rows = np.flatnonzero(flags)
    changed = dict.fromkeys((step.name for step in steps.values()), 0)
    if not len(rows):
        return texts, changed
    langs = None if langs is None else langs.take(pa.array(rows))
    repaired, by_step = _repair(texts.take(pa.array(rows)), flags[rows], options, langs, exempt[rows])
    changed |= {steps[bit].name: int(differs.sum()) for bit, differs in by_step.items()}
    differs = np.logical_or.reduce([np.zeros(len(rows), bool), *by_step.values()])
    return _replace(texts, rows[differs], repaired.filter(pa.array(differs))), changed


def _repair(
    texts: Texts, flags: np.ndarray, options: Clean, langs: pa.Array | None, exempt: np.ndarray
) -> tuple[Texts, dict[int, np.ndarray]]:
    """Run the steps on suspects. Returns the texts and, for steps that were of use, the rows (bool) they changed."""
    steps = _steps(options)
    changed: dict[int, np.ndarray] = {}
    for _ in range(ROUNDS):
        if not flags.any():
            break
        for bit, step in steps.items():
            rows = np.flatnonzero(flags & bit)
            if not len(rows):
                continue
            before = texts.take(pa.array(rows))
            after = step.repair(before, _languages(langs, rows))
            differs = pc.not_equal(before, after)
            flags[rows] &= ~np.uint16(bit)
            rows = rows[np.asarray(differs)]
            if len(rows):
                new = after.filter(differs)
                changed.setdefault(bit, np.zeros(len(texts), bool))[rows] = True
                texts = _replace(texts, rows, new)
                if step.again:
                    matching = pc.match_substring_regex(new, step.again)
                    rows, new = rows[np.asarray(matching)], new.filter(matching)
                flags[rows] = suspects.flags(new, options, None if langs is None else langs.take(pa.array(rows)))
                flags[rows[exempt[rows]]] &= ~np.uint16(Bit.TAG)
    return texts, changed


def _steps(options: Clean) -> dict[int, Step]:
    """The steps that are switched on, in order, by suspect bit."""
    steps: dict[int, Step] = {}
    if options.entities == "unescape":
        steps[Bit.ENTITY] = Step("entities", _entities)
    if options.tags in ("remove", "unmatched"):
        steps[Bit.TAG] = Step("tags", lambda texts, _: _by_row(texts, tags.remove))
    if options.mojibake == "fix":
        steps[Bit.MOJIBAKE] = Step("mojibake", _mojibake)
    if options.unicode != "keep":
        steps[Bit.UNNORMALISED] = Step("unicode", partial(_normalise, form=options.unicode))
    if options.quotes == "straight":
        steps[Bit.QUOTE] = Step("quotes", lambda texts, _: typography.replace(texts, "quotes"))
    if options.dashes == "hyphen":
        steps[Bit.DASH] = Step("dashes", lambda texts, _: typography.replace(texts, "dashes"))
    if options.placeholders == "remove":
        steps[Bit.PLACEHOLDER] = Step("placeholders", lambda texts, _: _by_row(texts, placeholders.remove))
    for kind in personal.KINDS:
        if getattr(options.personal_data, kind) == "mask":
            steps[getattr(Bit, kind.upper())] = Step(kind, partial(_mask, kind=kind))
    if options.control == "remove":
        steps[Bit.INVISIBLE] = Step("control", lambda texts, _: invisible.remove(texts))
    if options.whitespace != "keep":  # a space is of interest where it may be the end of a broken letter: `Ã `
        lines = options.whitespace == "lines"
        steps[Bit.SPACE] = Step("whitespace", lambda texts, _: whitespace.collapse(texts, lines), "[À-ÿ] ")
    return steps


def _replace(texts: Texts, rows: np.ndarray, new: Texts) -> Texts:
    if not len(rows):
        return texts
    if len(rows) == len(texts):
        return new
    mask = np.zeros(len(texts), bool)
    mask[rows] = True
    return pc.replace_with_mask(texts, pa.array(mask), new)


def _languages(langs: pa.Array | None, rows: np.ndarray) -> Langs:
    return [None] * len(rows) if langs is None else langs.take(pa.array(rows)).to_pylist()


def _by_row(texts: Texts, repair: Callable[[str], str]) -> Texts:
    return pa.array([repair(text) for text in texts.to_pylist()], pa.large_string())


def _entities(texts: Texts, langs: Langs) -> Texts:
    return _by_row(texts, lambda text: _REFERENCE.sub(lambda match: html.unescape(match[0]), text))


def _mojibake(texts: Texts, langs: Langs) -> Texts:
    fixed = [mojibake.fix(text, lang) for text, lang in zip(texts.to_pylist(), langs, strict=True)]
    return pa.array(fixed, pa.large_string())


def _normalise(texts: Texts, langs: Langs, form: Literal["NFC", "NFKC"]) -> Texts:
    return _by_row(texts, partial(unicodedata.normalize, form))


def _mask(texts: Texts, langs: Langs, kind: personal.Kind) -> Texts:
    masked = [personal.mask(kind, text, lang) for text, lang in zip(texts.to_pylist(), langs, strict=True)]
    return pa.array(masked, pa.large_string())


def _speaking_of_tags(columns: list[Texts], marked_up: np.ndarray, options: Clean) -> np.ndarray:
    """Rows both of whose sides hold the same left-over mark-up, where such rows are to stay: bool (n,).

    `marked_up`: rows both of whose sides may hold any.
    """
    shared = np.zeros(len(columns[0]), bool)
    rows = np.flatnonzero(marked_up)
    if options.tags != "unmatched" or not len(rows):
        return shared
    sides = [column.take(pa.array(rows)).to_pylist() for column in columns]
    if options.entities == "unescape":
        sides = [[html.unescape(text) for text in side] for side in sides]
    shared[rows] = [tags.shared(left, right) for left, right in zip(*sides, strict=True)]
    return shared


def _accelerators(columns: list[Texts]) -> tuple[list[Texts], np.ndarray]:
    """The sides without their accelerators, and the rows (int64) that had some."""
    marked = [np.asarray(pc.match_substring_regex(column, accelerators.HINT)) for column in columns]
    rows = np.flatnonzero(marked[0] & marked[1])
    sides = [column.take(pa.array(rows)).to_pylist() for column in columns]
    repaired = [accelerators.remove(left, right) for left, right in zip(*sides, strict=True)]
    changed = [i for i, both in enumerate(zip(*sides, strict=True)) if both != repaired[i]]
    new = [pa.array([repaired[i][side] for i in changed], pa.large_string()) for side in (0, 1)]
    return [_replace(column, rows[changed], side) for column, side in zip(columns, new, strict=True)], rows[changed]
