"""A sweep over the tiny training job, and what tests ask of it."""

from __future__ import annotations

import io
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

import tiny_training
from pairmill.errors import SpecError
from pairmill.jobs import run_job
from pairmill.runs import browse
from pairmill.runs.job import Outcome
from pairmill.runs.record import Run, read_events
from pairmill.runs.storage import open_storage
from pairmill.spec.load import loads
from pairmill.sweep.job import JOURNAL
from pairmill.sweep.journal import Journal

Json = dict[str, Any]
NAME = "rates"
TRAINING = {"steps": 600, "evaluate": {"steps": 50}, "checkpoints": {"steps": None, "minutes": None}}


def spec(folder: Path, **keys: Any) -> Json:
    """A sweep whose trials train the tiny model on rows of `folder`; a rate of 1e30 gives a loss that is no number."""
    if not (folder / "rows.parquet").exists():
        tiny_training.write_inputs(folder)
    trial = yaml.safe_load(tiny_training.SPEC.format(folder=folder)) | TRAINING
    del trial["resources"]["cpus"]
    trial["optimizer"] = {"lr": 1e-3, "schedule": "constant", "warmup": 0, "clip": None}
    common = {"kind": "sweep", "name": NAME, "trial": trial, "objective": {"held_out": "cosine"}}
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


def summary_of(storage: Path | str, name: str = NAME) -> Json:
    return browse.find(str(storage), name).summary()


def journal(storage: Path | str, name: str = NAME) -> list[Json]:
    """What the sweep of this name has decided until now."""
    with suppress(SpecError):
        return Journal(browse.find(str(storage), name).units(JOURNAL)).entries
    return []


def training(storage: Path | str, ended: int, name: str = NAME) -> bool:
    """Whether so many trials have ended, and another one has begun to train."""
    entries = journal(storage, name)
    over = {entry["number"] for entry in entries if entry["event"] == "outcome"}
    begun = {entry["number"] for entry in entries if entry["event"] == "report"}
    return len(over) >= ended and bool(begun - over)


def ended_runs(storage: Path | str, name: str = NAME) -> dict[str, int]:
    """How often each run of a trial that has ended was worked on."""
    ended = [entry["result"].get("runs") or [] for entry in journal(storage, name) if entry["event"] == "outcome"]
    counted = attempts(storage)
    return {run["run"]: counted[run["run"]] for runs in ended for run in runs if run["run"]}


def told(summary: Json) -> list[Json]:
    """What must be equal of a sweep that was interrupted and one that was not."""
    names = ("number", "values", "state", "objective", "held_out", "reports")
    return [{name: trial[name] for name in names} for trial in summary["trials"]]
