"""From a trained model to what people and other jobs read: summary, manifest, model card."""

from __future__ import annotations

from typing import Any

from pairmill.report import card
from pairmill.runs.record import Run
from pairmill.train.plan import Plan
from pairmill.train.progress import curve

POINTS = 400  # of the curve that the report shows
FIGURES = ("loss", "accuracy", "lr", "gradient_norm")


def summarise(
    job: Any, manifest: dict[str, Any], plan: Plan, trained: dict[str, Any], facts: dict[str, Any]
) -> dict[str, Any]:
    """What the report shows and the command line prints, as plain JSON."""
    run: Run = job.run_
    steps = curve(run)
    seconds = sum(step["seconds"] for step in steps)
    return {
        **job.summary(facts),
        "model": {"place": run.storage.where(trained["model"]["prefix"]), **trained["facts"]},
        "made": job.made,
        "data": manifest["entries"],
        "groups": [{name: group[name] for name in ("name", "entry", "rows", "mean")} for group in manifest["groups"]],
        "shares": plan.shares(),
        "training": {
            "steps": trained["steps"],
            "stopped_early": trained["stopped"],
            "result_step": trained.get("result_step", trained["steps"]),
            "seconds": round(seconds, 1),
            "cpu_seconds": trained["record"]["cpu_seconds"],
            "rows": sum(step["rows"] for step in steps),
            "tokens": sum(step["tokens"] for step in steps),
            "rows_per_second": round(sum(step["rows"] for step in steps) / max(seconds, 1e-9), 1),
            "tokens_per_second": round(sum(step["tokens"] for step in steps) / max(seconds, 1e-9)),
        },
        "curve": _thinned(steps),
        "evaluations": trained["evaluations"],
        "lineage": job.lineage,
    }


def _thinned(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most POINTS points, each the mean of as many steps, by entry where there are several."""
    size = max(1, -(-len(steps) // POINTS))
    points = []
    for start in range(0, len(steps), size):
        part = steps[start : start + size]
        means = {
            name: sum(step[name] for step in part if name in step) / max(1, sum(name in step for step in part))
            for name in FIGURES
            if any(name in step for step in part)
        }
        losses: dict[str, list[float]] = {}
        for step in part:
            losses.setdefault(step["entry"], []).append(step["loss"])
        by_entry = {entry: sum(values) / len(values) for entry, values in losses.items()}
        points.append({"step": part[-1]["step"], **means, "entries": by_entry})
    return points


def publish(run: Run, summary: dict[str, Any], trained: dict[str, Any]) -> dict[str, str]:
    """Write model card, manifest and summary; return what run.json must name for readers to see them."""
    run.storage.put(f"{trained['model']['prefix']}/README.md", card.render(summary).encode())
    model = {**trained["model"], "files": sorted({*trained["model"]["files"], "README.md"})}
    return run.publish({"files": {}, "model": model}, summary)
