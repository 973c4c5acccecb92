"""From a run's summary to what its page shows: sorted, bounded, formatted. Pure functions over plain JSON.

The summary:

    run                  {id, name, state, started, finished, seconds, storage, versions, resources, error (optional)}
    spec, command        text
    ledger               ledger.json: {total, by_input: {name: ...}}
    inputs               [{name, format, path, files, bytes, licence, language}]
    languages            [{anchor_lang, positive_lang, rows, kept, rejected: {reason: n}}]
    declared_identified  [{declared, identified, rows}]: sides
    cleaning             {step: texts changed}
    rules                [{name, describe, source, min, max, direction, rejected, enabled, per_language, per_pair}]
    contamination        {sets: [{name, texts, too_short, found, rows, kinds}], samples: [row of CONTAMINATION]}
    samples              {"kept" or reason: [row]}; a rejected row also has reason, failed, value, threshold,
                         duplicate_of, duplicate_text
    quarantine           [{error, origin_file, origin_row, offset, detail, data: text}]; quarantine_total: n
    expectations         [{what, found, allowed, holds}]

Every list may be empty or missing, every value null.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from pairmill.pairs.ledger import Counts
from pairmill.report import funnel, show
from pairmill.report.frame import frame
from pairmill.report.tables import cells_by_input, identified, input_rows, language_rows, rule_rows

QUARANTINE_SHOWN, QUARANTINE_CHARACTERS = 100, 300
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
CONTENTS = [
    ("summary", "Summary"),
    ("funnel", "Funnel"),
    ("inputs", "Inputs"),
    ("reasons", "Reasons by input"),
    ("rules", "Rules"),
    ("languages", "Languages"),
    ("identified", "Declared and identified"),
    ("contamination", "Evaluation sets"),
    ("cleaning", "Cleaning"),
    ("samples", "Samples"),
    ("quarantine", "Quarantine"),
]
RULE = dict.fromkeys(("name", "describe", "source", "min", "max", "direction", "rejected"))
EXPECTATION = dict.fromkeys(("what", "found", "allowed", "holds"))


def prepare(summary: Mapping[str, Any], characters: int, samples: int) -> dict[str, Any]:
    """The template's variables. `characters` bounds each sample text, `samples` their number in the whole page."""
    by_input = {name: Counts.from_json(data) for name, data in _of(summary.get("ledger"), "by_input").items()}
    total = Counts.from_json(_of(summary.get("ledger"), "total"))
    rules = [{**RULE, **rule} for rule in summary.get("rules") or []]
    expectations = [{**EXPECTATION, **item} for item in summary.get("expectations") or []]
    steps = funnel.steps(total, [str(rule["name"]) for rule in rules])
    groups = sample_groups(summary.get("samples") or {}, total, characters, samples)
    return {
        **frame(summary, "curate", CONTENTS),
        "sentences": sentences(total, len(by_input)),
        "figures": figures(total),
        "total": total,
        "steps": steps,
        "balances": funnel.balances(total),
        "sample_of": {group["name"]: number for number, group in enumerate(groups)},
        "inputs": input_rows(summary.get("inputs") or [], by_input),
        "cells": cells_by_input(by_input, total, [step.reason for step in steps if step.reason]),
        "rules": rule_rows(rules),
        "languages": language_rows(summary.get("languages") or []),
        "identified": identified(summary.get("declared_identified") or []),
        "cleaning": sorted((summary.get("cleaning") or {}).items(), key=lambda item: -(item[1] or 0)),
        "contamination": contamination(summary.get("contamination"), characters, samples),
        "groups": groups,
        "characters": characters,
        "quarantine": [quarantined(entry) for entry in islice(summary.get("quarantine") or [], QUARANTINE_SHOWN)],
        "quarantine_total": summary.get("quarantine_total") or total.quarantine.total(),
        "quarantine_errors": total.quarantine.most_common(),
        "expectations": expectations,
        "broken": [item for item in expectations if not item.get("holds")],
    }


def _of(data: Any, key: str) -> dict[str, Any]:
    return (data or {}).get(key) or {}


def sentences(total: Counts, inputs: int) -> list[str]:
    """The run in words: what came in, what went out, where most was lost."""
    if not total.records_in and not total.rows_in:
        return ["No ledger: the run ended before anything was counted, or its inputs hold no record."]
    pairs = total.rows_in - total.quarantine.total()
    told = [
        f"{show.plural(total.records_in, 'record')} from {show.plural(inputs, 'input')} gave "
        f"{show.plural(pairs, 'pair')}, of which {show.whole(total.kept)} "
        f"({show.share(total.kept, total.rows_in)}) were kept."
    ]
    top = [(show.one_line(name, 60), count) for name, count in total.rejected.most_common(3) if count]
    if top:
        named = [f"{name} ({show.whole(count)}, {show.share(count, total.rows_in)})" for name, count in top]
        if len(named) == 1:
            told.append(f"Rows were lost only to {named[0]}.")
        else:
            told.append(f"The largest losses are {', '.join(named[:-1])} and {named[-1]}.")
    apart = []
    if total.no_pair.total():
        apart.append(f"{show.plural(total.no_pair.total(), 'record')} held no pair")
    if total.quarantine.total():
        apart.append(f"{show.plural(total.quarantine.total(), 'record')} could not be read and went to quarantine")
    if apart:
        told.append(f"{'; '.join(apart)}.")
    return told


def figures(total: Counts) -> list[tuple[str, str, str]]:
    """The four key numbers: (kind, number, what it counts)."""
    counts = [
        ("kept", total.kept, "kept"),
        ("rejected", total.rejected.total(), "rejected"),
        ("unreadable", total.quarantine.total(), "in quarantine"),
    ]
    return [("in", show.whole(total.rows_in), "rows in")] + [
        (kind, show.whole(count), f"{what}, {show.share(count, total.rows_in)} of rows in" if count else what)
        for kind, count, what in counts
    ]


def sample_groups(
    samples: Mapping[str, Sequence[Mapping[str, Any]]], total: Counts, characters: int, bound: int
) -> list[dict[str, Any]]:
    """Kept first, then reasons by rows rejected; each reason gets an equal part of the `bound` samples of the page."""
    counts = Counter({**total.rejected, "kept": total.kept})
    names = sorted((name for name in samples if samples[name]), key=lambda name: (name != "kept", -counts[name], name))
    each = max(1, bound // max(len(names), 1))
    return [
        {"name": name, "count": counts[name], "rows": [sample(row, characters) for row in samples[name][:each]]}
        for name in names
    ]


def contamination(facts: Mapping[str, Any] | None, characters: int, bound: int) -> dict[str, Any] | None:
    """Hits per evaluation set, and a sample of them with the evaluation's text and the row's; None: not looked for.

    `bound`: samples in the whole page, of which these are a tenth at most.
    """
    if not facts:
        return None
    samples = [
        {
            **{key: show.one_line(str(row.get(key) or "–"), 160) for key in ("set", "kind", "side", "evaluation_file")},
            "share": show.share(row.get("share") or 0, 1),
            "evaluation": text(row.get("evaluation_text"), None, characters),
            "around": text(row.get("around"), None, characters),
            "id": show.digits(row.get("pair_id")),
            "row": show.digits(row.get("evaluation_row")),
        }
        for row in (facts.get("samples") or [])[: max(1, bound // 10)]
    ]
    sets = [
        {**item, "kinds": ", ".join(f"{kind} {count:,}" for kind, count in (item.get("kinds") or {}).items())}
        for item in facts.get("sets") or []
    ]
    return {"sets": sets, "samples": samples}


def sample(row: Mapping[str, Any], characters: int) -> dict[str, Any]:
    """A sample row for the template: its texts as bounded markup, with their full lengths."""
    duplicate = row.get("duplicate_text")
    failed = [str(name) for name in row.get("failed") or [] if name != row.get("reason")]
    place = row.get("origin_row")
    return {
        "anchor": text(row.get("anchor"), row.get("anchor_lang"), characters),
        "positive": text(row.get("positive"), row.get("positive_lang"), characters),
        "duplicate": None if duplicate is None else text(duplicate, None, characters),
        "duplicate_of": _duplicate_of(row),
        "compared": show.compared(row.get("value"), row.get("threshold")),
        "failed": ", ".join(failed),
        "id": show.digits(row.get("pair_id")),
        "source": show.one_line(str(row.get("source") or "–"), 64),
        "file": show.one_line(str(row.get("origin_file") or "–"), 160),
        "row": "" if place is None else show.digits(place),
    }


def _duplicate_of(row: Mapping[str, Any]) -> str | None:
    if row.get("duplicate_of") is None:
        return None
    number = show.digits(row["duplicate_of"])
    return f"{number} of run {show.one_line(row['duplicate_run'], 120)}" if row.get("duplicate_run") else number


def text(content: str | None, language: str | None, characters: int) -> dict[str, Any]:
    """`html` is the visible part; `language` for people, `tag` for the lang attribute (null unless well formed)."""
    content = content or ""
    return {
        "html": show.marked(content, characters),
        "length": len(content),
        "cut": len(content) > characters,
        "shown": min(len(content), characters),
        "language": show.one_line(str(language), 35) if language else None,
        "tag": language if language and _LANGUAGE_TAG.fullmatch(language) else None,
    }


def quarantined(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A quarantine entry for the template, its data bounded."""
    data = str(entry.get("data") or "")
    cut = len(data) > QUARANTINE_CHARACTERS
    return {
        **{key: show.digits(entry.get(key)) for key in ("error", "detail", "origin_file", "origin_row", "offset")},
        "data": show.marked(data, QUARANTINE_CHARACTERS),
        "cut": cut,
    }
