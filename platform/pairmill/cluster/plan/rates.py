"""What stages cost for a row: the stored calibration, or the record of an earlier run.

A stored rate is a list of knots, (x, CPU-microseconds a row), measured by `tests/benchmarks/plan_calibration.py` on the
machine and day that the file names. Between knots it is linear in x, the bytes of text of a pair (`by: text`), or in
the logarithm of x, the rows (`by: rows`); beyond them the last slope goes on. `spread` is the factor within which it is
known: other texts, other hours of the machine.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

from pairmill.cluster.plan.sheet import Quantity, quantity
from pairmill.errors import SpecError


@dataclass(frozen=True)
class Rates:
    """CPU-seconds a row by name. `measured`: rates that take the place of stored ones, by name of the stage."""

    stored: dict[str, Any]
    measured: Mapping[str, Quantity] = field(default_factory=dict)

    def rate(self, name: str, at: float = 0.0) -> Quantity:
        """CPU-seconds a row; `at`: bytes of text of a pair, or rows."""
        if name in self.measured:
            return self.measured[name]
        entry = self.stored["rates"][name]
        value = 1e-6 * _between(entry["knots"], at, entry.get("by") == "rows")
        return quantity(name, value, "CPU-s/row", self._source(entry), entry["spread"])

    def constant(self, name: str) -> Quantity:
        """Any other stored number, with its unit."""
        if name in self.measured:
            return self.measured[name]
        entry = self.stored["constants"][name]
        return quantity(name, entry["value"], entry["unit"], self._source(entry), entry["spread"])

    def _source(self, entry: Mapping[str, Any]) -> str:
        return str(entry.get("source") or f"calibration of {self.stored['date']}")

    @property
    def told(self) -> str:
        return f"{self.stored['machine']}, {self.stored['date']}"


@lru_cache(maxsize=1)
def stored() -> dict[str, Any]:
    """The calibration that comes with the package."""
    text = resources.files("pairmill.cluster.plan").joinpath("calibration.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _between(knots: list[list[float]], at: float, logarithmic: bool) -> float:
    """The value at x, at least a tenth of the smallest knot's."""
    scale = math.log10 if logarithmic else float
    points = [(scale(max(x, 1.0)), value) for x, value in knots]
    x = scale(max(at, 1.0))
    if len(points) == 1:
        return points[0][1]
    right = next((number for number in range(1, len(points)) if x <= points[number][0]), len(points) - 1)
    (x0, y0), (x1, y1) = points[right - 1], points[right]
    return max(y0 + (y1 - y0) * (x - x0) / (x1 - x0), 0.1 * min(value for _, value in knots))


def of_run(storage_uri: str, name: str) -> dict[str, Quantity]:
    """CPU-seconds of a finished run's stages, by its rows: what their units recorded, whoever did them.

    Raises SpecError for a run without such records.
    """
    from pairmill.runs.browse import named
    from pairmill.runs.record import read_events

    run = named(storage_uri, name)
    summary = run.finished_summary("--from")
    stages: dict[str, dict[str, Any]] = {}
    for event in read_events(run):
        if event["event"] == "stage done" and "cpu_seconds" in event:
            stages[event["stage"]] = event
    if not stages:
        raise SpecError(
            f"--from {name}: run {run.id} has no CPU-seconds by stage. Name a run of this version, or leave --from out."
        )
    source = f"run {run.id}"
    rows = _rows(summary, stages)
    return {
        stage: quantity(stage, event["cpu_seconds"] / rows, "CPU-s/row", source, 1.25)
        for stage, event in stages.items()
    }


def _rows(summary: Mapping[str, Any], stages: Mapping[str, Mapping[str, Any]]) -> float:
    """What a run's costs are counted by: the rows that came in, else those of its largest stage."""
    if "ledger" in summary:
        return float(max(summary["ledger"]["total"]["rows_in"], 1))
    return float(max(max(event.get("rows", 0) for event in stages.values()), 1))
