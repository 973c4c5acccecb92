"""A sweep over the tiny training job, and what tests ask of it."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

import tiny_training
from pairmill.jobs import run_job
from pairmill.runs.job import Outcome
from pairmill.runs.record import Run, read_events
from pairmill.runs.storage import open_storage
from pairmill.spec.load import loads
from pairmill.sweep.journal import Journal

Json = dict[str, Any]
TRAINING = {"steps": 600, "evaluate": {"steps": 50}, "checkpoints": {"steps": None, "minutes": None}}


def spec(folder: Path, **keys: Any) -> Json:
    """A sweep whose trials train the tiny model on rows of `folder`; a rate of 1e30 gives a loss that is no number."""
    if not (folder / "rows.parquet").exists():
        tiny_training.write_inputs(folder)
    trial = yaml.safe_load(tiny_training.SPEC.format(folder=folder)) | TRAINING
    del trial["resources"]["cpus"]
    trial["optimizer"] = {"lr": 1e-3, "schedule": "constant", "warmup": 0, "clip": None}
    common = {"kind": "sweep", "name": "rates", "trial": trial, "objective": {"held_out": "cosine"}}
    return {**common, "resources": {"cpus": 2}, **keys}


def run(given: Json, storage: Path, said: list[str] | None = None) -> Outcome:
    """Do it in the Ray of this process."""
    say = (lambda line: None) if said is None else said.append
    return run_job(
        loads(yaml.safe_dump(given), "sweep.yaml"), str(storage), None, False, "pairmill run sweep.yaml", say
    )


def table(outcome: Outcome) -> list[Json]:
    """trials.parquet."""
    data = outcome.run.storage.get(outcome.run.path("trials.parquet"))
    rows: list[Json] = pq.read_table(io.BytesIO(data)).to_pylist()
    return rows


def attempts(storage: Path | str) -> Counter[str]:
    """How often each run below a storage was worked on."""
    opened = open_storage(str(storage))
    runs = [Run(opened, name) for name in opened.directories("runs")]
    return Counter({run.id: sum(event["event"] == "started" for event in read_events(run)) for run in runs})


def journal(storage: Path | str) -> list[Json]:
    """What the one sweep below a storage has decided until now."""
    opened = open_storage(str(storage))
    for name in opened.directories("runs"):
        run = Run(opened, name)
        if (run.record() or {}).get("kind") == "sweep":
            return Journal(run.units("journal")).entries
    return []


def over(storage: Path | str) -> set[str]:
    """The runs of trials that have ended."""
    ended = [entry["result"].get("runs") or [] for entry in journal(storage) if entry["event"] == "outcome"]
    return {run["run"] for runs in ended for run in runs if run["run"]}


def told(summary: Json) -> list[Json]:
    """What must be equal of a sweep that was interrupted and one that was not."""
    names = ("number", "values", "state", "objective", "held_out", "reports")
    return [{name: trial[name] for name in names} for trial in summary["trials"]]
