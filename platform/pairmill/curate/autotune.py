"""Autotune: thresholds of the filter rules for each language pair, proposed from a sample of the input.

1. `sample` annotates some rows of every input, from shards spread over it.
2. For each language pair with enough rows, and each rule that is on, a method proposes a bound from the rows that pass
   all the other rules, so that what those reject does not blur the picture:
   percentile  The clean bulk of the rows, extrapolated: with m the median and q the CORE quantile of the scores, on a
               log scale for unbounded scores, the bound is m + z (q - m) / z_CORE, where z_CORE = 0.84 is the normal
               quantile of CORE and z says how far out a row may lie (default 4). Noise below 1 - CORE of the rows does
               not move it. (OpusFilter autogen sets a fixed percentile, which rejects that share of clean data too.)
   clusters    Two-means on the rows' badness in all rules (OpusFilter autogen, method clusters): the worse cluster is
               taken for noise, and the bound is where the rule separates the two best, if it does (Youden's J >= 0.5).
3. A proposal stays between the bounds of the presets strict and lenient. Where a rule's scores say nothing (nearly all
   rows have one value), or no row of the sample fares otherwise, the spec's bound stays. So a small or odd sample moves
   little, and nothing out of reason. What the spec (or the rule) says for one of the languages or the pair stays, too.
4. `tuned_spec` writes the bounds under `filters.per_pair`, each with its evidence as a comment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate import annotate, thresholds
from pairmill.curate.language.codes import canonical
from pairmill.errors import SpecError
from pairmill.pairs import shards, sources
from pairmill.spec.curate import CurateSpec
from pairmill.spec.filters import split_pair
from pairmill.spec.rule import Rule
from pairmill.spec.rules import RULES

Method = Literal["percentile", "clusters"]
End = Literal["min", "max"]
_ENDS: tuple[tuple[End, int], ...] = (("max", 1), ("min", -1))
CORE = 0.8
_Z_CORE = 0.8416
MIN_ROWS = 100  # of a language pair; with fewer its thresholds stay those of the preset
MIN_VALUES = 20  # different scores, without which a distribution cannot be told
MIN_SEPARATION = 0.5
_FIXED = (
    "empty",
    "identical",
    "language",
    "min_chars",
    "max_chars",
    "max_words",
)  # decided by meaning, not by distribution


@dataclass(frozen=True)
class Proposal:
    """A bound proposed for a rule and a language pair, and why."""

    pair: str
    rule: str
    end: End
    bound: float
    before: float
    rows: int
    median: float
    core: float  # the CORE quantile, in the direction of the bound
    rejects: float  # share of the pair's rows
    rejected_before: float


def sample(spec: CurateSpec, rows: int) -> pa.Table:
    """About `rows` annotated rows of every input, from the starts of shards spread over it. SpecError: no files."""
    if not isinstance(spec, CurateSpec):
        raise SpecError(
            f"autotune looks at the rows of files, and this {spec.kind} spec names none. Give it one that does."
        )
    tables = []
    for spec_input in spec.inputs:
        found = {spec_input.name: sources.find(spec_input)}
        planned = shards.plan([spec_input], found, spec.resources.shard_size)
        each = -(-rows // min(len(planned), 32))
        chosen = planned[:: max(1, len(planned) // 32)]
        have = 0
        for shard in chosen:
            for table in _annotated(spec, spec_input, shard, min(each, rows - have)):
                tables.append(table)
                have += len(table)
    return pa.concat_tables(tables).combine_chunks() if tables else annotate.schema(spec).empty_table()


def _annotated(spec: CurateSpec, spec_input: Any, shard: dict[str, Any], rows: int) -> Iterator[pa.Table]:
    stats = annotate.Stats()
    for piece in shards.pieces_of(shard):
        for batch in sources.read(spec_input, piece):
            if rows <= 0:
                return
            pairs = batch.pairs.slice(0, rows)
            rows -= len(pairs)
            if len(pairs):
                yield annotate.annotate(pairs, spec, spec_input, stats)


def propose(table: pa.Table, spec: CurateSpec, method: Method, z: float = 4.0) -> list[Proposal]:
    """Bounds that differ from the spec's, by language pair (`de-en`) and rule, from annotated rows."""
    rules = thresholds.active_rules(spec.filters, spec.language.min_confidence)
    failing = thresholds.apply(rules, table).failing
    anchor, positive = (pc.fill_null(table[f"{side}_lang"], "") for side in ("anchor", "positive"))
    found: list[Proposal] = []
    for languages, rows in _pairs(anchor, positive):
        part = table.take(pa.array(rows))
        active = [rule.at(rule.rule.columns[0], *languages) for rule in rules]
        noisy = _noisy(part, active) if method == "clusters" else None
        for bit, rule in enumerate(rules):
            own = any(rule.at(column, *languages) is not rule for column in rule.rule.columns)
            if rule.enabled and not own and rule.name not in _FIXED:
                others_pass = failing[rows] & ~np.uint64(1 << bit) == 0
                found += _of_rule(part, "-".join(languages), rule, others_pass, noisy, z)
    return sorted(found, key=lambda p: (p.pair, list(RULES).index(p.rule)))


def _pairs(anchor: pa.ChunkedArray, positive: pa.ChunkedArray) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    """The language pairs of MIN_ROWS rows or more that a spec can name, with their rows; one spelling each."""
    codes = [pa.array([canonical(code) for code in side.to_pylist()], pa.string()) for side in (anchor, positive)]
    table = pa.table([*codes, np.arange(len(anchor))], names=["anchor", "positive", "row"])
    for found in table.group_by(["anchor", "positive"]).aggregate([("row", "list")]).to_pylist():
        pair = (found["anchor"], found["positive"])
        if len(found["row_list"]) >= MIN_ROWS and _can_be_named(pair):
            yield pair, np.sort(found["row_list"])


def _can_be_named(pair: tuple[str, str]) -> bool:
    try:
        return split_pair("-".join(pair)) == pair
    except ValueError:
        return False


def _of_rule(
    part: pa.Table, pair: str, rule: thresholds.ActiveRule, clean: np.ndarray, noisy: np.ndarray | None, z: float
) -> Iterator[Proposal]:
    """Proposals for a rule. `clean`: rows that pass all other rules; `noisy`: rows of the worse cluster."""
    columns = [_scores(part, column) for column in rule.rule.columns]
    used = clean if noisy is None else np.ones(len(part), bool)
    for end, sign in _ENDS:
        before = rule.max if end == "max" else rule.min
        if before is None:
            continue
        found = [_bound(sign * scores[used], None if noisy is None else noisy[used], z) for scores in columns]
        bounds = [bound for bound in found if bound is not None]
        if not bounds:
            continue
        low, high = sorted(sign * limit for limit in _limits(rule.rule, end, before))
        bound = _rounded(sign * float(np.clip(max(bounds), low, high)))
        rejects, rejected_before = _share(columns, sign, bound), _share(columns, sign, before)
        if rejects == rejected_before:
            continue
        every = np.concatenate([scores[used] for scores in columns])
        yield Proposal(
            pair, rule.name, end, bound, before, len(part), float(np.nanmedian(every)),
            float(np.nanquantile(every, CORE if sign > 0 else 1 - CORE)),
            rejects, rejected_before,
        )  # fmt: skip


def _bound(badness: np.ndarray, noisy: np.ndarray | None, z: float) -> float | None:
    """The highest passing badness (score, or minus score where high is clean); None where the scores tell nothing."""
    known = badness[~np.isnan(badness)]
    if len(known) < MIN_ROWS or len(np.unique(known)) < MIN_VALUES:
        return None
    if noisy is not None:
        return _separation(known, noisy[~np.isnan(badness)])
    unbounded = known.min() > 0 and known.max() > 1
    scale, back = (np.log, np.exp) if unbounded else (np.asarray, float)
    median, core = np.quantile(scale(known), [0.5, CORE])
    return float(back(median + z * (core - median) / _Z_CORE)) if core > median else None


def _separation(badness: np.ndarray, noisy: np.ndarray) -> float | None:
    """The badness that best separates noisy rows from the others; None where it does not."""
    if noisy.all() or not noisy.any():
        return None
    order = np.argsort(badness, kind="stable")
    caught = 1 - np.cumsum(noisy[order]) / noisy.sum()
    lost = 1 - np.cumsum(~noisy[order]) / (~noisy).sum()
    last = np.r_[np.diff(badness[order]) > 0, True]
    youden = np.where(last, caught - lost, -1)
    best = int(np.argmax(youden))
    return float(badness[order][best]) if youden[best] >= MIN_SEPARATION else None


def _noisy(part: pa.Table, rules: list[thresholds.ActiveRule]) -> np.ndarray:
    """Rows of the worse of two clusters of badness: bool (n,). Starts from the best and the worst tenth of the rows."""
    features = []
    for rule in rules:
        for sign, bound in ((1, rule.max), (-1, rule.min)):
            if bound is not None and rule.enabled:
                worst = np.fmax.reduce([sign * _scores(part, column) for column in rule.rule.columns])
                features.append(_standard(worst))
    matrix = np.stack(features, axis=1)
    total = matrix.sum(axis=1)
    tenth = max(1, len(total) // 10)
    order = np.argsort(total, kind="stable")
    centres = np.stack([matrix[order[:tenth]].mean(axis=0), matrix[order[-tenth:]].mean(axis=0)])
    worse = np.zeros(len(matrix), bool)
    for _ in range(50):
        distance = ((matrix[:, None] - centres) ** 2).sum(axis=2)
        now = distance[:, 1] < distance[:, 0]
        if (now == worse).all() or now.all() or not now.any():
            break
        worse = now
        centres = np.stack([matrix[~worse].mean(axis=0), matrix[worse].mean(axis=0)])
    return worse


def _standard(badness: np.ndarray) -> np.ndarray:
    """Badness in units of the clean bulk's spread above the median, at least 0 and at most 10; 0 where unknown."""
    known = badness[~np.isnan(badness)]
    if not len(known):
        return np.zeros(len(badness))
    median, core = np.quantile(known, [0.5, CORE])
    spread = core - median if core > median else max(float(known.max()) - median, 1e-9) / 4
    return np.nan_to_num(np.clip((badness - median) / spread, 0, 10))


def _scores(part: pa.Table, column: str) -> np.ndarray:
    return part[column].combine_chunks().fill_null(np.nan).to_numpy(zero_copy_only=False).astype(np.float64)


def _limits(rule: Rule, end: End, bound: float) -> tuple[float, float]:
    """The bounds of strict and lenient; for rules of other presets, half and one and a half of the bound."""
    side = ("min", "max").index(end)
    limits = [rule.presets[preset][side] for preset in ("strict", "lenient") if preset in rule.presets]
    known = [limit for limit in limits if limit is not None]
    return (known[0], known[1]) if len(known) == 2 else (0.5 * bound, 1.5 * bound)


def _share(columns: list[np.ndarray], sign: int, bound: float) -> float:
    return float(np.any([sign * scores > sign * bound for scores in columns], axis=0).mean())


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
