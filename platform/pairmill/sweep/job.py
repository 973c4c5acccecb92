"""The sweep job: trials by Ray Tune, each an ordinary run (or one for each seed) in the same storage.

    suggest -> run -> report -> (stop | go on) -> outcome, all of it in the journal -> result

Trials share stages with each other, and with all runs of the storage, by the keys that stages have anyway.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from pairmill.errors import PairmillError, SpecError
from pairmill.jobs import job_of, libraries_of
from pairmill.report import sweep_page
from pairmill.runs import engine
from pairmill.runs.job import Job, Outcome, Say
from pairmill.runs.record import Run
from pairmill.runs.storage import Storage
from pairmill.spec.load import LoadedSpec, steps
from pairmill.spec.pipeline import UNMEANT, meaning
from pairmill.spec.sweep import SweepSpec
from pairmill.sweep import reads, result, room
from pairmill.sweep.journal import Journal

VERSIONS = {"sweep": 1}
JOURNAL = "journal"
_VARIABLE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)")
#: What a submitted job's driver is told of its job, so that the drivers of trials have its working directory as well.
_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"


class Sweep(Job):
    """One attempt at a sweep."""

    kind = "sweep"
    spec: SweepSpec

    def __init__(self, loaded: LoadedSpec, storage: Storage, command: str, say: Say):
        super().__init__(loaded, storage, command, say)
        ((_, self.trial),) = steps(loaded)
        if self.spec.budget.gpu_hours is not None and not result.gpus(self.trial):
            raise SpecError(
                f"{loaded.document.where(('budget',))}: budget.gpu_hours: no training of the trial reserves a GPU, so "
                "none would be counted. Set its resources.gpus_per_worker, or budget.hours."
            )
        self.read = [part.meaning() for part in _jobs(self.trial, storage, command, say)] + reads.of(loaded)
        self.parents: list[str] = []

    def meaning(self) -> dict[str, Any]:
        return {"spec": self.spec_meaning(), "read": self.read, "versions": VERSIONS}

    def spec_meaning(self) -> dict[str, Any]:
        spec = self.spec.model_dump(mode="json", exclude={"name", "resources", "concurrency"})
        trial = {key: value for key, value in self.spec.trial.items() if key not in UNMEANT}
        if "steps" in trial and trial["kind"] == "pipeline":
            trial["steps"] = meaning(trial["steps"])
        return {**spec, "trial": trial, "order": [list(self.spec.space), list(self.spec.variants)]}

    def facts(self) -> dict[str, Any]:
        return {"versions": {"stages": VERSIONS}, "parents": self.parents, "inputs": []}

    def show(self, run: Run, summary: dict[str, Any]) -> None:
        result.show(run, summary)
        super().show(run, summary)

    def page(self, summary: dict[str, Any]) -> str:
        return sweep_page.render(summary)

    def stages(self, resources: engine.Resources, facts: dict[str, Any]) -> Outcome:
        room.check(self.spec, self.trial)
        with libraries_of(self.kind):
            from pairmill.sweep.search import RETRIES, Replaying
            from pairmill.sweep.tuning import fit
        journal = Journal(self.run_.units(JOURNAL))
        self.parents = result.runs(journal)
        told = (lambda: self._spent(journal), lambda one: self._tell(journal, one), self.say)
        for _ in range(1 + RETRIES):
            searcher = Replaying(self.loaded, journal, *told)
            fit(self.spec, searcher, self._work(), lambda: self.lease.lost, self.say)
            self.check_lease()
            if searcher.stopping:
                raise KeyboardInterrupt
            if not searcher.again:
                break
        journal.check()
        summary, published = result.publish(self, journal, searcher.ended, facts)
        if summary["best"] is None:
            why = (
                f"no trial was done. {result.line(self.spec, journal, journal.all('outcome')[0])}. Mend the spec, or "
                "run with --fresh where the spec was not at fault."
            )
            summary["run"] |= {"state": "failed", "error": why}
            self.show(self.run_, summary)
            raise PairmillError(why)
        return self.finish(summary, {**published, "cluster": facts})

    def _tell(self, journal: Journal, outcome: dict[str, Any]) -> None:
        """Say and record what became of a trial."""
        self.say(result.line(self.spec, journal, outcome))
        self.events.add("trial", number=outcome["number"], state=outcome["state"])
        self.parents = result.runs(journal)
        self.record("running", {})

    def _spent(self, journal: Journal) -> str | None:
        """The budget that is spent."""
        budget = self.spec.budget
        if budget.hours is not None and journal.seconds >= 3600 * budget.hours:
            return "budget.hours"
        if budget.gpu_hours is not None and result.gpu_seconds(self, journal) >= 3600 * budget.gpu_hours:
            return "budget.gpu_hours"
        return None

    def _work(self) -> dict[str, Any]:
        """What the actors of trials are told; the values of variables go this way, as Tune writes down all others."""
        import ray

        names = {name for text in self.loaded.document.references.values() for name in _VARIABLE.findall(text)}
        return {
            "storage": self.storage.uri,
            "journal": self.run_.units(JOURNAL).prefix,
            "document": self.loaded.document,
            "address": ray.get_runtime_context().gcs_address,
            "folder": engine.directory(),
            "environment": {name: os.environ[name] for name in sorted({*names, _JOB_CONFIG}) if name in os.environ},
        }


def _jobs(trial: LoadedSpec, storage: Storage, command: str, say: Say) -> Iterator[Job]:
    """The trial's jobs that read no other job's run, so that what they read is part of the sweep's identity."""
    if trial.spec.kind != "pipeline":
        yield job_of(trial)(trial, storage, command, say)
        return
    for (_, part), step in zip(steps(trial), trial.document.data["steps"], strict=True):
        if "${steps." not in str(step["spec"]):
            yield job_of(part)(part, storage, command, say)
