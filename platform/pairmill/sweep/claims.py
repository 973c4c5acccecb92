"""Whether a claim held: one variant against another, paired by seed.

For each seed that both have, the difference of the metric in the direction that is better; their mean with the 95 %
interval of Student's t over the seeds (what another seed would give). `held`: the interval is above `by`; `not held`:
it is below; `open`: it holds `by`, or a run of a seed failed. Where the metric is a score of an evaluate run that
keeps its rows, each seed's difference has an interval over the rows as well (the paired bootstrap of `evaluate`).
Where the seeds change nothing, as of a map that has none, that one is the claim's.
"""

from __future__ import annotations

import math
from typing import Any

from scipy import stats

from pairmill.errors import SpecError
from pairmill.report.evaluate_view import by_width
from pairmill.runs.record import Run, newest
from pairmill.runs.storage import Storage
from pairmill.spec.sweep import Claim, SweepSpec
from pairmill.spec.trials import step_of

LEVEL = 0.95
DRAWS = 2000
Json = dict[str, Any]


def verdict(spec: SweepSpec, claim: Claim, number: int, trials: list[Json], storage: Storage) -> Json:
    """{text, better, than, metric, mode, by, seeds: [{seed, better, than, difference, rows}], asked: how many seeds,
    mean, interval, over: seeds or rows, verdict}."""
    objective = spec.objective_of(claim)
    sign = 1 if objective.best == "max" else -1
    one, other = (_by_seed(trials, name) for name in (claim.better, claim.than))
    seeds = []
    for seed, run in one.items():
        if seed not in other:
            continue
        values = [each["figures"][f"claim {number}"] for each in (run, other[seed])]
        told = {"seed": seed, "better": values[0], "than": values[1], "difference": sign * (values[0] - values[1])}
        seeds.append({**told, "rows": over_rows(spec, claim, other[seed], run, storage)})
    differences, over = [seed["difference"] for seed in seeds], "seeds"
    mean, interval = t_interval(differences)
    if len(differences) > 1 and len(set(differences)) == 1:
        over, interval = "rows", (seeds[0]["rows"] or {}).get("interval")
    return {
        **claim.model_dump(mode="json", include={"text", "better", "than", "by"}),
        "metric": objective.metric or f"held-out {objective.held_out}",
        "step": step_of(spec.trial, objective),
        "mode": objective.best,
        "seeds": seeds,
        "asked": len(spec.seeds),
        "mean": mean,
        "interval": interval,
        "over": over,
        "verdict": judged(interval, claim.by) if len(seeds) == len(spec.seeds) else "open",
    }


def _by_seed(trials: list[Json], name: str) -> dict[int, Json]:
    """The runs of a variant that are done, by seed."""
    found: list[Json] = next((trial["runs"] for trial in trials if trial["name"] == name), [])
    return {run["seed"]: run for run in found if "figures" in run}


def t_interval(values: list[float]) -> tuple[float | None, list[float] | None]:
    """Mean and its 95 % interval; None where there are too few values."""
    if not values:
        return None, None
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, None
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * deviation / math.sqrt(len(values))
    return mean, [mean - half, mean + half]


def judged(interval: list[float] | None, by: float) -> str:
    if interval is None:
        return "open"
    return "held" if interval[0] > by else "not held" if interval[1] < by else "open"


def over_rows(spec: SweepSpec, claim: Claim, one: Json, other: Json, storage: Storage) -> Json | None:
    """{difference, interval, p} of `other` against `one` over the rows of the metric's task; None where rows do not
    tell."""
    objective = spec.objective_of(claim)
    sign = 1 if objective.best == "max" else -1
    parts = (objective.metric or "").split(".")
    step = step_of(spec.trial, objective)
    if parts[0] != "tasks" or not parts[1:]:
        return None
    runs = [Run(storage, str((run.get("parts") or {}).get(step, run["run"]))) for run in (one, other)]
    if any((run.record() or {}).get("kind") != "evaluate" for run in runs):
        return None
    from pairmill.evaluate.compare import MEAN, compare

    for run in runs:
        run.generation = newest(run.record() or {})
    try:
        lines = compare(runs[0], runs[1], DRAWS)["lines"]
    except SpecError:
        return None
    named = [line for line in lines if ".".join(parts[1:]).startswith(f"{line['task']}.")]
    widths = by_width({"dims": dict.fromkeys(line["dims"] for line in named)})
    fitting = [line for line in named if parts[-1] in ("main_score", line["metric"]) and line["dims"] == widths[0][0]]
    subset = next((line for line in fitting if f".{line['subset']}." in objective.metric), None)  # type: ignore[operator]
    line = subset or next((line for line in fitting if line["subset"] == MEAN), fitting[0] if fitting else None)
    if line is None or line["interval"] is None:
        return None
    ends = [sign * end for end in line["interval"]]
    return {"difference": sign * line["difference"], "interval": sorted(ends), "p": line["p"]}
