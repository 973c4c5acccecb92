"""What the page and the command line tell of a sweep.

The summary: {run, spec, command, objective: {metric, held_out, step, mode}, search, space: {path: {kind: bounds or
values, step, when}}, prune, trials: [{number, name, values: {path: value}, state: done | pruned | failed,
objective, held_out, message, runs: [{seed, run, figures}], reports: [[step, value]], steps, cpu_seconds, ended}],
best: number of a trial, importance: {path: share} or null, cost: {steps, cpu_seconds, seconds}, spent, claims: [{text,
better, than, metric, step, mode, by, seeds: [{seed, better, than, difference, rows}], asked, mean, interval, over,
verdict}]}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pairmill.report import show

Json = Mapping[str, Any]
ROWS_SHOWN, TRIALS_NAMED = 500, 5
VERDICTS = {"held": "good", "not held": "bad", "open": "warn"}
STATES = {"done": "good", "pruned": "warn", "failed": "bad"}


def scored(summary: Json) -> list[Json]:
    """The trials that have an objective."""
    return [trial for trial in summary.get("trials") or [] if isinstance(trial.get("objective"), (int, float))]


def best(summary: Json) -> Json | None:
    return next((trial for trial in summary.get("trials") or [] if trial["number"] == summary.get("best")), None)


def objective(summary: Json) -> str:
    """What is best, in words."""
    told = summary.get("objective") or {}
    what = told.get("metric") or f"held-out {told.get('held_out') or 'figure'}"
    return f"{what} of step {told['step']}" if told.get("step") else str(what)


def short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else show.one_line(json.dumps(value, ensure_ascii=False), 60)


def values(trial: Json) -> str:
    """`path value, path value`, or the variant's name."""
    told = ", ".join(f"{path} {short(value)}" for path, value in (trial.get("values") or {}).items())
    return told or "as it is"


def sentences(summary: Json) -> list[str]:
    """The sweep in words."""
    trials = summary.get("trials") or []
    counts = {state: sum(trial["state"] == state for trial in trials) for state in STATES}
    states = {"done": "done", "pruned": "stopped early", "failed": "failed"}
    parts = [f"{counts[state]} {word}" for state, word in states.items() if counts[state]]
    found = best(summary)
    told = [f"{show.plural(len(trials), 'trial')}: {', '.join(parts)}." if trials else "No trial has ended."]
    if found is not None and not summary.get("claims"):
        word = "highest" if (summary.get("objective") or {}).get("mode") == "max" else "lowest"
        told.append(f"The {word} {objective(summary)} is {show.value(found['objective'])}, of {_called(found)}.")
    if summary.get("spent"):
        told.append(f"No more trials began, as {summary['spent']} was spent.")
    claims = summary.get("claims") or []
    if claims:
        verdicts = [f"{sum(one['verdict'] == verdict for one in claims)} {verdict}" for verdict in VERDICTS]
        told.append(f"Of {show.plural(len(claims), 'claim')} {', '.join(verdicts)}.")
    return told


def _called(trial: Json) -> str:
    number = f"trial {trial['number']}"
    return number if trial["name"] == str(trial["number"]) else f"variant {trial['name']}"


def cost(summary: Json) -> str:
    told = summary.get("cost") or {}
    if not told.get("steps"):
        return ""
    return f"{told['steps']:,} steps of training, {show.duration(told.get('cpu_seconds'))} of CPU"


def rows(summary: Json) -> list[dict[str, Any]]:
    """The trials, the best first, then those stopped and failed."""
    up = (summary.get("objective") or {}).get("mode") != "min"

    def order(trial: Json) -> tuple[Any, ...]:
        value = trial.get("objective")
        known = isinstance(value, (int, float))
        place = float(value or 0) * (-1 if up else 1)
        return list(STATES).index(trial["state"]), not known, place, trial["number"]

    return [
        {
            "name": trial["name"],
            "state": {"pruned": "stopped"}.get(trial["state"], trial["state"]),
            "state_kind": STATES.get(trial["state"], "warn"),
            "objective": show.value(trial.get("objective")),
            "held_out": show.value(trial.get("held_out")),
            "values": [(path, short(value)) for path, value in (trial.get("values") or {}).items()],
            "steps": trial.get("steps") or 0,
            "cpu": show.duration(trial.get("cpu_seconds")),
            "runs": [_run(run) for run in trial.get("runs") or [] if run.get("run")],
            "message": show.one_line(str(trial.get("message") or ""), 400),
            "best": trial["number"] == summary.get("best") and not summary.get("claims"),
        }
        for trial in sorted(summary.get("trials") or [], key=order)[:ROWS_SHOWN]
    ]


def _run(run: Json) -> dict[str, Any]:
    """A trial's run; of one that has a seed of its own, the objective found with it."""
    seed = run.get("seed")
    value = show.value(run["figures"]["objective"]) if "figures" in run else "–"
    return {"id": str(run["run"])} | ({} if seed is None else {"seed": show.digits(seed), "value": value})


def claims(summary: Json) -> list[dict[str, Any]]:
    return [
        {
            **{name: one[name] for name in ("text", "better", "than", "metric", "step", "verdict")},
            "kind": VERDICTS[one["verdict"]],
            "by": _margin(one["by"]),
            "mean": signed(one["mean"]),
            "interval": " to ".join(signed(end) for end in one["interval"]) if one["interval"] else "–",
            "over_rows": one.get("over") == "rows" and bool(one["interval"]),
            "lower": one["mode"] == "min",
            "count": _count(one),
            "seeds": [
                {
                    "seed": show.digits(seed["seed"]),
                    "better": show.value(seed["better"]),
                    "than": show.value(seed["than"]),
                    "difference": signed(seed["difference"]),
                    "rows": _rows(seed.get("rows")),
                }
                for seed in one["seeds"]
            ],
        }
        for one in summary.get("claims") or []
    ]


def _count(one: Json) -> str:
    """How many seeds, and of how many where some failed."""
    found, asked = len(one["seeds"]), one.get("asked", 0)
    return f"{found} of {asked}" if found < asked else str(found)


def _margin(by: float) -> str:
    """What is claimed beyond a difference of zero, in words."""
    if not by:
        return ""
    return f"by more than {show.value(by)}" if by > 0 else f"or at most {show.value(-by)} behind"


def _rows(found: Json | None) -> str:
    if not found or not found.get("interval"):
        return "–"
    return f"{' to '.join(signed(end) for end in found['interval'])}"


def signed(value: Any) -> str:
    """A difference of scores, `+0.0120`, as wide as those beside it in its column; of large figures `+1,234`."""
    if value is None:
        return "–"
    return f"{value:+,.{4 if abs(value) < 10 else 0}f}".replace("-", "−") if value else "0"


def lines(summary: Json) -> list[str]:
    """What the command line prints."""
    told = [("trials" if not number else "", sentence) for number, sentence in enumerate(sentences(summary))]
    if told_cost := cost(summary):
        told.append(("cost", told_cost))
    if not summary.get("claims"):
        first = [row for row in rows(summary) if row["objective"] != "–"][:TRIALS_NAMED]
        told += [("" if number else "best", f"{row['objective']}  {_line_of(row)}") for number, row in enumerate(first)]
    for number, one in enumerate(claims(summary)):
        figures = f"{one['mean']} ({one['interval']}{' over rows' if one['over_rows'] else ''}), {one['count']} seeds"
        told.append(("" if number else "claims", f"{one['verdict']:<9}{one['text']}: {figures}"))
    return [f"  {name:<12}{show.one_line(line, 400)}" for name, line in told]


def _line_of(row: Json) -> str:
    named = "" if row["name"].isdigit() else f"{row['name']}: "
    return f"{named}{', '.join(f'{path} {value}' for path, value in row['values']) or 'as it is'}"
