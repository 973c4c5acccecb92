"""Figures of running jobs for Prometheus, through Ray's own metrics.

Ray exports what a process records on the metrics port of its node, with `ray_` before the name; a record is seen after
Ray's next report (10 s). Labels are names of specs, stages, rules and tasks, never ids of runs: so their number is
bounded by what people write. Counters go on over the jobs of a node: ask for `rate` and `increase`. Units that an
earlier attempt committed count as `reused`, and their rows not again. Without Ray nothing is recorded.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

#: `reason` of rows that no rule judged, and that of rows that are kept.
DONE, KEPT = "done", "kept"


@dataclass(frozen=True)
class Metric:
    """What is recorded under a name; the labels are in the order people read them."""

    type: Literal["counter", "gauge"]
    description: str
    labels: tuple[str, ...]


METRICS = {
    "pairmill_units_total": Metric(
        "counter", "Units of a stage that are done: committed now, or reused from earlier.", ("kind", "stage", "state")
    ),
    "pairmill_rows_total": Metric(
        "counter",
        "Rows of units committed now. Reason: kept, or the rule that rejected them; done in stages that do not judge.",
        ("kind", "stage", "reason"),
    ),
    "pairmill_bytes_total": Metric("counter", "Bytes of text of the shards of units committed now.", ("kind", "stage")),
    "pairmill_quarantined_rows_total": Metric("counter", "Unreadable records of units committed now.", ("kind",)),
    "pairmill_loss": Metric("gauge", "Training loss of the last step.", ("name",)),
    "pairmill_tokens_per_second": Metric("gauge", "Tokens trained on in a second, in the last step.", ("name",)),
    "pairmill_checkpoint_age_seconds": Metric(
        "gauge", "Seconds of training, at the last step, since the last checkpoint or the start.", ("name",)
    ),
    "pairmill_evaluation_score": Metric("gauge", "Main score of an evaluation task.", ("name", "task")),
}  # fmt: skip


def unit_done(kind: str, stage: str, done: Mapping[str, Any], size: int) -> None:
    """Count a unit by what its function returned: `rows`, `reused`, and where it has them `reasons`, `quarantined`."""
    labels = {"kind": kind, "stage": stage}
    _count("pairmill_units_total", 1, **labels, state="reused" if done["reused"] else "committed")
    if done["reused"]:
        return
    for reason, rows in (done.get("reasons") or {DONE: done["rows"]}).items():
        _count("pairmill_rows_total", rows, **labels, reason=reason)
    _count("pairmill_bytes_total", size, **labels)
    _count("pairmill_quarantined_rows_total", done.get("quarantined", 0), kind=kind)


def step_done(name: str, figures: Mapping[str, Any], checkpoint_age: float) -> None:
    """Show a training step by its figures: `loss`, `tokens` and `seconds`."""
    _show("pairmill_loss", figures["loss"], name=name)
    _show("pairmill_tokens_per_second", figures["tokens"] / max(figures["seconds"], 1e-4), name=name)
    _show("pairmill_checkpoint_age_seconds", checkpoint_age, name=name)


def task_scored(name: str, task: str, score: float) -> None:
    """Show the main score of an evaluation task."""
    _show("pairmill_evaluation_score", score, name=name, task=task)


def _count(name: str, amount: float, /, **labels: str) -> None:
    if amount and _in_ray():
        _made(name).inc(amount, labels)


def _show(name: str, value: float, /, **labels: str) -> None:
    if _in_ray():
        _made(name).set(value, labels)


def _in_ray() -> bool:
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()


@cache
def _made(name: str) -> Any:
    from ray.util.metrics import Counter, Gauge

    metric = METRICS[name]
    made = Counter if metric.type == "counter" else Gauge
    return made(name, metric.description, metric.labels)
