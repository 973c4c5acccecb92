"""The few figures that stand for a run in a pipeline's list of steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pairmill.pairs.ledger import Counts
from pairmill.report import evaluate_view, evaluations
from pairmill.report.show import fact, share, value, whole

TASKS = 6  # of an evaluation


def key_figures(step: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(label, figure): those that a step names itself (`figures`), else what its run's summary gives."""
    if step.get("figures"):
        return [(fact(label), fact(told)) for label, told in step["figures"].items()]
    summary = step.get("summary") or {}
    told = []
    if ledger := (summary.get("ledger") or {}).get("total"):
        total = Counts.from_json(ledger)
        told += [
            ("rows in", whole(total.rows_in)),
            ("kept", f"{whole(total.kept)} ({share(total.kept, total.rows_in)})"),
        ]
    if training := summary.get("training"):
        told += [("steps", value(training.get("steps"))), ("rows a second", value(training.get("rows_per_second")))]
    if ends := evaluations.losses(summary.get("curve") or []):
        told.append(("loss", f"{value(ends[0])} → {value(ends[1])}"))
    if step.get("kind") == "embed":
        told.append(("vectors", whole(sum(row["vectors"] for row in summary.get("counts") or []))))
    if step.get("kind") == "evaluate":
        told += [(fact(name), score) for name, (score, _) in list(evaluate_view.means(summary).items())[:TASKS]]
    return told
