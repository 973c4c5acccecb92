"""The page of a sweep, in the manner of `page.py`. The summary's shape: `sweep_view.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pairmill.report import sweep_plots as plots
from pairmill.report import sweep_view as view
from pairmill.report.frame import frame
from pairmill.report.templating import template


def render(summary: Mapping[str, Any]) -> str:
    """The page for a sweep's summary. Lists may be empty and values null."""
    return template("sweep.html.j2").render(prepare(summary))


def prepare(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The template's variables."""
    made = {
        "claims": view.claims(summary),
        "course": plots.course(summary),
        "curves": plots.curves(summary),
        "parallel": plots.parallel(summary),
        "importance": plots.importance(summary),
        "slices": plots.slices(summary),
    }
    titles = {
        "claims": "Claims",
        "course": "Best so far",
        "curves": "In training",
        "parallel": "Values together",
        "importance": "Importance",
        "slices": "Values one by one",
    }
    contents = [("summary", "Summary"), *((id_, title) for id_, title in titles.items() if made[id_])]
    rows = view.rows(summary)
    return {
        **frame(summary, "sweep", [*contents, ("trials", "Trials")]),
        **made,
        "sentences": view.sentences(summary),
        "objective": view.objective(summary),
        "cost": view.cost(summary),
        "best_spec": str(summary.get("best_spec") or ""),
        "rows": rows,
        "more": max(0, len(summary.get("trials") or []) - view.ROWS_SHOWN),
        "pruning": bool(summary.get("prune")),
        "seeded": any("seed" in run for row in rows for run in row["runs"]),
    }
