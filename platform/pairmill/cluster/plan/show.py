"""A plan as text, and as JSON."""

from __future__ import annotations

from typing import Any

from pairmill.cluster.plan.base import Plan
from pairmill.cluster.plan.sheet import Quantity, show


def text(plan: Plan, told: str) -> str:
    """The figures first, then every line of the arithmetic, then what was assumed. `told`: where rates come from."""
    lines = [f"plan of {plan.kind} {plan.name}", ""]
    lines += _figures(plan)
    lines += _stages(plan)
    for step in plan.steps:
        lines += ["", f"== step {step.name} ({step.kind})", "", *_figures(step), *_arithmetic(step)]
    lines += _arithmetic(plan)
    lines += ["", "assumptions", *(f"  - {one}" for one in dict.fromkeys(plan.assumptions()))]
    lines += [f"  - Rates that nothing else is said of: {told}.", "  - Intervals: about 90 %, if the assumptions hold."]
    return "\n".join(lines) + "\n"


def as_json(plan: Plan, told: str) -> dict[str, Any]:
    """The same as plain JSON."""
    return {
        "kind": plan.kind,
        "name": plan.name,
        "figures": [_figure(one) for one in plan.figures],
        "stages": [
            {"name": stage.name, "cpu_seconds": stage.cpu.value, "units": stage.units, "memory_per_task": stage.memory}
            for stage in plan.stages
        ],
        **plan.sheet.to_json(),
        "steps": [as_json(step, told) for step in plan.steps],
        "calibration": told,
    }


def _figure(one: Quantity) -> dict[str, Any]:
    return {"name": one.name, "value": one.value, "unit": one.unit, "low": one.low, "high": one.high}


def _figures(plan: Plan) -> list[str]:
    rows = [
        (one.name, show(one.value, one.unit), "" if one.low == one.high else _interval(one)) for one in plan.figures
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    return [f"  {name:<{widths[0]}}  {value:>{widths[1]}}  {interval}".rstrip() for name, value, interval in rows]


def _interval(one: Quantity) -> str:
    return f"{show(one.low, one.unit)} to {show(one.high, one.unit)}"


def _stages(plan: Plan) -> list[str]:
    if not plan.stages:
        return []
    total = sum(stage.cpu.value for stage in plan.stages) or 1.0
    rows = [("stage", "CPU", "share", "tasks", "memory of a task")]
    rows += [
        (
            stage.name,
            show(stage.cpu.value, "CPU-s"),
            f"{100 * stage.cpu.value / total:.0f} %",
            f"{max(1, round(stage.units)):,}",
            show(stage.memory, "B"),
        )
        for stage in plan.stages
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return [
        "",
        *(
            "  "
            + "  ".join(
                cell.ljust(width) if not at else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ),
    ]


def _arithmetic(plan: Plan) -> list[str]:
    lines: list[str] = []
    section = None
    for one in plan.sheet.lines:
        if one.section != section:
            section = one.section
            lines += ["", section]
        lines.append(f"  {one.line()}")
    return lines
