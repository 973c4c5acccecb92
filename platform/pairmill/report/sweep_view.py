"""What the page and the command line tell of a sweep.

The summary: {run, spec, command, objective: {metric, held_out, step, mode}, search, space: {path: {kind: bounds or
values, step, when}}, prune, trials: [{number, name, values: {path: value}, state: done | pruned | failed,
objective, held_out, message, runs: [{seed, run, figures}], reports: [[step, value]], steps, cpu_seconds, ended}],
best: number of a trial, importance: {path: share} or null, cost: {steps, cpu_seconds, seconds}, spent, claims: [{text,
better, than, metric, step, mode, by, seeds: [{seed, better, than, difference, rows}], mean, interval, verdict}]}.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from pairmill.report import show
from pairmill.report.plot import HIGH, WIDE, Plot, plot, ticks

Json = Mapping[str, Any]
ROWS_SHOWN, AXES, SLICES, TRIALS_NAMED = 500, 8, 24, 5
VERDICTS = {"held": "good", "not held": "bad", "open": "warn"}
STATES = {"done": "good", "pruned": "warn", "failed": "bad"}


@dataclass(frozen=True)
class Scale:
    """Values of one path in percent: along a line where they are numbers of a range, else side by side."""

    values: tuple[Any, ...]
    log: bool = False

    @property
    def numeric(self) -> bool:
        return bool(self.values) and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in self.values)

    def at(self, value: Any) -> float:
        if not self.numeric:
            return 50.0 if len(self.values) == 1 else 100 * self.values.index(value) / (len(self.values) - 1)
        low, high = self._bounds
        if low == high:
            return 50.0
        return round(100 * (self._of(value) - low) / (high - low), 2)

    @property
    def ends(self) -> tuple[str, str]:
        return (short(self.values[0]), short(self.values[-1])) if self.values else ("", "")

    @property
    def _bounds(self) -> tuple[float, float]:
        found = [self._of(value) for value in self.values]
        return min(found), max(found)

    def _of(self, value: Any) -> float:
        return math.log(value) if self.log else float(value)


@dataclass(frozen=True)
class Parallel:
    """Axes side by side, a line for each trial; `lines`: (path, class), the best last."""

    axes: list[tuple[float, str, str, str]]  # percent from the left, name, low, high
    lines: list[tuple[Markup, str]]
    more: int


@dataclass(frozen=True)
class Slice:
    """The objective by the values of one path."""

    path: str
    dots: Markup
    best: Markup
    up: list[tuple[float, str]]
    across: list[tuple[float, str]]
    told: str


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


def course(summary: Json) -> Plot | None:
    """The best objective so far, by the number of the trial."""
    found: list[tuple[float, float]] = []
    up = (summary.get("objective") or {}).get("mode") != "min"
    for trial in sorted(scored(summary), key=lambda trial: float(trial.get("ended") or 0)):
        top = trial["objective"] if not found else (max if up else min)(found[-1][1], trial["objective"])
        found.append((len(found) + 1, top))
    if len(found) < 2 or not summary.get("space"):
        return None
    return plot("Best so far", objective(summary), {"best so far": found})


def curves(summary: Json) -> Plot | None:
    """What the trainings evaluated: of the best trial and of others, by step."""
    told = {trial["name"]: [tuple(one) for one in trial.get("reports") or []] for trial in summary.get("trials") or []}
    first = best(summary)
    order = sorted(told, key=lambda name: (first is None or name != first["name"], -len(told[name])))
    lines = {f"trial {name}" if name.isdigit() else name: told[name] for name in order if len(told[name]) > 1}
    return plot("In training", "held-out figure", lines) if lines else None


def _scale(summary: Json, path: str) -> Scale:
    """From what was drawn: a list in its order, else the range of the values that trials had."""
    draw = (summary.get("space") or {}).get(path) or {}
    listed = draw.get("choice") or draw.get("grid")
    found = [trial["values"][path] for trial in summary.get("trials") or [] if path in (trial.get("values") or {})]
    given = Scale(tuple(listed)) if listed else Scale(tuple(sorted(found)), log="log_uniform" in draw)
    if listed and not given.numeric:
        return given
    numbers = sorted(set(given.values))
    return Scale(tuple(numbers), given.log) if numbers else given


def parallel(summary: Json) -> Parallel | None:
    """The trials that have an objective; None for fewer than two, or nothing drawn."""
    trials, paths = scored(summary), list(summary.get("space") or {})
    if len(trials) < 2 or not paths:
        return None
    paths = _by_importance(summary, paths)
    scales = {path: _scale(summary, path) for path in paths[:AXES]}
    last = Scale(tuple(sorted(trial["objective"] for trial in trials)))
    names = [*scales, "objective"]
    across = [round(100 * number / (len(names) - 1), 2) for number in range(len(names))]
    axes = [
        (left, name, *scale.ends) for left, name, scale in zip(across, names, [*scales.values(), last], strict=True)
    ]
    worst_first = sorted(
        trials, key=lambda t: t["objective"], reverse=(summary.get("objective") or {}).get("mode") == "min"
    )
    lines = []
    for rank, trial in enumerate(worst_first):
        places = [
            scale.at(trial["values"][path]) if path in trial["values"] else None for path, scale in scales.items()
        ]
        kind = "best" if rank == len(worst_first) - 1 else f"q{4 * rank // len(worst_first)}"
        lines.append((_line(across, [*places, last.at(trial["objective"])]), kind))
    return Parallel(axes, lines, max(0, len(paths) - AXES))


def _line(across: Sequence[float], up: Sequence[float | None]) -> Markup:
    """A line through the axes, straight through those of which the trial has no value."""
    places = [
        f"{WIDE * left / 100:.1f} {HIGH * (1 - place / 100):.1f}"
        for left, place in zip(across, up, strict=True)
        if place is not None
    ]
    return Markup(f"M{'L'.join(places)}")


def _by_importance(summary: Json, paths: list[str]) -> list[str]:
    shares = summary.get("importance") or {}
    return sorted(paths, key=lambda path: -shares.get(path, 0))


def importance(summary: Json) -> list[tuple[str, float, str]]:
    """Path, percent, and the percent in words, the largest first."""
    return [(path, 100 * share, show.share(share, 1)) for path, share in (summary.get("importance") or {}).items()]


def slices(summary: Json) -> list[Slice]:
    trials, paths = scored(summary), list(summary.get("space") or {})
    if len(trials) < 2:
        return []
    heights = [trial["objective"] for trial in trials]
    up = ticks(min(heights), max(heights), 3)
    found = []
    for path in _by_importance(summary, paths)[:SLICES]:
        scale, having = _scale(summary, path), [trial for trial in trials if path in trial["values"]]
        if not having:
            continue
        low, high = scale.ends
        found.append(
            Slice(
                path=path,
                dots=_dots([trial for trial in having if trial["number"] != summary.get("best")], path, scale, up),
                best=_dots([trial for trial in having if trial["number"] == summary.get("best")], path, scale, up),
                up=[(round(100 * (y - up[0]) / (up[-1] - up[0]), 2), show.value(y)) for y in up],
                across=[(0.0, low), (100.0, high)] if low != high else [(50.0, low)],
                told=_told(having, path, scale),
            )
        )
    return found


def _dots(trials: Sequence[Json], path: str, scale: Scale, up: Sequence[float]) -> Markup:
    return Markup("").join(
        Markup("M{:.1f} {:.1f}h0").format(
            WIDE * scale.at(trial["values"][path]) / 100,
            HIGH * (1 - (trial["objective"] - up[0]) / (up[-1] - up[0])),
        )
        for trial in trials
    )


def _told(trials: Sequence[Json], path: str, scale: Scale) -> str:
    if not scale.numeric or len(scale.values) <= 6:
        groups = {
            short(value): [t["objective"] for t in trials if t["values"][path] == value] for value in scale.values
        }
        means = [f"{name}: mean {show.value(sum(v) / len(v))} of {len(v)}" for name, v in groups.items() if v]
        return "; ".join(means) + "."
    return f"{show.plural(len(trials), 'trial')} from {scale.ends[0]} to {scale.ends[1]}."


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
            "seeds": [(show.digits(run["seed"]), show.value(run["figures"]["objective"])) for run in _seeded(trial)],
            "steps": trial.get("steps") or 0,
            "cpu": show.duration(trial.get("cpu_seconds")),
            "runs": [str(run["run"]) for run in trial.get("runs") or [] if run.get("run")],
            "message": show.one_line(str(trial.get("message") or ""), 400),
            "best": trial["number"] == summary.get("best") and not summary.get("claims"),
        }
        for trial in sorted(summary.get("trials") or [], key=order)[:ROWS_SHOWN]
    ]


def _seeded(trial: Json) -> list[Json]:
    runs = trial.get("runs") or []
    return [run for run in runs if "figures" in run and run.get("seed") is not None]


def claims(summary: Json) -> list[dict[str, Any]]:
    return [
        {
            **{name: one[name] for name in ("text", "better", "than", "metric", "step", "verdict")},
            "kind": VERDICTS[one["verdict"]],
            "by": show.value(one["by"]) if one["by"] else "",
            "mean": signed(one["mean"]),
            "interval": " to ".join(signed(end) for end in one["interval"]) if one["interval"] else "–",
            "lower": one["mode"] == "min",
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


def _rows(found: Json | None) -> str:
    if not found or not found.get("interval"):
        return "–"
    return f"{' to '.join(signed(end) for end in found['interval'])}"


def signed(value: Any) -> str:
    """`+0.012`, `−0.3`, `0`."""
    return "–" if value is None else f"{value:+.3g}".replace("-", "−") if value else "0"


def lines(summary: Json) -> list[str]:
    """What the command line prints."""
    told = [("trials" if not number else "", sentence) for number, sentence in enumerate(sentences(summary))]
    if told_cost := cost(summary):
        told.append(("cost", told_cost))
    if not summary.get("claims"):
        first = [row for row in rows(summary) if row["objective"] != "–"][:TRIALS_NAMED]
        told += [("" if number else "best", f"{row['objective']}  {_line_of(row)}") for number, row in enumerate(first)]
    for number, one in enumerate(claims(summary)):
        figures = f"{one['mean']} ({one['interval']}), {show.plural(len(one['seeds']), 'seed')}"
        told.append(("" if number else "claims", f"{one['verdict']:<9}{one['text']}: {figures}"))
    return [f"  {name:<12}{show.one_line(line, 400)}" for name, line in told]


def _line_of(row: Json) -> str:
    named = "" if row["name"].isdigit() else f"{row['name']}: "
    return f"{named}{', '.join(f'{path} {value}' for path, value in row['values']) or 'as it is'}"
