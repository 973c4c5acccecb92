"""The curate job: from a checked spec to a finished run.

    plan -> [boilerplate] -> annotate (per shard) -> [decontaminate] -> groups, decide (one task, or many:
    `distributed`) -> select (per shard) -> [sensitivity] -> ledger, report

Every arrow is a set of committed units, so the job can be killed anywhere and started again. The run id is a digest of
what the job means; a run that is done is not done twice.
"""

from __future__ import annotations

from typing import Any

from pairmill.curate import (
    against,
    annotate,
    boilerplate,
    boilerplate_stages,
    decide,
    exclude,
    expectations,
    groups,
    language,
    result,
    select,
)
from pairmill.curate.decontamination import index as evaluation_index
from pairmill.curate.decontamination import stages as decontamination
from pairmill.curate.dedup import buckets, resolve
from pairmill.curate.dedup import groups as kernels_groups
from pairmill.curate.distributed import layout
from pairmill.curate.distributed.job import Distributed
from pairmill.curate.sensitivity import job as sensitivity
from pairmill.curate.sensitivity.job import Grouped
from pairmill.pairs import shards, sources
from pairmill.report import curate_markdown, page
from pairmill.runs import engine
from pairmill.runs.job import Job, Outcome, Say, start
from pairmill.runs.record import Run, now
from pairmill.runs.storage import Storage
from pairmill.spec.curate import CurateSpec
from pairmill.spec.decontaminate import Decontaminate
from pairmill.spec.derived import DerivedSpec
from pairmill.spec.load import LoadedSpec

VERSIONS = {
    "annotate": annotate.VERSION,
    "groups": [groups.VERSION, kernels_groups.VERSION, buckets.VERSION],
    "decide": [decide.VERSION, resolve.VERSION],
    "select": select.VERSION,
    "exclude": exclude.VERSION,
    "decontaminate": decontamination.VERSION,
    "boilerplate": boilerplate.VERSION,
}


def run_curate(
    loaded: LoadedSpec, storage_uri: str, address: str | None, fresh: bool, command: str, say: Say
) -> Outcome:
    """Run the job, resume it, wait for whoever is running it, or find it done."""
    return start(Curate, loaded, storage_uri, address, fresh, command, say)


class Curating(Job):
    """What curate jobs on files and on runs have in common: what people read of the result."""

    kind = "curate"
    spec: CurateSpec | DerivedSpec

    def __init__(self, loaded: LoadedSpec, storage: Storage, command: str, say: Say):
        super().__init__(loaded, storage, command, say)
        self.earlier = expectations.earlier(storage.uri, self.spec.expect)

    def expectations(self, summary: dict[str, Any]) -> list[dict[str, Any]]:
        return expectations.check(self.spec.expect, summary, self.earlier)

    def page(self, summary: dict[str, Any]) -> str:
        return page.render(summary)

    def show(self, run: Run, summary: dict[str, Any]) -> None:
        """The ledger comes last and says that all of it is there: shown again where something else is expected now."""
        told = {**summary, "expectations": self.expectations(summary)}
        super().show(run, told)
        run.storage.put(run.path("report.md"), curate_markdown.render(told).encode("utf-8", "replace"))
        run.storage.put_json(run.path("summary.json"), told)
        run.storage.put_json(run.path("ledger.json"), self._ledger(summary))

    def is_shown(self, run: Run, summary: dict[str, Any]) -> bool:
        return bool(run.storage.get_json(run.path("ledger.json")) == self._ledger(summary))

    def _ledger(self, summary: dict[str, Any]) -> dict[str, Any]:
        expected = self.expectations(summary)
        return {**summary["ledger"], **({"expectations": expected} if expected else {})}


class Curate(Curating):
    """One attempt at a curate run."""

    spec: CurateSpec

    def __init__(self, loaded: LoadedSpec, storage: Storage, command: str, say: Say):
        super().__init__(loaded, storage, command, say)
        self.found = {spec_input.name: sources.find(spec_input) for spec_input in self.spec.inputs}
        #: The digests of the opt-out lists, of the earlier runs' indexes and of the evaluation sets.
        self.published = {
            "exclude": exclude.publish(storage.uri, self.spec.exclude, say),
            "against": against.publish(storage, against.shards(storage.uri, self.spec)),
            "evaluation": evaluation_index.publish(storage.uri, loaded.spec, say),
        }
        self.base |= self.published
        #: The groups of duplicates, once they are found.
        self.grouped: Grouped | None = None

    def meaning(self) -> dict[str, Any]:
        inputs = {name: [[list(file.uris), file.fingerprint] for file in files] for name, files in self.found.items()}
        each = [annotate.meaning(self.spec, spec_input) for spec_input in self.spec.inputs]
        found = {"spec": self.spec_meaning(), "inputs": inputs, "versions": VERSIONS, "annotate": each}
        return {**found, **self.published}

    def facts(self) -> dict[str, Any]:
        return {
            "versions": {"stages": VERSIONS, "language": language.identity(self.spec.language.engine)},
            "parents": self.spec.dedup.against,
            "inputs": result.input_facts(self.loaded, self.found),
            "licences": {i["name"]: i["licence"] for i in self.loaded.public["inputs"] if i["licence"]},
        }

    def stages(self, resources: engine.Resources, facts: dict[str, Any]) -> Outcome:
        run, spec = self.run_, self.spec
        plan = self._plan()
        if spec.clean.boilerplate:
            self._boilerplate(plan, resources)
        for shard in plan:
            shard["key"] = annotate.shard_key(spec, shard, run.salt)
        annotated = self.stage(
            "annotate", annotate.annotate_shard, [{"shard": s, "key": s["key"]} for s in plan], resources
        )
        if spec.decontaminate:
            self._decontaminate(plan, spec.decontaminate, resources)
        decided = self._dedup(plan, annotated, resources) if spec.dedup.exact or spec.dedup.near else {}
        told = {"prefix": run.units("select").prefix, "rows": sum(done["rows"] for done in annotated)}
        items = [{"shard": shard, "decided": decided.get(shard["index"]), **told} for shard in plan]
        self.stage("select", select.select_shard, items, resources)
        return self._finish(plan, resources, facts)

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
        self.grouped = Grouped(named, text // max(count, 1))
        if alone:
            (found,) = self.stage("groups", groups.find_groups, [{"shards": named, "key": group_key}], alone)
            whole = group_key
            self.grouped.keys, self.grouped.rows = {group_key: [shard["index"] for shard in named]}, found["rows"]
            alone = self._alone(decide.memory(spec, found["rows"], text // max(count, 1)), resources)
        if alone:
            decided = {"prefix": prefix, "key": "decisions"}
            self.stage("decide", decide.decide, [{"shards": named, "groups": group_key, **decided}], alone)
            self.grouped.decided = {shard["index"]: decided for shard in plan}
            return self.grouped.decided
        chosen = layout.plan(spec, [(shard["index"], rows[shard["index"]]) for shard in named], text)
        self.events.add("dedup layout", ranges=len(chosen.ranges), partitions=chosen.partitions, spill=chosen.spill)
        stages = Distributed(self.storage, self.stage, chosen, named, group_key, prefix, resources)
        if not whole:
            stages.find_groups(spec.resources.components, engine.largest_memory() // 2)
            self.grouped.keys, self.grouped.rows = stages.groups()
        decisions = stages.decide(whole)
        self.grouped.decided = {index: decided for decided in decisions for index in decided["shards"]}
        return self.grouped.decided

    def _alone(self, memory: int, resources: engine.Resources) -> engine.Resources | None:
        """The resources of a single task of deduplication; None where it is to be many, or no node has the memory."""
        path, alone = self.spec.resources.dedup, engine.Resources(resources.cpus, max(resources.memory, memory))
        return alone if path == "single" or (path == "auto" and engine.fits(alone)) else None

    def _decontaminate(self, plan: list[dict[str, Any]], spec: Decontaminate, resources: engine.Resources) -> None:
        """Find the rows that hold texts of evaluation sets; later units are told of them, unless they only flag."""
        index = self.base["evaluation"]
        items = [{"shard": s, "index": index, "key": decontamination.scan_key(spec, s["key"], index)} for s in plan]
        self.stage("decontaminate: scan", decontamination.scan_shard, items, resources)
        shards = [{"index": item["shard"]["index"], "key": item["key"]} for item in items]
        merged = {"prefix": self.run_.units(decontamination.STAGE).prefix, "key": decontamination.MERGED}
        item = {"shards": shards, "index": index, **merged}
        self.stage("decontaminate: merge", decontamination.merge, [item], resources)
        self.base["contaminated"] = merged if spec.action == "reject" else None

    def _boilerplate(self, plan: list[dict[str, Any]], resources: engine.Resources) -> None:
        """Find the sites' boilerplate; give each shard the file with its sites' lines, under `boilerplate`."""
        keys = [boilerplate_stages.counts_key(self.spec, shard, self.run_.salt) for shard in plan]
        items = [{"shard": shard, "counts": key} for shard, key in zip(plan, keys, strict=True)]
        counted = self.stage("boilerplate: count", boilerplate_stages.count_shard, items, resources)
        parts = boilerplate_stages.parts(sum(done["rows"] for done in counted))
        shared: dict[str, Any] = {"merge": boilerplate_stages.merge_key(self.spec, keys, parts), "parts": parts}
        merges = [{**shared, "part": part, "counts": keys} for part in range(parts)]
        self.stage("boilerplate: merge", boilerplate_stages.merge_part, merges, resources)
        items = [{**shared, **item} for item in items]
        for done in self.stage("boilerplate: lines", boilerplate_stages.lines_of, items, resources):
            plan[done["index"]]["boilerplate"] = {"file": done["file"], "digest": done["digest"]}

    def _finish(self, plan: list[dict[str, Any]], resources: engine.Resources, facts: dict[str, Any]) -> Outcome:
        run = self.run_
        collected = result.collect(self.storage, run, self.spec, plan)
        told = sensitivity.tell(self.stage, run, self.spec, plan, collected, self.grouped, resources)
        summary = result.summary(
            collected,
            run,
            self.loaded,
            self.found,
            {
                "started": self.started,
                "finished": now(),
                "seconds": self.seconds(),
                "command": self.command,
                "cluster": facts,
                "models": {"language": language.identity(self.spec.language.engine)},
            },
        )
        summary |= told
        summary["expectations"] = self.expectations(summary)
        places = result.publish(run, self.spec, collected, summary)
        kept = summary["ledger"]["total"]["kept"]
        return self.finish(summary, {**places, "cluster": facts, "resources_used": collected.resources, "kept": kept})
