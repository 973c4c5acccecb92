"""The rules of a job that selects from a run: filter rules whose scores the run kept, and score columns.

A score column has no typical bound. A number in the spec is its min where high values are clean, else its max. Rows
without a score that a bound asks for fail the rule `no_score`, which stands before the score columns.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from pairmill.curate import thresholds
from pairmill.curate.thresholds import ActiveRule
from pairmill.errors import SpecError
from pairmill.pairs.scores import Column
from pairmill.spec.derived import DerivedSpec
from pairmill.spec.filters import Bounds
from pairmill.spec.rule import Rule
from pairmill.spec.rules import RULES

NO_SCORE = ActiveRule(
    Rule("no_score", "pair", None, 0, {}, "1 where a score that a rule asks for is missing", "inputs.scores"), None, 0
)
DUPLICATE_OF = "semantic_duplicate_of"


def active(
    spec: DerivedSpec,
    columns: Mapping[str, Column],
    sources: Mapping[str, str],
    moved: Mapping[str, Mapping[str, float]] | None = None,
) -> list[ActiveRule]:
    """The rules that the filters switch on: filter rules, `no_score`, score columns in their order.

    `columns` are the score columns by name, `sources` where each comes from, for the report. `moved`: see
    `thresholds.active_rules`.
    """
    table = {name: _rule(column, sources[name]) for name, column in columns.items() if column.direction}
    found = thresholds.active_rules(spec.filters, RULES["language"].max or 0, {**RULES, **table}, moved)
    filters = [rule for rule in found if rule.name in RULES]
    scores = [_finite(rule) for rule in found if rule.name in table]
    guard = [NO_SCORE] if scores and spec.inputs[0].missing == "reject" else []
    return [*filters, *guard, *scores]


def check(spec: DerivedSpec, run: str, kept: Iterable[str], columns: Mapping[str, Column]) -> None:
    """Refuse rules that the rows of `run`, with columns `kept`, cannot be judged by. Raises SpecError."""
    known = set(kept)
    judged = [name for name, rule in RULES.items() if known.issuperset(rule.columns)]
    scores = [name for name, column in columns.items() if column.direction]
    for where, settings in spec.filters.groups:
        for name, setting in settings.items():
            place = f"filters.{'.'.join(where)}.{name}"
            if name in columns and name not in scores:
                raise SpecError(f"{place}: {name} names rows or groups and is no score. Scores: {_all(scores)}.")
            if name not in RULES and name not in columns:
                raise SpecError(f"{place}: {_unknown(name, run, scores, judged)}")
            unbounded = isinstance(setting, Bounds) and setting.enabled and setting.min is None and setting.max is None
            if name in columns and unbounded:
                raise SpecError(
                    f"{place}: a score has no typical bound. Give one, such as {{min: 1.06}} or {{max: 2}}."
                )
    for rule in thresholds.active_rules(spec.filters, 0):
        if rule.name not in judged:
            raise SpecError(
                f"filters: run {run} kept no scores of rule {rule.name}, so its rows cannot be judged by it. Switch "
                f"the rule off, or curate the files with it. Scored: {_all([*scores, *judged])}."
            )
    if spec.semantic_duplicates == "drop" and DUPLICATE_OF not in columns:
        raise SpecError(
            "semantic_duplicates: drop: no score table says which rows say the same. Name a mine run with `groups` "
            "under inputs[0].scores."
        )


def apply(rules: list[ActiveRule], table: pa.Table) -> thresholds.Verdict:
    """Judge every row of a table with the columns of `judged_columns`."""
    scores = [rule for rule in rules if rule.name not in RULES and rule is not NO_SCORE]
    lacking = thresholds.unscored(scores, table)
    verdict = thresholds.apply(rules, table.append_column(NO_SCORE.name, pa.array(lacking.astype(np.float32))))
    for number in [number for number, rule in enumerate(rules) if rule is NO_SCORE]:
        verdict.value[verdict.first == number] = verdict.threshold[verdict.first == number] = np.nan
    return verdict


def judged_columns(rules: Sequence[ActiveRule]) -> list[str]:
    """What `apply` reads of the rows."""
    return ["anchor_lang", "positive_lang", *[c for rule in rules if rule is not NO_SCORE for c in rule.rule.columns]]


def _rule(column: Column, source: str) -> Rule:
    """A rule without a bound: infinity only says on which side clean values lie."""
    low, high = (-np.inf, None) if column.direction == "high" else (None, np.inf)
    return Rule(column.name, "pair", low, high, {}, column.describe, source)


def _finite(active: ActiveRule) -> ActiveRule:
    """Without the infinite bounds of `_rule`, which mean none."""
    low, high = (None if bound is None or np.isinf(bound) else bound for bound in (active.min, active.max))
    languages = {code: _finite(other) for code, other in active.per_language.items()}
    pairs = {pair: _finite(other) for pair, other in active.per_pair.items()}
    return replace(active, min=low, max=high, per_language=languages, per_pair=pairs)


def _unknown(name: str, run: str, scores: list[str], judged: list[str]) -> str:
    near = difflib.get_close_matches(name, [*scores, *judged, *RULES], n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return (
        f"is neither a score of run {run} and of the runs under inputs[0].scores nor a filter rule.{hint} "
        f"Scores: {_all(scores)}."
    )


def _all(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
