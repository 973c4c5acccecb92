"""The curate job: from a checked spec to a finished run.

    plan -> [boilerplate] -> annotate (per shard) -> [decontaminate] -> groups, decide (one task, or many:
    `distributed`) -> select (per shard) -> ledger, report

Every arrow is a set of committed units, so the job can be killed anywhere and started again. The run id is a digest of
what the job means; a run that is done is not done twice.
"""

from __future__ import annotations

import platform as host
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pairmill import __version__
from pairmill.curate import (
    against,
    annotate,
    boilerplate,
    boilerplate_stages,
    decide,
    exclude,
    groups,
    language,
    result,
    select,
    shards,
)
from pairmill.curate.decontamination import index as evaluation_index
from pairmill.curate.decontamination import stages as decontamination
from pairmill.curate.dedup import buckets, resolve
from pairmill.curate.dedup import groups as kernels_groups
from pairmill.curate.distributed import layout
from pairmill.curate.distributed.job import Distributed
from pairmill.errors import PairmillError
from pairmill.pairs import sources
from pairmill.runs import engine
from pairmill.runs.lease import Lease
from pairmill.runs.progress import Progress
from pairmill.runs.record import Events, Run, now
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import digest
from pairmill.spec.decontaminate import Decontaminate
from pairmill.spec.load import LoadedSpec

WAIT_SECONDS = 2.0
VERSIONS = {
    "annotate": annotate.VERSION,
    "groups": [groups.VERSION, kernels_groups.VERSION, buckets.VERSION],
    "decide": [decide.VERSION, resolve.VERSION],
    "select": select.VERSION,
    "exclude": exclude.VERSION,
    "decontaminate": decontamination.VERSION,
    "boilerplate": boilerplate.VERSION,
}


@dataclass
class Outcome:
    """What the command line needs to know of a run."""

    run: Run
    summary: dict[str, Any]
    already_done: bool = False

    @property
    def exit_code(self) -> int:
        return 0 if all(item["holds"] for item in self.summary["expectations"]) else 3


def run_id(loaded: LoadedSpec, found: dict[str, list[sources.SourceFile]], published: dict[str, Any]) -> str:
    """`<name>-<12 hex>` of what the job means: spec, inputs, versions and models; not resources or report.

    `published`: the digests of the opt-out lists, of the evaluation sets and of the earlier runs' indexes.
    """
    spec = loaded.spec.model_dump(mode="json", exclude={"name", "resources", "report", "expect"})
    inputs = {name: [[list(file.uris), file.fingerprint] for file in files] for name, files in found.items()}
    each = [annotate.meaning(loaded.spec, spec_input) for spec_input in loaded.spec.inputs]
    meaning = {"spec": spec, "inputs": inputs, "versions": VERSIONS, "annotate": each, **published}
    return f"{loaded.spec.name}-{digest(meaning, 12)}"


def run_curate(
    loaded: LoadedSpec, storage_uri: str, address: str | None, fresh: bool, command: str, say: Callable[[str], None]
) -> Outcome:
    """Run the job, resume it, wait for whoever is running it, or find it done."""
    storage = open_storage(storage_uri)
    storage.check()
    found = {spec_input.name: sources.find(spec_input) for spec_input in loaded.spec.inputs}
    published = {
        "exclude": exclude.publish(storage.uri, loaded.spec.exclude, say),
        "against": against.publish(storage, against.shards(storage.uri, loaded.spec)),
        "evaluation": evaluation_index.publish(storage.uri, loaded.spec, say),
    }
    run = Run(storage, run_id(loaded, found, published))
    say(f"run {run.id} in {storage.uri}")
    lease = Lease(storage, run.path("lease"), run.attempt)
    outcome = _finished(run, fresh) or _wait(run, lease, fresh, say)
    try:
        outcome = outcome or _Job(loaded, run, lease, found, published, command, say).run(address, fresh)
    finally:
        _release(lease, say)
    outcome.summary["expectations"] = result.expectations(loaded.spec, outcome.summary["ledger"]["total"])
    return outcome


def _release(lease: Lease, say: Callable[[str], None]) -> None:
    try:
        lease.release()
    except PairmillError as error:
        say(f"the lease could not be given back ({error}); it ends by itself")


def _finished(run: Run, fresh: bool) -> Outcome | None:
    record = run.record()
    if fresh or record is None or record["state"] != "done":
        return None
    summary = run.storage.get_json(run.path(record["summary"]))
    if summary is None:
        return None
    if run.storage.get_json(run.path("ledger.json")) != summary["ledger"]:
        result.show(run, summary)  # a driver died between finishing the run and this
    return Outcome(run, summary, already_done=True)


def _wait(run: Run, lease: Lease, fresh: bool, say: Callable[[str], None]) -> Outcome | None:
    """Take the lease; while another driver holds it, wait for its result."""
    waiting = False
    while (holder := lease.acquire()) is not None:
        if not waiting:
            say(f"another driver (host {holder['host']}, process {holder['pid']}) is working on this run: waiting")
            waiting = True
        time.sleep(WAIT_SECONDS)
        if outcome := _finished(run, fresh):
            return outcome
    return _finished(run, fresh)


class _Job:
    """One attempt at a run, by the driver that holds its lease."""

    def __init__(
        self,
        loaded: LoadedSpec,
        run: Run,
        lease: Lease,
        found: dict[str, list[sources.SourceFile]],
        published: dict[str, Any],
        command: str,
        say: Callable[[str], None],
    ):
        self.spec, self.loaded, self.run_, self.lease = loaded.spec, loaded, run, lease
        self.found, self.command, self.say = found, command, say
        self.storage: Storage = run.storage
        self.events = Events(run)
        self.started, self.clock = now(), time.monotonic()
        self.base = {
            "storage": run.storage.uri,
            "spec": loaded.spec.model_dump(mode="json"),
            "attempt": run.attempt,
            "run": run.id,
            **published,
        }

    def run(self, address: str | None, fresh: bool) -> Outcome:
        run = self.run_
        run.begin(fresh)
        if run.manifest() is None:
            self.storage.put(run.path("spec.yaml"), self.loaded.yaml().encode())
        self.events.add("started", version=__version__, generation=run.generation, command=self.command)
        facts: dict[str, Any] = {}
        try:
            self._record("running", {})
            facts = engine.start(address, self.spec.resources.cpus)
            resources = engine.Resources(self.spec.resources.cpus_per_task, self.spec.resources.memory_per_task)
            engine.check(resources)
            self.events.add("ray", **facts)
            return self._stages(resources, facts)
        except KeyboardInterrupt:
            self._record("stopped", {"error": "stopped by the user"})
            raise
        except BaseException as error:
            self.events.add("failed", error=str(error))
            if not self.lease.lost:
                self._record("failed", {"error": str(error) if isinstance(error, PairmillError) else repr(error)})
            raise
        finally:
            self._flush()
            engine.stop(facts)

    def _flush(self) -> None:
        try:
            self.events.flush()
        except PairmillError as error:
            self.say(str(error))

    def _record(self, state: str, facts: dict[str, Any]) -> None:
        """Write run.json; a finished generation stays the one readers see until a fresh one is done."""
        before = self.run_.record() or {}
        if before.get("state") == "done" and state != "done":
            return
        record = {
            "id": self.run_.id,
            "kind": "curate",
            "name": self.spec.name,
            "state": state,
            "generation": self.run_.generation,
            "attempt": self.run_.attempt,
            "created": before.get("created", self.started),
            "started": self.started,
            "updated": now(),
            "seconds": round(time.monotonic() - self.clock, 1),
            "versions": {
                "pairmill": __version__,
                "python": host.python_version(),
                "stages": VERSIONS,
                "language": language.identity(self.spec.language.engine),
            },
            "parents": self.spec.dedup.against,
            "inputs": result.input_facts(self.loaded, self.found),
            "licences": {i["name"]: i["licence"] for i in self.loaded.public["inputs"] if i["licence"]},
            **facts,
        }
        try:
            self.run_.write_record(record)
        except PairmillError:
            if state not in ("failed", "stopped"):
                raise

    def _stages(self, resources: engine.Resources, facts: dict[str, Any]) -> Outcome:
        run, spec = self.run_, self.spec
        plan = self._plan()
        if spec.clean.boilerplate:
            self._boilerplate(plan, resources)
        for shard in plan:
            shard["key"] = annotate.shard_key(spec, shard, run.salt)
        annotated = self._stage(
            "annotate", annotate.annotate_shard, [{"shard": s, "key": s["key"]} for s in plan], resources
        )
        if spec.decontaminate:
            self._decontaminate(plan, spec.decontaminate, resources)
        decided = self._dedup(plan, annotated, resources) if spec.dedup.exact or spec.dedup.near else {}
        items = [
            {"shard": shard, "decided": decided.get(shard["index"]), "prefix": run.units("select").prefix}
            for shard in plan
        ]
        self._stage("select", select.select_shard, items, resources)
        return self._finish(plan, facts)

    def _plan(self) -> list[dict[str, Any]]:
        units = self.run_.units("plan")
        committed = units.get("shards")
        if committed is None:
            planned = shards.plan(self.spec.inputs, self.found, self.spec.resources.shard_size)
            committed = units.commit("shards", {"shards": planned, "shard_size": self.spec.resources.shard_size})
        return committed["shards"]

    def _dedup(
        self, plan: list[dict[str, Any]], annotated: list[dict[str, Any]], resources: engine.Resources
    ) -> dict[int, dict[str, Any]]:
        """Find and resolve duplicates; return for each shard where its decisions are."""
        spec, prefix = self.spec, self.run_.units("decide").prefix
        rows = {done["index"]: done["rows"] for done in annotated}
        earlier = against.load(self.storage, self.base["against"])
        named = [*earlier, *({"index": shard["index"], "key": shard["key"]} for shard in plan)]
        rows.update((shard["index"], shard["rows"]) for shard in earlier)
        group_key = groups.key(spec, named)
        count, text = sum(rows.values()), sum(shard["text_size"] for shard in plan)
        alone, whole = self._alone(groups.memory(spec, count), resources), None
        if alone:
            (found,) = self._stage("groups", groups.find_groups, [{"shards": named, "key": group_key}], alone)
            whole = group_key
            alone = self._alone(decide.memory(spec, found["rows"], text // max(count, 1)), resources)
        if alone:
            decided = {"prefix": prefix, "key": "decisions"}
            self._stage("decide", decide.decide, [{"shards": named, "groups": group_key, **decided}], alone)
            return {shard["index"]: decided for shard in plan}
        chosen = layout.plan(spec, [(shard["index"], rows[shard["index"]]) for shard in named], text)
        self.events.add("dedup layout", ranges=len(chosen.ranges), partitions=chosen.partitions, spill=chosen.spill)
        stages = Distributed(self.storage, self._stage, chosen, named, group_key, prefix, resources)
        if not whole:
            stages.find_groups(spec.resources.components, engine.largest_memory() // 2)
        return {index: decided for decided in stages.decide(whole) for index in decided["shards"]}

    def _alone(self, memory: int, resources: engine.Resources) -> engine.Resources | None:
        """The resources of a single task of deduplication; None where it is to be many, or no node has the memory."""
        path, alone = self.spec.resources.dedup, engine.Resources(resources.cpus, max(resources.memory, memory))
        return alone if path == "single" or (path == "auto" and engine.fits(alone)) else None

    def _decontaminate(self, plan: list[dict[str, Any]], spec: Decontaminate, resources: engine.Resources) -> None:
        """Find the rows that hold texts of evaluation sets; later units are told of them, unless they only flag."""
        index = self.base["evaluation"]
        items = [{"shard": s, "index": index, "key": decontamination.scan_key(spec, s["key"], index)} for s in plan]
        self._stage("decontaminate: scan", decontamination.scan_shard, items, resources)
        shards = [{"index": item["shard"]["index"], "key": item["key"]} for item in items]
        merged = {"prefix": self.run_.units(decontamination.STAGE).prefix, "key": decontamination.MERGED}
        item = {"shards": shards, "index": index, **merged}
        self._stage("decontaminate: merge", decontamination.merge, [item], resources)
        self.base["contaminated"] = merged if spec.action == "reject" else None

    def _boilerplate(self, plan: list[dict[str, Any]], resources: engine.Resources) -> None:
        """Find the sites' boilerplate; give each shard the file with its sites' lines, under `boilerplate`."""
        keys = [boilerplate_stages.counts_key(self.spec, shard, self.run_.salt) for shard in plan]
        items = [{"shard": shard, "counts": key} for shard, key in zip(plan, keys, strict=True)]
        counted = self._stage("boilerplate: count", boilerplate_stages.count_shard, items, resources)
        parts = boilerplate_stages.parts(sum(done["rows"] for done in counted))
        shared: dict[str, Any] = {"merge": boilerplate_stages.merge_key(self.spec, keys, parts), "parts": parts}
        merges = [{**shared, "part": part, "counts": keys} for part in range(parts)]
        self._stage("boilerplate: merge", boilerplate_stages.merge_part, merges, resources)
        items = [{**shared, **item} for item in items]
        for done in self._stage("boilerplate: lines", boilerplate_stages.lines_of, items, resources):
            plan[done["index"]]["boilerplate"] = {"file": done["file"], "digest": done["digest"]}

    def _stage(
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
                progress.add(done["rows"], sizes.get(done.get("index", -1), 0), done["reused"])
                self.events.add(
                    "unit reused" if done["reused"] else "unit committed",
                    stage=name,
                    unit=done.get("index", done.get("key")),
                    rows=done["rows"],
                )
                if self.lease.lost:
                    raise PairmillError(
                        "another driver took over this run (this one was silent too long): leaving it to that one."
                    )
        crowded = sum(done.get("unresolved", 0) for done in results)
        self.events.add("stage done", stage=name, **({"unresolved": crowded} if crowded else {}))
        return results

    def _finish(self, plan: list[dict[str, Any]], facts: dict[str, Any]) -> Outcome:
        run = self.run_
        seconds = round(time.monotonic() - self.clock, 1)
        collected = result.collect(self.storage, run, self.spec, plan)
        summary = result.summary(
            collected,
            run,
            self.loaded,
            self.found,
            {
                "started": self.started,
                "finished": now(),
                "seconds": seconds,
                "command": self.command,
                "cluster": facts,
                "models": {"language": language.identity(self.spec.language.engine)},
            },
        )
        places = result.publish(self.storage, run, self.spec, collected, summary)
        self.events.add("done", kept=summary["ledger"]["total"]["kept"], seconds=seconds)
        self._flush()
        self._record(
            "done",
            {
                **places,
                "finished": summary["run"]["finished"],
                "seconds": seconds,
                "resources_used": collected.resources,
                "cluster": facts,
                "kept": summary["ledger"]["total"]["kept"],
            },
        )
        result.show(run, summary)
        return Outcome(run, summary)
