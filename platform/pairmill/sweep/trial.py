"""A trial: an actor of Ray Tune that runs its runs as processes, one after the other, and reports what they evaluate.

1. The values of trial `number` are in the journal. With seeds the trial is a run for each; the first is the one whose
   evaluations in training the scheduler sees.
2. `step` returns at each such evaluation, at the end, and now and then (a heartbeat, so that the actor hears a stop).
   The evaluation at the last step comes with the end: a training that is over is not worth stopping.
3. A trial that the scheduler stops has its process save a checkpoint and end; its run is then `stopped`.
4. What the journal has of a trial that ended before is reported again, and nothing is run: so the scheduler learns what
   it knew before the sweep was interrupted.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ray import tune

from pairmill.errors import PairmillError, StorageError
from pairmill.runs.record import Run
from pairmill.runs.storage import open_storage
from pairmill.runs.units import Units
from pairmill.spec.sweep import SweepSpec
from pairmill.spec.trials import name_of, read
from pairmill.sweep import figures
from pairmill.sweep.journal import Journal
from pairmill.sweep.process import Process
from pairmill.sweep.specs import text_of

POLL_SECONDS, HEARTBEAT_SECONDS = 0.5, 5.0
Json = dict[str, Any]


class Interrupted(Exception):
    """A run's process ended by no fault of its own: Tune starts the trial again, and the run resumes."""


class Trial(tune.Trainable):
    """`config`: `number`. `work`: `storage`, `journal` (prefix), `document` (of the sweep), `address`, `folder`,
    `environment`."""

    def setup(self, config: Json, work: Json) -> None:  # type: ignore[override]
        self.work = work
        self.spec = SweepSpec.model_validate(work["document"].data)
        self.storage = open_storage(work["storage"])
        self.process: Process | None = None
        self._begin(config)

    def reset_config(self, new_config: Json) -> bool:
        self.cleanup()
        self._begin(new_config)
        return True

    def _begin(self, config: Json) -> None:
        self.number = int(config["number"])
        journal = Journal(Units(self.storage, self.work["journal"]))
        self.values = read(self.work["document"], journal.values(self.number))
        self.runs: list[Json] = []
        outcome = journal.outcome(self.number)
        self.results = self._again(journal, outcome) if outcome else self._run()

    def step(self) -> Json:
        try:
            return next(self.results)
        except (Interrupted, StorageError):  # Tune starts the trial again
            self.cleanup()
            raise
        except Exception as error:  # such as an evaluation that has not the figure
            self.cleanup()
            message = str(error) if isinstance(error, PairmillError) else repr(error)
            return {"state": "failed", "message": message, "runs": self.runs, "done": True}

    def cleanup(self) -> None:
        if self.process is not None:
            self.process.end()

    def _again(self, journal: Journal, outcome: Json) -> Iterator[Json]:
        for report in journal.of(self.number, "report"):
            yield {name: report[name] for name in ("step", "held_out")}  # stopped at the last one, if it was
        yield {**outcome["result"], "done": True}

    def _run(self) -> Iterator[Json]:
        """Reports of the first run; the last result has `state`, `objective`, `runs` and, if it failed, `message`."""
        seeds: list[int | None] = [*self.spec.seeds]
        for seed in seeds or [None]:
            first = not self.runs
            for report in self._run_seed(seed):
                yield {**(report if first else {}), "runs": [dict(run) for run in self.runs]}
            if "message" in self.runs[-1] and not self.spec.variants:  # a claim tells how many seeds it has
                break
        yield {**self.runs[0].get("seen", {}), **_result(self.runs), "done": True}

    def _run_seed(self, seed: int | None) -> Iterator[Json]:
        """Evaluations of a run as they come; adds to `runs` what became of it: {seed, run, training, ...}."""
        about: Json = {"seed": seed, "run": None, "training": None}
        self.runs.append(about)
        with tempfile.TemporaryDirectory(prefix="pairmill-trial-") as folder:
            spec = Path(folder) / f"trial-{self.number}.yaml"
            spec.write_text(text_of(self.work["document"], self.spec, self.values, seed), "utf-8")
            where = (self.work["storage"], self.work["address"], self.work["folder"], self.work["environment"])
            self.process = Process(str(spec), *where)
            yield from self._follow(self.process, about)
        about |= self._ended(self.process, about)

    def _follow(self, process: Process, about: Json) -> Iterator[Json]:
        """Evaluations and heartbeats until the process has ended; the last evaluation is kept back."""
        objective, told = self.spec.objective, time.monotonic()
        number = figures.training_number(self.spec.trial, objective)
        offset = 1 if self.spec.trial.get("kind") == "pipeline" else 0
        evaluations: figures.Evaluations | None = None
        while True:
            over = process.ended and process.code is not None
            begun = list(process.runs)
            about["run"] = begun[0] if begun else None
            if number is not None and evaluations is None and len(begun) > number + offset:
                about["training"] = begun[number + offset]
                evaluations = figures.Evaluations(Run(self.storage, about["training"]))
            for one in evaluations.new() if evaluations else []:
                if objective.held_out is None:
                    continue
                about["seen"] = {"step": one["step"], "held_out": figures.held_out(one["groups"], objective.held_out)}
                if one["step"] < one["of"]:
                    yield about["seen"]
                    told = time.monotonic()
            if over:
                return
            if time.monotonic() - told > HEARTBEAT_SECONDS:
                yield {}
                told = time.monotonic()
            time.sleep(POLL_SECONDS)

    def _ended(self, process: Process, about: Json) -> Json:
        """The figures of a run that is done, or the message of one that failed. Raises Interrupted."""
        record = Run(self.storage, about["run"]).record() if about["run"] else None
        state = (record or {}).get("state")
        if process.code not in (0, 3):
            if process.code < 0 or state in ("running", "stopped"):
                raise Interrupted(f"run {about['run']} ended with code {process.code}: {process.message}")
            return {"message": str((record or {}).get("error") or process.message)}
        summary = Run(self.storage, about["run"]).summary()
        wanted = {"objective": self.spec.objective}
        name = name_of(self.spec, self.number)
        concerned = {n: claim for n, claim in enumerate(self.spec.claims) if name in (claim.better, claim.than)}
        wanted |= {f"claim {n}": self.spec.objective_of(claim) for n, claim in concerned.items()}
        try:
            found = {n: figures.objective_of(self.spec.trial, one, summary) for n, one in wanted.items()}
        except PairmillError as error:
            return {"message": str(error)}
        wrong = [name for name, value in found.items() if not math.isfinite(value)]
        if wrong:
            return {"message": f"{wrong[0]} is {found[wrong[0]]}"}
        return {"figures": found, "parts": figures.parts_of(summary)}


def _result(runs: list[Json]) -> Mapping[str, Any]:
    """What became of the trial: failed where a run failed, else the mean of its runs."""
    failed = next((run for run in runs if "message" in run), None)
    if failed is not None:
        return {"state": "failed", "message": failed["message"], "runs": runs}
    return {"state": "done", "objective": figures.mean([run["figures"]["objective"] for run in runs]), "runs": runs}
