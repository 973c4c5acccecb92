"""The page of a pipeline: its steps, each a run of its own, and what its trainings gained.

The summary: {run, spec, command, planned: [name], steps: [{name, kind, run: id, state, seconds, reused, summary: that
run's, figures: {label: text} (optional)}]}; `steps` has those that have come to an end. They link to their own reports,
which lie beside this one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pairmill.report import evaluate_view, evaluations, show
from pairmill.report.comparison import compared, gains
from pairmill.report.frame import STATES, frame
from pairmill.report.key_figures import key_figures
from pairmill.report.templating import template

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
STEPS = ("steps", "Steps")


def render(summary: Mapping[str, Any]) -> str:
    """The page for a pipeline's summary. Lists may be empty and values null."""
    return template("pipeline.html.j2").render(prepare(summary))


def prepare(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The template's variables."""
    steps = summary.get("steps") or []
    rows = [step_row(step) for step in steps]
    trained = [part for step in steps if (part := training(step))]
    parts = [{**part, "id": f"trained-{number}"} for number, part in enumerate(trained)]
    scores = evaluated(steps)
    told = [("evaluations", "Evaluations")] if scores else []
    contents = [("summary", "Summary"), STEPS, *told, *((part["id"], part["name"]) for part in parts)]
    return {
        **frame(summary, "pipeline", contents),
        "sentences": sentences(steps, summary.get("planned") or []),
        "steps": rows,
        "scores": scores,
        "trained": parts,
    }


def sentences(steps: Sequence[Mapping[str, Any]], planned: Sequence[str]) -> list[str]:
    """The pipeline in words: how many of its steps are done, how many had been done before, what is left."""
    done = sum(step.get("state") == "done" for step in steps)
    reused = sum(bool(step.get("reused")) for step in steps)
    count = max(len(planned), len(steps))
    if not count:
        return ["No step has begun."]
    told = [f"{done} of {show.plural(count, 'step')} {'is' if done == 1 else 'are'} done."]
    if reused:
        told.append(f"{reused} had been done before and {'was' if reused == 1 else 'were'} used again.")
    left = [show.one_line(str(name), 60) for name in planned[len(steps) :]]
    return [*told, f"Not done: {', '.join(left)}."] if left else told


def step_row(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step for the table; `link` is None for a run without an id that can be part of an address."""
    run, state = str(step.get("run") or ""), str(step.get("state") or "unknown")
    return {
        "name": show.fact(step.get("name")),
        "kind": show.fact(step.get("kind")),
        "run": run or "–",
        "link": f"../{run}/report.html" if _RUN_ID.fullmatch(run) else None,
        "state": state,
        "state_kind": STATES.get(state, "warn"),
        "seconds": show.duration(step.get("seconds")),
        "reused": bool(step.get("reused")),
        "figures": key_figures(step),
    }


def evaluated(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The main scores of the steps that evaluate, by task (rows) and step (columns); None for fewer than two steps."""
    found = {
        show.fact(step.get("name")): evaluate_view.means(step.get("summary") or {})
        for step in steps
        if step.get("kind") == "evaluate" and step.get("state") == "done"
    }
    if len(found) < 2:
        return None
    tasks = list(dict.fromkeys(task for scores in found.values() for task in scores))
    rows = [(show.one_line(task, 60), [scores.get(task, ("–", "")) for scores in found.values()]) for task in tasks]
    return {"steps": list(found), "rows": rows}


def training(step: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a step's training changed on held-out rows; None for other steps."""
    found = evaluations.groups(step.get("summary") or {})
    if not found:
        return None
    return {"name": show.fact(step.get("name")), "sentences": gains(found), "compared": compared(found)}
