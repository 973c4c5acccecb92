"""From a sweep's journal to what people and tools read: summary, `trials.parquet`, `best.yaml`."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pairmill.runs.record import Run
from pairmill.spec.load import LoadedSpec, steps
from pairmill.spec.sweep import TRAININGS, SweepSpec
from pairmill.spec.trials import name_of, read
from pairmill.sweep import claims, figures, importance
from pairmill.sweep.journal import Journal
from pairmill.sweep.specs import text_of

TRIALS, BEST = "trials.parquet", "best.yaml"
Json = dict[str, Any]


def publish(job: Any, journal: Journal, ended: str | None, facts: Json) -> tuple[Json, dict[str, str]]:
    """Write the summary; return it, and what run.json must name for readers to see it."""
    summary = summarise(job, journal, ended, facts)
    return summary, job.run_.publish({"files": {}}, summary)


def summarise(job: Any, journal: Journal, ended: str | None, facts: Json) -> Json:
    """What the page shows and the command line prints, as plain JSON."""
    spec: SweepSpec = job.spec
    trials = [trial_of(job, journal, entry) for entry in journal.all("suggestion") if journal.outcome(entry["number"])]
    best = best_of(trials, spec.objective.best)
    document = job.loaded.document
    return {
        **job.summary(facts),
        "objective": {**spec.objective.model_dump(mode="json"), "mode": spec.objective.best},
        "search": "variants" if spec.variants else spec.search,
        "space": {
            path: {key: value for key, value in draw.items() if value is not None}
            for path, draw in job.loaded.public["space"].items()
        },
        "prune": spec.prune.model_dump(mode="json") if spec.prune else None,
        "trials": trials,
        "best": None if best is None else best["number"],
        "best_spec": None
        if best is None
        else text_of(document, spec, read(document, best["values"]), next(iter(spec.seeds), None)),
        "importance": importance.of(spec, [{**one, "values": read(document, one["values"])} for one in trials]),
        "cost": figures.together(cost for trial in trials for cost in _unshared(trial, trials)),
        "spent": ended,
        "claims": [
            claims.verdict(spec, claim, number, trials, job.storage) for number, claim in enumerate(spec.claims)
        ],
        "expectations": [],
    }


def trial_of(job: Any, journal: Journal, suggestion: Json) -> Json:
    """A trial that is over: what it was, what became of it and what it took."""
    spec: SweepSpec = job.spec
    number = suggestion["number"]
    outcome = journal.outcome(number) or {}
    last, reports = outcome["result"], journal.of(number, "report")
    trainings = {run: figures.cost(Run(job.storage, run)) for run in _trainings(spec, last.get("runs") or [])}
    return {
        "number": number,
        "name": name_of(spec, number),
        "values": suggestion["values"],
        "state": outcome["state"],
        "objective": last.get("objective"),
        "held_out": last.get("held_out"),
        "message": last.get("message"),
        "runs": last.get("runs") or [],
        "reports": [[report["step"], report["held_out"]] for report in reports],
        "trainings": trainings,
        "steps": sum(cost["steps"] for cost in trainings.values()),
        "cpu_seconds": round(sum(cost["cpu_seconds"] for cost in trainings.values()), 3),
        "ended": outcome["seconds"],
    }


def _trainings(spec: SweepSpec, runs: list[Json]) -> Iterator[str]:
    """The runs of a trial that trained."""
    kinds = {step["name"]: step["spec"].get("kind") for step in spec.trial.get("steps", [])} if _steps(spec) else {}
    for run in runs:
        parts = [part for name, part in (run.get("parts") or {}).items() if kinds.get(name) in TRAININGS]
        yield from dict.fromkeys([*parts, *([run["training"]] if run.get("training") else [])])


def _steps(spec: SweepSpec) -> bool:
    return spec.trial.get("kind") == "pipeline"


def _unshared(trial: Json, trials: list[Json]) -> Iterator[Json]:
    """The costs of the trainings that no trial before it had as well."""
    before = {run for other in trials if other["number"] < trial["number"] for run in other["trainings"]}
    yield from (cost for run, cost in trial["trainings"].items() if run not in before)


def best_of(trials: list[Json], mode: str) -> Json | None:
    """The first of the best among those that are done."""
    done = [trial for trial in trials if trial["state"] == "done" and trial["objective"] is not None]
    sign = 1 if mode == "max" else -1
    return max(done, key=lambda trial: sign * trial["objective"], default=None)


def runs(journal: Journal) -> list[str]:
    """The runs of the trials that are over, and of their steps: the sweep's parents."""
    found = [run for entry in journal.all("outcome") for run in entry["result"].get("runs") or []]
    named = [name for run in found for name in (run["run"], run.get("training"), *(run.get("parts") or {}).values())]
    return list(dict.fromkeys(name for name in named if name))


def gpu_seconds(job: Any, journal: Journal) -> float:
    """What the trainings of the trials that are over took of GPUs, those that were found done as well."""
    entries = [journal.of(entry["number"], "suggestion")[0] for entry in journal.all("outcome")]
    trials = [trial_of(job, journal, entry) for entry in entries]
    total = figures.together(cost for trial in trials for cost in _unshared(trial, trials))
    return float(gpus(job.trial) * total.get("seconds", 0.0))


def gpus(trial: LoadedSpec) -> float:
    """What a training of the trial reserves; of several the most."""
    parts = [part.spec for _, part in steps(trial)] or [trial.spec]
    return max(
        (one.resources.workers * one.resources.gpus_per_worker for one in parts if one.kind in TRAININGS), default=0
    )


def line(spec: SweepSpec, journal: Journal, outcome: Json) -> str:
    """A trial in a line."""
    number, last = outcome["number"], outcome["result"]
    values = ", ".join(f"{path} {_short(value)}" for path, value in journal.values(number).items()) or "as it is"
    if outcome["state"] == "done":
        told = f"{last['objective']:.4f}"
    elif outcome["state"] == "pruned":
        told = f"stopped at step {last.get('step')}, {last.get('held_out'):.4f}"
    else:
        told = f"failed: {last.get('message')}"
    name = f" ({name_of(spec, number)})" if spec.variants else ""
    return f"trial {number}{name}: {values}: {told}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)[:60]


def show(run: Run, summary: Json) -> None:
    """Write the table and the best spec."""
    run.storage.put(run.path(TRIALS), parquet(summary["trials"]))
    if summary["best_spec"] is not None:
        head = f"# Trial {summary['best']} of {run.id}: its values in the spec of the sweep's trials.\n"
        run.storage.put(run.path(BEST), (head + summary["best_spec"]).encode())


def parquet(trials: list[Json]) -> bytes:
    """All trials, a row each; values are JSON, as a path may have values of several types."""
    schema = pa.schema(
        [
            ("number", pa.int64()),
            ("name", pa.string()),
            ("values", pa.map_(pa.string(), pa.string())),
            ("state", pa.string()),
            ("objective", pa.float64()),
            ("held_out", pa.float64()),
            ("seeds", pa.list_(pa.struct([("seed", pa.int64()), ("run", pa.string()), ("objective", pa.float64())]))),
            ("reports", pa.list_(pa.struct([("step", pa.int64()), ("held_out", pa.float64())]))),
            ("runs", pa.list_(pa.string())),
            ("steps", pa.int64()),
            ("cpu_seconds", pa.float64()),
            ("message", pa.string()),
        ]
    )
    rows = [_row(trial) for trial in trials]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    return sink.getvalue()


def _row(trial: Json) -> Json:
    names = ("number", "name", "state", "objective", "held_out", "steps", "cpu_seconds", "message")
    seeds = [
        {"seed": run["seed"], "run": run["run"], "objective": (run.get("figures") or {}).get("objective")}
        for run in trial["runs"]
    ]
    return {
        **{name: trial[name] for name in names},
        "values": [(path, json.dumps(value, ensure_ascii=False)) for path, value in trial["values"].items()],
        "seeds": seeds,
        "reports": [{"step": step, "held_out": value} for step, value in trial["reports"]],
        "runs": [run["run"] for run in trial["runs"] if run["run"]],
    }
