"""What the command line prints at the end of a run: the ledger in a few lines, and where the report lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pairmill.pairs.ledger import Counts
from pairmill.report.show import duration, fact, one_line, share, value, whole

REASONS_NAMED = 4


def report_uri(run: Mapping[str, Any]) -> str:
    """`<storage>/runs/<id>/report.html`."""
    return f"{str(run.get('storage') or '.').rstrip('/')}/runs/{run.get('id') or 'unknown'}/report.html"


def largest(counts: Mapping[str, int], named: int = REASONS_NAMED) -> str:
    """`near_duplicate 1,200 · script 80 · 3 more 9`, the largest first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{one_line(name)} {whole(count)}" for name, count in ranked[:named]]
    if len(ranked) > named:
        parts.append(f"{len(ranked) - named} more {whole(sum(count for _, count in ranked[named:]))}")
    return " · ".join(parts)


def summarise(summary: Mapping[str, Any]) -> str:
    """Five lines or so of plain text, safe to print whatever the input's names hold. No trailing line break."""
    run = summary.get("run") or {}
    total = Counts.from_json((summary.get("ledger") or {}).get("total") or {})
    rejected, unreadable = total.rejected.total(), total.quarantine.total()
    table = [
        (
            "rows in",
            whole(total.rows_in),
            f"from {whole(total.records_in)} records"
            + (f", {whole(total.no_pair.total())} without a pair" if total.no_pair.total() else ""),
        ),
        ("kept", whole(total.kept), share(total.kept, total.rows_in)),
        ("rejected", whole(rejected), largest(total.rejected)),
        ("quarantine", whole(unreadable), largest(total.quarantine)),
    ]
    wide = max(len(count) for _, count, _ in table)
    took = "" if run.get("seconds") is None else f" in {duration(run['seconds'])}"
    head = f"{one_line(str(run.get('id') or 'unknown'))}  {fact(run.get('state') or 'unknown')}{took}"
    body = [f"  {name:<12}{count:>{wide}}  {note}".rstrip() for name, count, note in table]
    broken = [
        f"  {'expected':<12}{fact(item.get('what'))}: found {value(item.get('found'))}, "
        f"allowed {fact(item.get('allowed'))}. Does not hold."
        for item in summary.get("expectations") or []
        if not item.get("holds")
    ]
    return "\n".join([head, *body, *broken, f"  {'report':<12}{one_line(report_uri(run), 4096)}"])
