"""A job: from a checked spec to a finished run, whatever its kind.

`start` finds out what the job means, and so its run; prints the result of a finished run; waits while another driver
works on it; else takes the lease and does the stages. A kind of job is a subclass of `Job` that says what it means and
does its stages; every stage is a set of committed units, so a job can be killed anywhere and started again.
"""

from __future__ import annotations

import platform as host
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pairmill import __version__
from pairmill.errors import PairmillError
from pairmill.runs import engine, metrics, uses
from pairmill.runs.lease import Lease
from pairmill.runs.progress import Progress
from pairmill.runs.record import Events, Run, now
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import digest
from pairmill.spec.load import LoadedSpec

WAIT_SECONDS = 2.0
Say = Callable[[str], None]


@dataclass
class Outcome:
    """What the command line needs to know of a run."""

    run: Run
    summary: dict[str, Any]
    already_done: bool = False

    @property
    def exit_code(self) -> int:
        return 0 if all(item["holds"] for item in self.summary["expectations"]) else 3


class Job(ABC):
    """One attempt at a run, by this process."""

    kind: ClassVar[str]

    def __init__(self, loaded: LoadedSpec, storage: Storage, command: str, say: Say):
        """Find the inputs. Raises what is wrong with them: nothing has started yet."""
        self.loaded, self.spec, self.storage, self.command, self.say = loaded, loaded.spec, storage, command, say
        self.started, self.clock = now(), time.monotonic()
        self.run_: Run
        self.lease: Lease
        self.events: Events
        #: What every unit of every stage is given.
        self.base: dict[str, Any] = {"storage": storage.uri, "spec": loaded.spec.model_dump(mode="json")}

    @abstractmethod
    def meaning(self) -> dict[str, Any]:
        """Spec, inputs, versions: what the run's id is a digest of. Not resources, not the report."""

    @abstractmethod
    def stages(self, resources: engine.Resources, facts: dict[str, Any]) -> Outcome:
        """Do the work; the last thing is `finish`."""

    def facts(self) -> dict[str, Any]:
        """What run.json holds beside the usual: `versions`, `parents`, `inputs`, `licences`."""
        return {}

    def expectations(self, summary: dict[str, Any]) -> list[dict[str, Any]]:
        """What `expect:` asks, and whether it holds."""
        return []

    @abstractmethod
    def page(self, summary: dict[str, Any]) -> str:
        """The run's report.html."""

    def show(self, run: Run, summary: dict[str, Any]) -> None:
        """Write what people read of the finished generation."""
        run.storage.put(run.path("spec.yaml"), summary["spec"].encode())
        run.storage.put(run.path("report.html"), self.page(summary).encode("utf-8", "replace"))

    def is_shown(self, run: Run, summary: dict[str, Any]) -> bool:
        """Whether all of that is there: a driver may have died between finishing the run and showing it."""
        return run.storage.modified(run.path("report.html")) is not None

    def summary(self, facts: dict[str, Any]) -> dict[str, Any]:
        """What the summary of every kind of run begins with; `facts` are the cluster's."""
        run = self.run_
        return {
            "run": {
                "id": run.id,
                "name": self.spec.name,
                "kind": self.kind,
                "state": "done",
                "started": self.started,
                "finished": now(),
                "seconds": self.seconds(),
                "storage": run.storage.uri,
                "versions": {"pairmill": __version__, "ray": facts["ray"]},
            },
            "spec": self.loaded.yaml(),
            "command": self.command,
        }

    @property
    def id(self) -> str:
        return f"{self.spec.name}-{digest(self.meaning(), 12)}"

    def spec_meaning(self) -> dict[str, Any]:
        """The part of the spec that determines the result."""
        return self.spec.model_dump(mode="json", exclude={"name", "resources", "report", "expect", "checkpoints"})

    def attempt(self, run: Run, lease: Lease, address: str | None, fresh: bool) -> Outcome:
        """Do the stages in Ray, with a record of what became of it."""
        uses.begin_run(self.storage, run.id, run.attempt)
        self.run_, self.lease, self.events = run, lease, Events(run)
        self.base |= {"attempt": run.attempt, "run": run.id}
        run.begin(fresh)
        if run.manifest() is None:
            self.storage.put(run.path("spec.yaml"), self.loaded.yaml().encode())
        self.events.add("started", version=__version__, generation=run.generation, command=self.command)
        facts: dict[str, Any] = {}
        try:
            self.record("running", {})
            facts = engine.start(address, self.spec.resources.cpus)
            resources = engine.Resources(self.spec.resources.cpus_per_task, self.spec.resources.memory_per_task)
            engine.check(resources)
            self.events.add("ray", **facts)
            return self.stages(resources, facts)
        except KeyboardInterrupt:
            self.events.add("stopped")
            if not self.lease.lost:
                self.record("stopped", {"error": "stopped by the user"})
            raise
        except BaseException as error:
            self.events.add("failed", error=str(error))
            if not self.lease.lost:
                self.record("failed", {"error": str(error) if isinstance(error, PairmillError) else repr(error)})
            raise
        finally:
            self._flush()
            engine.stop(facts)

    def stage(
        self, name: str, work: engine.WorkFunction, items: list[dict[str, Any]], resources: engine.Resources
    ) -> list[dict[str, Any]]:
        """Do a stage's units; return what they returned."""
        engine.check(resources)
        results = []
        sizes = {item["shard"]["index"]: item["shard"]["text_size"] for item in items if "shard" in item}
        self.events.add("stage started", stage=name, units=len(items))
        with Progress(name, len(items), sum(sizes.values())) as progress:
            for done in engine.run_units(work, [{**self.base, **item} for item in items], resources):
                results.append(done)
                size = sizes.get(done.get("index", -1), 0)
                progress.add(done["rows"], size, done["reused"])
                metrics.unit_done(self.kind, name, done, size)
                self.events.add(
                    "unit reused" if done["reused"] else "unit committed",
                    stage=name,
                    unit=done.get("index", done.get("key")),
                    rows=done["rows"],
                )
                self.check_lease()
        crowded = sum(done.get("unresolved", 0) for done in results)
        sums = {key: sum(done.get(key, 0) for done in results) for key in ("rows", "bytes")}
        sums["cpu_seconds"] = round(sum(done.get("cpu_seconds", 0) for done in results), 3)
        self.events.add("stage done", stage=name, **sums, **({"unresolved": crowded} if crowded else {}))
        return results

    def check_lease(self) -> None:
        if self.lease.lost:
            raise PairmillError(
                "another driver took over this run (this one was silent too long): leaving it to that one."
            )

    def seconds(self) -> float:
        return round(time.monotonic() - self.clock, 1)

    def finish(self, summary: dict[str, Any], facts: dict[str, Any]) -> Outcome:
        """Record that the run is done, and show it; `facts` for run.json: where manifest and summary are, cluster."""
        times = {key: summary["run"][key] for key in ("finished", "seconds")}
        self.events.add("done", seconds=times["seconds"])
        self._flush()
        self.record("done", {**times, **facts})
        self.show(self.run_, summary)
        return Outcome(self.run_, summary)

    def record(self, state: str, facts: dict[str, Any]) -> None:
        """Write run.json; a finished generation stays the one readers see until a fresh one is done."""
        before = self.run_.record() or {}
        if before.get("state") == "done" and state != "done":
            return
        extra = self.facts()
        record = {
            "id": self.run_.id,
            "kind": self.kind,
            "name": self.spec.name,
            "state": state,
            "generation": self.run_.generation,
            "attempt": self.run_.attempt,
            "created": before.get("created", self.started),
            "started": self.started,
            "updated": now(),
            "seconds": self.seconds(),
            **extra,
            "versions": {"pairmill": __version__, "python": host.python_version(), **extra.get("versions", {})},
            **facts,
        }
        try:
            self.run_.write_record(record)
        except PairmillError:
            if state not in ("failed", "stopped"):
                raise

    def _flush(self) -> None:
        try:
            self.events.flush()
        except PairmillError as error:
            self.say(str(error))


def start(
    kind: type[Job], loaded: LoadedSpec, storage_uri: str, address: str | None, fresh: bool, command: str, say: Say
) -> Outcome:
    """Run the job, resume it, wait for whoever is running it, or find it done."""
    storage = open_storage(storage_uri)
    storage.check()
    uses.begin_unnamed()
    job = kind(loaded, storage, command, say)
    run = Run(storage, job.id)
    say(f"run {run.id} in {storage.uri}")
    lease = Lease(storage, run.path("lease"), run.attempt)
    outcome = _finished(job, run, fresh) or _wait(job, run, lease, fresh)
    try:
        outcome = outcome or job.attempt(run, lease, address, fresh)
    finally:
        _release(lease, say)
        uses.begin("")
    outcome.summary["expectations"] = job.expectations(outcome.summary)
    return outcome


def _release(lease: Lease, say: Say) -> None:
    try:
        lease.release()
    except PairmillError as error:
        say(f"the lease could not be given back ({error}); it ends by itself")


def _finished(job: Job, run: Run, fresh: bool) -> Outcome | None:
    record = run.record()
    if fresh or record is None or record["state"] != "done":
        return None
    summary = run.storage.get_json(run.path(record["summary"]))
    if summary is None:
        return None
    if not job.is_shown(run, summary):
        job.show(run, summary)
    return Outcome(run, summary, already_done=True)


def _wait(job: Job, run: Run, lease: Lease, fresh: bool) -> Outcome | None:
    """Take the lease; while another driver holds it, wait for its result."""
    waiting = False
    while (holder := lease.acquire()) is not None:
        if not waiting:
            job.say(f"another driver (host {holder['host']}, process {holder['pid']}) is working on this run: waiting")
            waiting = True
        time.sleep(WAIT_SECONDS)
        if outcome := _finished(job, run, fresh):
            return outcome
    return _finished(job, run, fresh)
