"""A curate run's report as Markdown: its words and tables, without texts of rows, to paste and to compare.

The summary's shape is that of `view`. What the run lacks has no section.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pairmill.pairs.ledger import Counts
from pairmill.report import distributions, funnel, heat, show, words
from pairmill.report.charts import Curve
from pairmill.report.frame import SPEC_CHARACTERS, facts
from pairmill.report.markdown import code, fenced, table, text
from pairmill.report.markdown import facts as fact_table
from pairmill.report.tables import cells_by_input, identified, rule_rows
from pairmill.report.view import EXPECTATION, RULE, counts_of

PAIRS_SHOWN, INPUTS_SHOWN, DISAGREEMENTS_SHOWN = 50, 100, 20
QUANTILES = ("0.05", "0.25", "0.5", "0.75", "0.95")


def render(summary: Mapping[str, Any]) -> str:
    """report.md: everything from the rows and the spec acts on nothing (`markdown.py`)."""
    total, by_input = counts_of(summary)
    run = summary.get("run") or {}
    rules = rule_rows([{**RULE, **rule} for rule in summary.get("rules") or []])
    steps = funnel.steps(total, [str(rule["name"]) for rule in summary.get("rules") or []])
    parts = [
        f"# {text(run.get('name') or run.get('id') or 'Run')}",
        f"Curate run {code(run.get('id'))}, {text(run.get('state') or 'unknown')}.",
        *([f"**The run did not finish.** {text(run['error'])}"] if run.get("error") else []),
        " ".join(text(sentence) for sentence in words.sentences(total, len(by_input))),
        _findings(summary, total, by_input),
        _expectations(summary.get("expectations") or []),
        _section("Funnel", ["Step", "Rows", "Share"], [_step(step) for step in steps]),
        _inputs(summary.get("inputs") or [], by_input),
        _reasons(total, by_input, [step.reason for step in steps if step.reason]),
        _languages(summary.get("languages") or []),
        _identified(summary.get("declared_identified") or []),
        _rules(rules, total),
        _quantiles(summary),
        _sensitivity(distributions.cards(summary, rules, total.rows_in)),
        _duplicates(summary.get("duplicates") or {}),
        _contamination((summary.get("contamination") or {}).get("sets") or []),
        _cleaning(summary.get("cleaning") or {}),
        f"## Run\n\n{fact_table((text(name), text(told)) for name, told in facts(run))}",
        _again(summary),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(title: str, head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    return f"## {title}\n\n{table(head, rows, left)}" if rows else ""


def _findings(summary: Mapping[str, Any], total: Counts, by_input: Mapping[str, Counts]) -> str:
    found = words.findings(summary, total, by_input)
    return "## What looks wrong\n\n" + "\n".join(f"- {text(finding.text)}" for finding in found) if found else ""


def _expectations(items: Sequence[Mapping[str, Any]]) -> str:
    full = [{**EXPECTATION, **item} for item in items]
    rows = [
        [
            text(item["what"]),
            text(item["allowed"]),
            text(item["found"]),
            "holds" if item["holds"] else "**fails**",
        ]
        for item in full
    ]
    return _section("Expectations", ["Expected", "Allowed", "Found", ""], rows, 2)


def _step(step: funnel.Step) -> list[str]:
    sign = "−" if step.kind in ("no-pair", "unreadable", "rejected") else ""
    return [text(step.label), f"{sign}{step.count:,}", step.share]


def _inputs(inputs: Sequence[Mapping[str, Any]], by_input: Mapping[str, Counts]) -> str:
    rows = []
    for item in inputs[:INPUTS_SHOWN]:
        counts = by_input.get(str(item.get("name")), Counts())
        share = show.share(counts.kept, counts.rows_in)
        about = [text(item.get("name")), text(item.get("format")), text(item.get("licence"))]
        rows.append([*about, show.whole(counts.rows_in), show.whole(counts.kept), share])
    return _section("Inputs", ["Source", "Format", "Licence", "Rows in", "Kept", "Share"], rows, 3)


def _reasons(total: Counts, by_input: Mapping[str, Counts], reasons: Sequence[str]) -> str:
    cells = cells_by_input(by_input, total, reasons)
    rows = [["kept", *(_cell(cell) for cell in cells.kept)]]
    rows += [[text(label), *(_cell(cell) for cell in row)] for label, row in cells.rejected]
    head = ["Reason", *(text(name) for name, _ in cells.columns)]
    return _section("Reasons by input", head, rows if total.rows_in else [])


def _cell(cell: Any) -> str:
    return f"{cell.count:,} ({cell.share})" if cell.count else "0"


def _languages(languages: Sequence[Mapping[str, Any]]) -> str:
    found = heat.pair_map(languages, [], PAIRS_SHOWN)
    rows = []
    for row in [*found.rows, *([found.others] if found.others else [])]:
        named = sorted(zip(found.reasons, row.cells, strict=False), key=lambda item: -item[1].count)
        lost = ", ".join(f"{text(reason)} {cell.share}" for reason, cell in named[:2] if cell.count)
        rows.append([text(row.name), show.whole(row.rows), show.whole(row.kept), row.share, lost or "–"])
    return _section("Languages", ["Pair", "Rows", "Kept", "Share", "Most lost to"], rows)


def _identified(declared: Sequence[Mapping[str, Any]]) -> str:
    found = identified(declared)
    rows = [
        [text(said), text(heard), show.whole(sides), share]
        for said, heard, sides, share in found["rows"][:DISAGREEMENTS_SHOWN]
    ]
    head = ["Declared", "Identified as", "Sides", "Share of declared"]
    return _section("Declared and identified languages that differ", head, rows, 2)


def _rules(rules: Sequence[Mapping[str, Any]], total: Counts) -> str:
    rows = [
        [text(rule["name"]), text(rule["passes"]), show.value(rule["rejected"]), _share(rule, total)] for rule in rules
    ]
    return _section("Rules", ["Rule", "Passes", "Rejected", "Of rows in"], rows, 2)


def _share(rule: Mapping[str, Any], total: Counts) -> str:
    return show.share(rule["rejected"] or 0, total.rows_in)


def _quantiles(summary: Mapping[str, Any]) -> str:
    sides = [{"name": f"characters: {side}", **(facts or {})} for side, facts in (summary.get("lengths") or {}).items()]
    rows = []
    for score in [*sides, *(summary.get("scores") or [])]:
        found = score.get("quantiles") or {}
        if found:
            rows.append([text(score.get("name")), *(show.value(found.get(part)) for part in QUANTILES)])
    return _section("Distributions", ["Score", *(f"{100 * float(part):g} %" for part in QUANTILES)], rows)


def _sensitivity(cards: Mapping[str, Any]) -> str:
    rows = []
    for card in [*cards["shown"], *cards["folded"]]:
        for found in card["curves"]:
            now = found.points[found.now]
            rows.append([text(card["name"]), f"{now.threshold}: {now.kept:,}", *_beside(found)])
    head = ["Rule", "Now", "Next looser", "Loosest", "Strictest"]
    return _section("What would be kept if a threshold moved", head, rows, 5)


def _beside(found: Curve) -> list[str]:
    looser = list(reversed(found.points[: found.now])) if found.bound == "≥" else found.points[found.now + 1 :]
    strictest = found.points[-1 if found.bound == "≥" else 0]
    chosen = [looser[0] if looser else None, looser[-1] if looser else None, strictest]
    return [f"{point.threshold}: {point.kept:,} ({point.change})" if point else "–" for point in chosen]


def _duplicates(found: Mapping[str, Any]) -> str:
    rows = [
        [kind, show.whole(found[kind].get("groups") or 0), show.whole(found[kind].get("rows") or 0)]
        for kind in ("exact", "near")
        if found.get(kind)
    ]
    if not rows:
        return ""
    within, across = found.get("within") or 0, found.get("across") or 0
    told = f"\n\nRemoved for a row of the same input {within:,}, of another input {across:,}."
    return _section("Duplicates", ["Kind", "Groups", "Rows"], rows) + told


def _contamination(sets: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [text(item.get("name")), *(show.value(item.get(key)) for key in ("texts", "found", "rows"))] for item in sets
    ]
    return _section("Evaluation sets", ["Set", "Texts", "Found", "Rows"], rows)


def _cleaning(steps: Mapping[str, Any]) -> str:
    ranked = sorted(steps.items(), key=lambda item: -(item[1] or 0))
    return _section("Cleaning", ["Step", "Texts changed"], [[text(name), show.value(rows)] for name, rows in ranked])


def _again(summary: Mapping[str, Any]) -> str:
    command, spec = str(summary.get("command") or ""), str(summary.get("spec") or "")[:SPEC_CHARACTERS]
    parts = [fenced(command, "")] if command else []
    return "\n\n".join(["## Run it again", *parts, fenced(spec, "yaml")]) if command or spec else ""
