"""The drawings of a sweep's page. The summary's shape: `sweep_view.py`.

A trial that was stopped early stands at what was held out when it was, where that is the objective.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from pairmill.report import show
from pairmill.report import sweep_view as view
from pairmill.report.plot import HIGH, WIDE, Plot, plot, ticks

Json = Mapping[str, Any]
AXES, SLICES = 8, 24


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
        return (view.short(self.values[0]), view.short(self.values[-1])) if self.values else ("", "")

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
    early: bool  # whether some were stopped
    more: int


@dataclass(frozen=True)
class Slice:
    """The objective by the values of one path."""

    path: str
    early: Markup  # of trials that were stopped
    dots: Markup
    best: Markup
    up: list[tuple[float, str]]
    across: list[tuple[float, str]]
    told: str


def stopped(summary: Json) -> list[Json]:
    """The trials that were stopped early, with what was held out then as their objective; none where it is another."""
    if not (summary.get("objective") or {}).get("held_out"):
        return []
    pruned = [trial for trial in summary.get("trials") or [] if trial["state"] == "pruned"]
    return [
        {**trial, "objective": trial["held_out"]}
        for trial in pruned
        if isinstance(trial.get("held_out"), (int, float)) and math.isfinite(trial["held_out"])
    ]


def course(summary: Json) -> Plot | None:
    """The best objective so far, by the number of the trial."""
    found: list[tuple[float, float]] = []
    up = (summary.get("objective") or {}).get("mode") != "min"
    for trial in sorted(view.scored(summary), key=lambda trial: float(trial.get("ended") or 0)):
        top = trial["objective"] if not found else (max if up else min)(found[-1][1], trial["objective"])
        found.append((len(found) + 1, top))
    if len(found) < 2 or not summary.get("space"):
        return None
    return plot("Best so far", view.objective(summary), {"best so far": found})


def curves(summary: Json) -> Plot | None:
    """What the trainings evaluated: of the best trial and of others, by step."""
    told = {trial["name"]: [tuple(one) for one in trial.get("reports") or []] for trial in summary.get("trials") or []}
    first = view.best(summary)
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
    """The trials that have an objective or were stopped; None for fewer than two, or nothing drawn."""
    trials, early, paths = view.scored(summary), stopped(summary), list(summary.get("space") or {})
    if len(trials) + len(early) < 2 or not paths:
        return None
    paths = _by_importance(summary, paths)
    scales = {path: _scale(summary, path) for path in paths[:AXES]}
    last = Scale(tuple(sorted(trial["objective"] for trial in [*early, *trials])))
    names = [*scales, "objective"]
    across = [round(100 * number / (len(names) - 1), 2) for number in range(len(names))]
    axes = [
        (left, name, *scale.ends) for left, name, scale in zip(across, names, [*scales.values(), last], strict=True)
    ]
    worst_first = sorted(
        trials, key=lambda t: t["objective"], reverse=(summary.get("objective") or {}).get("mode") == "min"
    )
    kinds = [f"q{4 * rank // len(trials)}" for rank in range(len(trials) - 1)] + ["best"]
    drawn = [*((trial, "early") for trial in early), *zip(worst_first, kinds, strict=False)]
    lines = []
    for trial, kind in drawn:
        places = [
            scale.at(trial["values"][path]) if path in trial["values"] else None for path, scale in scales.items()
        ]
        lines.append((_line(across, [*places, last.at(trial["objective"])]), kind))
    return Parallel(axes, lines, bool(early), max(0, len(paths) - AXES))


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
    trials, early, paths = view.scored(summary), stopped(summary), list(summary.get("space") or {})
    if len(trials) + len(early) < 2:
        return []
    heights = [trial["objective"] for trial in [*early, *trials]]
    up = ticks(min(heights), max(heights), 3)
    found = []
    for path in _by_importance(summary, paths)[:SLICES]:
        scale, having = _scale(summary, path), [trial for trial in trials if path in trial["values"]]
        less = [trial for trial in early if path in trial["values"]]
        if not having and not less:
            continue
        low, high = scale.ends
        found.append(
            Slice(
                path=path,
                early=_dots(less, path, scale, up),
                dots=_dots([trial for trial in having if trial["number"] != summary.get("best")], path, scale, up),
                best=_dots([trial for trial in having if trial["number"] == summary.get("best")], path, scale, up),
                up=[(round(100 * (y - up[0]) / (up[-1] - up[0]), 2), show.value(y)) for y in up],
                across=[(0.0, low), (100.0, high)] if low != high else [(50.0, low)],
                told=_told(having, less, path, scale),
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


def _told(trials: Sequence[Json], early: Sequence[Json], path: str, scale: Scale) -> str:
    if not scale.numeric or len(scale.values) <= 6:
        groups = {
            view.short(value): [t["objective"] for t in trials if t["values"][path] == value] for value in scale.values
        }
        means = [f"{name}: mean {show.value(sum(v) / len(v))} of {len(v)}" for name, v in groups.items() if v]
        return "; ".join(means) + "." if means else ""
    count = show.plural(len(trials), "trial") + (f" done, {len(early)} stopped," if early else "")
    return f"{count} from {scale.ends[0]} to {scale.ends[1]}."
