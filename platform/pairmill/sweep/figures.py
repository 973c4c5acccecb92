"""What a sweep reads of its trials' runs: figures of their summaries, evaluations and costs of their trainings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pairmill.errors import PairmillError
from pairmill.report.evaluate_view import widest
from pairmill.runs.record import Run, newest, read_events, segments
from pairmill.spec.sweep import Objective
from pairmill.spec.trials import step_of, training_of
from pairmill.train.progress import metrics

Json = dict[str, Any]


def value_at(summary: Any, path: str) -> float:
    """The number at a path of a summary; items of lists by name or index, scores of an evaluate run's task by
    `tasks.TASK.SCORE` or `tasks.TASK.SUBSET.SCORE`. Raises PairmillError."""
    found, parts, gone = summary, path.split("."), list[str]()
    while parts:
        if isinstance(found, Mapping) and {"dims", "main_score"} <= found.keys() and parts[0] != "dims":
            found, parts = _score(found, parts), []
            break
        inside = _inside(found)
        size = next((n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in inside), 0)
        if not size:
            where = ".".join(gone) or "the summary"
            raise PairmillError(
                f"objective.metric: {path}: {where} has no {parts[0]!r}. "
                f"It has: {', '.join(list(inside)[:30]) or 'nothing'}."
            )
        found = inside[".".join(parts[:size])]
        gone, parts = [*gone, *parts[:size]], parts[size:]
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        told = f"has {', '.join(list(_inside(found))[:30])}" if _inside(found) else f"is {found!r}"
        raise PairmillError(f"objective.metric: {path}: is no number; it {told}.")
    return float(found)


def _inside(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, list):
        named = {str(item["name"]): item for item in value if isinstance(item, Mapping) and "name" in item}
        return {**{str(number): item for number, item in enumerate(value)}, **named}
    return {}


def _score(task: Mapping[str, Any], parts: list[str]) -> Any:
    """A score of a task in its full width: the mean over the subsets, or that of one."""
    full, metric = widest(task), parts[-1]
    name = task["main_score"] if metric == "main_score" else metric
    subset = full["subsets"].get(".".join(parts[:-1])) if parts[1:] else None
    scores = full["mean"] if not parts[1:] else subset["scores"] if subset else {}
    if name not in scores:
        raise PairmillError(
            f"objective.metric: task {task['name']} has no {'.'.join(parts)!r}. "
            f"Subsets: {', '.join(full['subsets'])}. Scores: {', '.join(full['mean'])}, main_score."
        )
    return scores[name]["value"]


def held_out(groups: Mapping[str, Json], figure: str) -> float:
    """Mean over the held-out groups that have it, as early stopping takes it. Raises PairmillError."""
    found = [one[figure] for one in groups.values() if figure in one]
    if not found:
        has = sorted({name for one in groups.values() for name, value in one.items() if isinstance(value, float)})
        raise PairmillError(
            f"objective.held_out: no held-out group has {figure!r}. They have: {', '.join(has) or 'nothing'}. "
            "Give a data entry of the training a `holdout`."
        )
    return float(sum(found) / len(found))


def objective_of(trial: Mapping[str, Any], objective: Objective, summary: Json) -> float:
    """The figure of a finished run of the trial's spec. Raises PairmillError."""
    step = step_of(trial, objective)
    if step is not None:
        summary = next(item["summary"] for item in summary["steps"] if item["name"] == step)
    if objective.metric is not None:
        return value_at(summary, objective.metric)
    assert objective.held_out is not None, "checked"
    result = summary["training"]["result_step"]
    chosen = [one for one in summary["evaluations"] if one["step"] == result] or summary["evaluations"]
    return held_out(chosen[-1]["groups"], objective.held_out)


def training_number(trial: Mapping[str, Any], objective: Objective) -> int | None:
    """Which of the runs of a trial is the training that is looked at, from 0; None where there is none."""
    if trial.get("kind") != "pipeline":
        return 0 if trial.get("kind") in ("train", "pretrain") else None
    try:
        name = training_of(trial, objective)
    except ValueError:
        return None
    return next(number for number, step in enumerate(trial["steps"]) if step["name"] == name)


@dataclass
class Evaluations:
    """The evaluations of a training in its order, each once, as they come."""

    run: Run
    segment: int = 0
    last: int = -1

    def new(self) -> list[Json]:
        """`step`, `of` (steps in all) and `groups` of those that came since the last call."""
        record = self.run.record()
        if record is None:
            return []
        self.run.generation = int(record["generation"])
        found = []
        for number, events in segments(self.run, metrics(self.run), self.segment):
            self.segment = number
            for event in events:
                if event["event"] == "evaluation" and event["step"] > self.last:
                    self.last = event["step"]
                    found.append({name: event[name] for name in ("step", "of", "groups")})
        return found


def cost(run: Run) -> Json:
    """What a training took, over all attempts: `steps` as far as it came, `steps_done` those of all attempts,
    `cpu_seconds`, `seconds`; zeros of a run that trains nothing."""
    record = run.record() or {}
    run.generation = newest(record) if "manifest" in record else int(record.get("generation", 0))
    done = [event for event in read_events(run, metrics(run)) if event["event"] == "step"]
    return {
        "steps": max((event["step"] for event in done), default=0),
        "steps_done": len(done),
        "cpu_seconds": round(sum(event.get("cpu_seconds", 0.0) for event in done), 3),
        "seconds": round(sum(event["seconds"] for event in done), 3),
    }


def mean(found: Sequence[float]) -> float | None:
    """None for no numbers, or where one is not finite."""
    return sum(found) / len(found) if found and all(map(math.isfinite, found)) else None


def together(costs: Iterable[Json]) -> Json:
    total: Json = {}
    for one in costs:
        for name, value in one.items():
            total[name] = round(total.get(name, 0) + value, 3)
    return total


def parts_of(summary: Json) -> dict[str, str]:
    """The runs of a pipeline's steps by name; empty for a run of another kind."""
    return {item["name"]: item["run"] for item in summary.get("steps", []) if "run" in item}
