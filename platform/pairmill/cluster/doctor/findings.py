"""What the doctor says, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error", "skipped"]
#: What concerns the cluster as a whole, and not one node.
CLUSTER = "cluster"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `node` is a host, or `cluster`, or `here`; `remedy` is empty where all is well."""

    check: str
    level: Level
    node: str
    message: str
    remedy: str = ""


def failed(findings: Iterable[Finding]) -> bool:
    """Whether a job would fail, or could lose something."""
    return any(finding.level == "error" for finding in findings)


def text(findings: list[Finding]) -> str:
    """A line for each finding, its remedy below it; the worst last, where a terminal shows them."""
    order = {level: number for number, level in enumerate(("ok", "skipped", "warning", "error"))}
    lines = []
    for finding in sorted(findings, key=lambda one: order[one.level]):
        where = "" if finding.node == CLUSTER else f"{finding.node}: "
        lines.append(f"{finding.level:8} {finding.check:13} {where}{finding.message}")
        if finding.remedy:
            lines.append(f"{'':22} -> {finding.remedy}")
    counts = {level: sum(finding.level == level for finding in findings) for level in order}
    lines.append(", ".join(f"{count} {level}" for level, count in counts.items() if count or level == "error"))
    return "\n".join(lines)
