"""The page's tables by input and by language, bounded: a run may have thousands of inputs and language pairs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pairmill.curate.language.codes import same_language
from pairmill.pairs.ledger import Counts
from pairmill.report.show import bounds, one_line, share

INPUTS_SHOWN, INPUT_COLUMNS = 200, 12
PAIRS_SHOWN, SIDES_SHOWN = 200, 50
EXCEPTIONS_SHOWN = 20
#: Percent of the loss colour behind a cell that holds all of an input's rows; grows with the root of the share.
DARKEST = 55


@dataclass(frozen=True)
class Cell:
    """A count, its share of the column's rows in, and how strongly it is tinted (percent)."""

    count: int
    share: str
    tint: float


@dataclass(frozen=True)
class ByInput:
    """Reasons (rows) by input (columns); `columns` holds (name, rows in), the total first."""

    columns: list[tuple[str, int]]
    kept: list[Cell]
    rejected: list[tuple[str, list[Cell]]]
    quarantine: list[Cell]
    folded: int


@dataclass(frozen=True)
class LanguagePair:
    anchor: str
    positive: str
    rows: int
    kept: int
    share: str
    width: float
    losses: list[tuple[str, str]]  # the largest reasons and their share of the pair's rows


def cell(count: int, of: int) -> Cell:
    part = count / of if of else 0
    return Cell(count, share(count, of), round(DARKEST * math.sqrt(min(max(part, 0), 1)), 1))


def _add(parts: Sequence[Counts]) -> Counts:
    whole = Counts()
    for part in parts:
        whole.add(part)
    return whole


def cells_by_input(by_input: Mapping[str, Counts], total: Counts, reasons: Sequence[str]) -> ByInput:
    """One column for all, then the inputs with most rows; past INPUT_COLUMNS of them, one column for the rest."""
    ranked = sorted(by_input.items(), key=lambda item: (-item[1].rows_in, item[0]))
    shown, rest = ranked[:INPUT_COLUMNS], [counts for _, counts in ranked[INPUT_COLUMNS:]]
    columns = [("all inputs", total), *shown]
    if rest:
        columns.append((f"{len(rest)} more inputs", _add(rest)))
    return ByInput(
        columns=[(name, counts.rows_in) for name, counts in columns],
        kept=[cell(counts.kept, counts.rows_in) for _, counts in columns],
        rejected=[(name, [cell(c.rejected[name], c.rows_in) for _, c in columns]) for name in reasons],
        quarantine=[cell(counts.quarantine.total(), counts.rows_in) for _, counts in columns],
        folded=len(rest),
    )


def input_rows(inputs: Sequence[Mapping[str, Any]], by_input: Mapping[str, Counts]) -> dict[str, Any]:
    """Each input with its counts, in the spec's order, at most INPUTS_SHOWN; `more` counts the others."""
    rows = []
    for item in inputs[:INPUTS_SHOWN]:
        counts = by_input.get(str(item.get("name")), Counts())
        path = item.get("path")
        rows.append(
            {
                **{key: item.get(key) for key in ("name", "format", "files", "bytes", "licence", "language")},
                "path": one_line(", ".join(map(str, path))) if isinstance(path, (list, tuple)) else path,
                "rows_in": counts.rows_in,
                "kept": counts.kept,
                "share": share(counts.kept, counts.rows_in),
                "width": 100 * counts.kept / counts.rows_in if counts.rows_in else 0,
            }
        )
    return {"rows": rows, "more": max(0, len(inputs) - INPUTS_SHOWN)}


def rule_rows(rules: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rules, those that rejected most first; `exceptions`: what else holds for languages and pairs, in words."""
    ranked = sorted(rules, key=lambda rule: -(rule.get("rejected") or 0))
    return [{**rule, "passes": _passes(rule), "exceptions": _exceptions(rule)} for rule in ranked]


def _passes(rule: Mapping[str, Any]) -> str:
    return "off" if rule.get("enabled") is False else bounds(rule.get("min"), rule.get("max"))


def _exceptions(rule: Mapping[str, Any]) -> str:
    others = [*(rule.get("per_language") or {}).items(), *(rule.get("per_pair") or {}).items()]
    told = [f"{one_line(code)} {_passes(other)}" for code, other in others[:EXCEPTIONS_SHOWN]]
    more = len(others) - len(told)
    return ", ".join([*told, f"{more} more"] if more else told)


def language_rows(languages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The PAIRS_SHOWN largest language pairs, and the counts of all others together."""
    ranked = sorted(languages, key=lambda item: -(item.get("rows") or 0))
    others = ranked[PAIRS_SHOWN:]
    rows = sum(item.get("rows") or 0 for item in others)
    kept = sum(item.get("kept") or 0 for item in others)
    width = 100 * min(kept / rows, 1) if rows else 0
    return {
        "rows": [language_pair(item) for item in ranked[:PAIRS_SHOWN]],
        "pairs": len(ranked),
        "others": {"pairs": len(others), "rows": rows, "kept": kept, "share": share(kept, rows), "width": width}
        if others
        else None,
    }


def language_pair(item: Mapping[str, Any]) -> LanguagePair:
    rows, kept = item.get("rows") or 0, item.get("kept") or 0
    losses = Counter({name: count for name, count in (item.get("rejected") or {}).items() if count}).most_common(2)
    return LanguagePair(
        anchor=item.get("anchor_lang") or "unknown",
        positive=item.get("positive_lang") or "unknown",
        rows=rows,
        kept=kept,
        share=share(kept, rows),
        width=100 * min(kept / rows, 1) if rows else 0,
        losses=[(name, share(count, rows)) for name, count in losses],
    )


def identified(table: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How declared and identified languages agree: sides in all, and the largest disagreements.

    Sides without a declared or an identified language are counted apart: they cannot disagree. Nor do codes that the
    rule `language` takes for one language: `zh-CN` and `zh`, `nb` and `no`.
    """
    declared: Counter[str] = Counter()
    wrong: list[tuple[str, str, int]] = []
    agree = undecided = 0
    for entry in table:
        said, found, rows = entry.get("declared"), entry.get("identified"), entry.get("rows") or 0
        if not said or not found or "und" in (said, found):
            undecided += rows
            continue
        declared[said] += rows
        if said == found or same_language(said, found):
            agree += rows
        else:
            wrong.append((said, found, rows))
    wrong.sort(key=lambda item: (-item[2], item[0], item[1]))
    rest = wrong[SIDES_SHOWN:]
    return {
        "sides": agree + sum(rows for *_, rows in wrong),
        "agree": agree,
        "undecided": undecided,
        "rows": [(said, found, rows, share(rows, declared[said])) for said, found, rows in wrong[:SIDES_SHOWN]],
        "more": len(rest),
        "more_rows": sum(rows for *_, rows in rest),
    }
