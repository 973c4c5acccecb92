"""From a run's summary to what its page shows: sorted, bounded, formatted. Pure functions over plain JSON.

The summary:

    run                  {id, name, state, started, finished, seconds, storage, versions, resources, error (optional)}
    spec, command        text
    ledger               ledger.json: {total, by_input: {name: ...}}
    inputs               [{name, format, path, files, bytes, licence, language}]
    languages            [{anchor_lang, positive_lang, rows, kept, rejected: {reason: n}}]
    by_pair              [{input, anchor_lang, positive_lang, rows, kept, rejected: {reason: n}}]
    declared_identified  [{declared, identified, rows}]: sides
    cleaning             {step: texts changed}
    rules                [{name, describe, source, min, max, direction, rejected, enabled, per_language, per_pair}]
    scores               [{name, rule, direction, describe, VALUES}]
    lengths              {anchor, positive, ratio: {unit, VALUES}}; confidence: {anchor, positive: {unit, VALUES}}
    sensitivity          [{rule, columns, bound: "min" or "max", at, exact,
                         points: [{threshold, kept, by_pair: {"de-en": n}}] ascending}]
    duplicates           {exact, near: {groups, rows}, sizes: [[lowest, highest, groups]], within, across, share,
                         largest: [{size, kept_text, language: "de-en", members: [{source, text}]}],
                         pairs: [[input, input of the kept row, rows]]}
    distinct             {anchor, positive: estimated distinct texts of the kept rows, error: relative}
    contamination        {sets: [{name, texts, too_short, found, rows, kinds}], samples: [row of CONTAMINATION]}
    samples              {"kept" or reason: [row]}; a rejected row also has reason, failed, value, threshold,
                         duplicate_of, duplicate_text
    quarantine           [{error, origin_file, origin_row, offset, detail, data: text}]; quarantine_total: n
    expectations         [{what, found, allowed, holds}]

VALUES: values, nulls, min, max, edges [e0..em], counts {all: [m], kept: [m]}, quantiles {"0.5": v, ...}. Every list may
be empty or missing, every value null.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from pairmill.pairs.ledger import Counts
from pairmill.report import distributions, funnel, heat, sample_view, words
from pairmill.report.frame import frame
from pairmill.report.tables import cells_by_input, identified, input_rows, rule_rows

QUARANTINE_SHOWN = 100
CONTENTS = [
    ("summary", "Summary"),
    ("funnel", "Funnel"),
    ("inputs", "Inputs"),
    ("reasons", "Reasons by input"),
    ("languages", "Languages"),
    ("identified", "Declared and identified"),
    ("lengths", "Lengths"),
    ("rules", "Rules"),
    ("scores", "Scores and thresholds"),
    ("duplicates", "Duplicates"),
    ("contamination", "Evaluation sets"),
    ("cleaning", "Cleaning"),
    ("samples", "Samples"),
    ("quarantine", "Quarantine"),
]
RULE = dict.fromkeys(("name", "describe", "source", "min", "max", "direction", "rejected"))
DISTINCT = dict.fromkeys(("anchor", "positive", "error"))
EXPECTATION = dict.fromkeys(("what", "found", "allowed", "holds"))


def counts_of(summary: Mapping[str, Any]) -> tuple[Counts, dict[str, Counts]]:
    """The ledger's total and its counts by input."""
    ledger = summary.get("ledger") or {}
    by_input = {name: Counts.from_json(data) for name, data in (ledger.get("by_input") or {}).items()}
    return Counts.from_json(ledger.get("total") or {}), by_input


def prepare(summary: Mapping[str, Any], characters: int, samples: int) -> dict[str, Any]:
    """The template's variables. `characters` bounds each sample text, `samples` their number in the whole page."""
    total, by_input = counts_of(summary)
    rules = rule_rows([{**RULE, **rule} for rule in summary.get("rules") or []])
    expectations = [{**EXPECTATION, **item} for item in summary.get("expectations") or []]
    steps = funnel.steps(total, [str(rule["name"]) for rule in summary.get("rules") or []])
    reasons = [step.reason for step in steps if step.reason]
    cells = cells_by_input(by_input, total, reasons)
    groups = sample_view.sample_groups(summary.get("samples") or {}, total, characters, samples)
    cards = distributions.cards(summary, rules, total.rows_in)
    languages = summary.get("languages") or []
    by_source = heat.by_input(summary.get("by_pair") or [], [name for name, _ in cells.columns[1:]], reasons)
    return {
        **frame(summary, "curate", CONTENTS),
        "sentences": words.sentences(total, len(by_input)),
        "figures": words.figures(total),
        "findings": words.findings(summary, total, by_input),
        "total": total,
        "steps": steps,
        "balances": funnel.balances(total),
        "sample_of": {group["name"]: number for number, group in enumerate(groups)},
        "inputs": input_rows(summary.get("inputs") or [], by_input),
        "cells": cells,
        "languages": heat.pair_map(languages, reasons, heat.PAIRS_SHOWN) if languages else None,
        "by_input": by_source,
        "part_of": {name: number for number, (name, _) in enumerate(by_source, 1)},
        "distinct": {**DISTINCT, **(summary.get("distinct") or {})},
        "identified": identified(summary.get("declared_identified") or []),
        "language_map": heat.language_map(summary.get("declared_identified") or []),
        "confidence": distributions.confidence(summary),
        "lengths": distributions.lengths(summary),
        "rules": rules,
        "cards": cards,
        "card_of": {card["name"]: card["id"] for part in ("shown", "folded") for card in cards[part]},
        "duplicates": sample_view.duplicates(summary.get("duplicates"), characters),
        "cleaning": sorted((summary.get("cleaning") or {}).items(), key=lambda item: -(item[1] or 0)),
        "contamination": sample_view.contamination(summary.get("contamination"), characters, samples),
        "groups": groups,
        "choices": sample_view.choices(groups),
        "characters": characters,
        "quarantine": [
            sample_view.quarantined(entry) for entry in islice(summary.get("quarantine") or [], QUARANTINE_SHOWN)
        ],
        "quarantine_total": summary.get("quarantine_total") or total.quarantine.total(),
        "quarantine_errors": total.quarantine.most_common(),
        "expectations": expectations,
        "broken": [item for item in expectations if not item.get("holds")],
    }
