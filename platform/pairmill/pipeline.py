"""The pipeline: one job after the other, each a run of its own; what is done already is not done again.

A pipeline has a run too, for its record and its page. It decides nothing: every step finds out by itself whether its
run is done, and goes on where it was interrupted.
"""

from __future__ import annotations

import time
from typing import Any

from pairmill import __version__
from pairmill.errors import PairmillError
from pairmill.jobs import run_job
from pairmill.report import pipeline_page
from pairmill.runs import engine
from pairmill.runs.job import Outcome, Say
from pairmill.runs.record import Run, now
from pairmill.runs.storage import open_storage
from pairmill.runs.units import digest
from pairmill.spec.load import LoadedSpec, check
from pairmill.spec.pipeline import meaning, step_document


def run_pipeline(
    loaded: LoadedSpec, storage_uri: str, address: str | None, fresh: bool, command: str, say: Say
) -> Outcome:
    """Run the steps in order. Raises what the step that fails raises; those before it stay done."""
    storage = open_storage(storage_uri)
    storage.check()
    run = Run(storage, f"{loaded.spec.name}-{digest(meaning(loaded.public['steps']), 12)}")
    say(f"pipeline {run.id} in {storage.uri}")
    storage.put(run.path("spec.yaml"), loaded.yaml().encode())
    record = _Record(run, loaded, command)
    facts: dict[str, Any] = {}
    runs: dict[str, str] = {}
    try:
        facts = engine.start(address, loaded.spec.resources.cpus)
        for number, step in enumerate(loaded.spec.steps):
            say(f"step {number + 1} of {len(loaded.spec.steps)}: {step.name}")
            part = check(step_document(loaded.document, number, runs))
            started = time.monotonic()
            outcome = run_job(part, storage_uri, address, fresh, command, say)
            runs[step.name] = outcome.run.id
            record.add(step.name, part.spec.kind, outcome, time.monotonic() - started)
        return record.done()
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt)
        record.write("stopped" if stopped else "failed", error=str(error) or type(error).__name__)
        raise
    finally:
        engine.stop(facts)


class _Record:
    """run.json, summary and page of a pipeline, as far as it has come."""

    def __init__(self, run: Run, loaded: LoadedSpec, command: str):
        self.run, self.loaded, self.command = run, loaded, command
        self.started, self.clock = now(), time.monotonic()
        self.steps: list[dict[str, Any]] = []
        self.expectations: list[dict[str, Any]] = []
        self.write("running")

    def add(self, name: str, kind: str, outcome: Outcome, seconds: float) -> None:
        facts = {"name": name, "kind": kind, "run": outcome.run.id, "state": "done", "reused": outcome.already_done}
        self.steps.append({**facts, "seconds": round(seconds, 1), "summary": outcome.summary})
        self.expectations += outcome.summary["expectations"]
        self.write("running")

    def done(self) -> Outcome:
        return Outcome(self.run, {**self.write("done"), "expectations": self.expectations})

    def write(self, state: str, **facts: Any) -> dict[str, Any]:
        seconds = round(time.monotonic() - self.clock, 1)
        about = {"id": self.run.id, "name": self.loaded.spec.name, "kind": "pipeline", "state": state}
        times = {"started": self.started, "updated": now(), "seconds": seconds, **facts}
        if state == "done":
            times["finished"] = times["updated"]
        summary = {
            "run": {**about, **times, "storage": self.run.storage.uri, "versions": {"pairmill": __version__}},
            "spec": self.loaded.yaml(),
            "command": self.command,
            "planned": [step.name for step in self.loaded.spec.steps],
            "steps": self.steps,
            "expectations": self.expectations,
        }
        places = {"summary": "summary.json", "parents": [step["run"] for step in self.steps], "inputs": []}
        try:
            self.run.storage.put_json(self.run.path("summary.json"), summary)
            self.run.storage.put(self.run.path("report.html"), pipeline_page.render(summary).encode("utf-8", "replace"))
            self.run.write_record({**about, **times, **places})
        except PairmillError:
            if state not in ("failed", "stopped"):
                raise
        return summary
