"""A curate job on a run: its kept rows are selected again, by the scores they have and by those of mine runs.

    [duplicates] -> select (per kept file) -> ledger, report

Nothing is read but the run's kept rows and the score tables. The result is a curate run like any other: rows keep their
pair_id, source and origin, its ledger counts by the sources of the rows, and what the run kept is what comes in. So
score tables of the run, `dedup.against`, training and export work on it, and it may be selected from again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np

from pairmill.curate import against, derived_rules, derived_stages, result, select
from pairmill.curate.job import Curating
from pairmill.curate.samples import Samples
from pairmill.curate.sensitivity import job as sensitivity
from pairmill.curate.sensitivity import levers
from pairmill.curate.sensitivity.curves import curves
from pairmill.curate.statistics import Statistics
from pairmill.curate.thresholds import ActiveRule
from pairmill.errors import SpecError
from pairmill.pairs.kept import KeptRun, kept_files
from pairmill.pairs.ledger import Counts, ledger
from pairmill.pairs.scores import Column, ScoreTables
from pairmill.runs import engine
from pairmill.runs.job import Outcome, Say
from pairmill.runs.record import Run
from pairmill.runs.storage import Storage
from pairmill.runs.units import digest
from pairmill.spec.derived import DerivedSpec
from pairmill.spec.expect import REASONS
from pairmill.spec.load import LoadedSpec
from pairmill.spec.rules import RULES

VERSIONS = {"derived": derived_stages.VERSION, "select": select.VERSION}


class Derived(Curating):
    """One attempt at selecting from a run."""

    spec: DerivedSpec

    def __init__(self, loaded: LoadedSpec, storage: Storage, command: str, say: Say):
        super().__init__(loaded, storage, command, say)
        given = self.spec.inputs[0]
        self.parent = kept_files(storage.uri, given.run)
        self.tables = [_table(storage.uri, name, self.parent) for name in given.scores]
        place = Run(self.parent.storage, self.parent.id).path(f"manifests/{self.parent.generation}.json")
        self.published = self.parent.storage.get_json(place)
        self.columns, self.sources = _columns(self.published, self.parent, self.tables)
        self._check()

    def _check(self) -> None:
        if not self.parent.files:
            raise SpecError(f"inputs[0].run: run {self.parent.id} kept no rows: there is nothing to select from.")
        with self.parent.storage.open_parquet(self.parent.files[0].path) as file:
            derived_rules.check(self.spec, self.parent.id, file.schema_arrow.names, self.columns)
        reasons = (*RULES, *REASONS, *self.columns, derived_rules.NO_SCORE.name, derived_stages.REASON)
        for path, problem in self.spec.expect.problems(self.parent.sources, reasons):
            raise SpecError(f"{'.'.join(path)}: {problem}.")

    def meaning(self) -> dict[str, Any]:
        spec = {name: value for name, value in self.spec_meaning().items() if name != "inputs"}
        read = [[self.parent.id, self.parent.generation], *[[table.run, table.generation] for table in self.tables]]
        return {"spec": spec, "missing": self.spec.inputs[0].missing, "read": read, "versions": VERSIONS}

    def facts(self) -> dict[str, Any]:
        return {
            "versions": {"stages": VERSIONS},
            "parents": [self.parent.id, *[table.run for table in self.tables]],
            "inputs": self._inputs(),
            "licences": self.parent.licences,
        }

    def stages(self, resources: engine.Resources, facts: dict[str, Any]) -> Outcome:
        run = self.run_
        self.base |= {
            "parent": {"storage": self.parent.storage.uri},
            "tables": [[table.storage.uri, table.run, table.generation] for table in self.tables],
            "columns": [asdict(column) for column in self.columns.values()],
            "sources": self.sources,
        }
        decided = self._duplicates(resources) if self.spec.semantic_duplicates == "drop" else None
        prefix = run.units(select.STAGE).prefix
        told = {"decided": decided, "prefix": prefix, "rows": sum(self.parent.sources.values())}
        items = [{"key": file["key"], "file": file, **told} for file in self._files()]
        self.stage(select.STAGE, derived_stages.select_file, items, resources)
        units = run.units(select.STAGE)
        return self._finish([{**file, **(units.get(file["key"]) or {})} for file in self._files()], resources, facts)

    def _files(self) -> list[dict[str, Any]]:
        """The run's kept files, with the part of its dedup_index that goes with each."""
        files = self.published["files"]
        index = files.get("dedup_index") or [None] * len(files["kept"])
        return [
            {
                "key": f"{number:06d}",
                "path": kept["path"],
                "shard": kept.get("shard"),
                "index": hashes and hashes["path"],
            }
            for number, (kept, hashes) in enumerate(zip(files["kept"], index, strict=True))
        ]

    def _duplicates(self, resources: engine.Resources) -> str:
        """Decide on semantic duplicates; returns the file of those that go."""
        units = self.run_.units("duplicates")
        item = {"key": "duplicates", "files": self._files(), "prefix": units.prefix}
        self.stage("duplicates", derived_stages.find_duplicates, [item], resources)
        file: str = (units.get("duplicates") or {})["file"]
        return file

    def _inputs(self) -> list[dict[str, Any]]:
        """One row per source of the run's rows."""
        about = {"format": "run", "path": self.parent.id, "files": len(self.parent.files), "bytes": 0}
        about["fingerprint"] = digest([self.parent.id, self.parent.generation])
        licences = self.parent.licences
        return [
            {"name": name, **about, "licence": licences.get(name), "language": None} for name in self.parent.sources
        ]

    def _finish(self, done: list[dict[str, Any]], resources: engine.Resources, facts: dict[str, Any]) -> Outcome:
        run = self.run_
        counts = {name: Counts(rows, rows, rows) for name, rows in self.parent.sources.items()}
        by_pair: dict[tuple[str, str, str], Counter[str]] = {}
        samples, statistics = Samples(self.spec.report.samples_per_reason), Statistics(self._scored(), 0)
        for unit in done:
            result.add_languages(by_pair, unit["languages"])
            samples.merge(run.storage.get_json(unit["samples"]) or {})
            statistics.merge(run.storage, unit["statistics"])
        for (source, *_), reasons in by_pair.items():
            kept = reasons["kept"]
            counts[source].add(Counts(kept=kept, rejected=Counter({r: n for r, n in reasons.items() if r != "kept"})))
        balance = ledger(counts)
        used = {select.STAGE: result.used([unit["record"] for unit in done])}
        summary = self.summary(facts)
        summary["run"]["resources"] = used
        summary |= {
            "ledger": balance,
            "inputs": self._inputs(),
            **result.language_rows(by_pair),
            **statistics.summary(self._score_facts()),
            **self._sensitivity(done, statistics, by_pair, resources),
            "rules": self._rules(balance["total"]["rejected"]),
            "samples": self._with_partners(samples.rows()),
        }
        summary["expectations"] = self.expectations(summary)
        manifest = {
            "files": _entries(done),
            "columns": self.base["columns"],
            "dedup_index": self.published.get("dedup_index"),
        }
        kept = balance["total"]["kept"]
        places = run.publish(manifest, summary)
        return self.finish(summary, {**places, "cluster": facts, "resources_used": used, "kept": kept})

    def _scored(self) -> list[str]:
        """The columns of the run's rows that are scores."""
        with self.parent.storage.open_parquet(self.parent.files[0].path) as file:
            return derived_stages.score_columns(
                derived_stages.kept_schema(file.schema_arrow, self.columns), self.columns
            )

    def _score_facts(self) -> dict[str, dict[str, Any]]:
        """What the report says of each of them."""
        facts = result.score_facts(RULES.values())
        facts |= {
            name: {"rule": name, "direction": column.direction, "describe": column.describe}
            for name, column in self.columns.items()
        }
        return {name: facts[name] for name in self._scored() if name in facts}

    def _sensitivity(
        self,
        done: list[dict[str, Any]],
        statistics: Statistics,
        by_pair: dict[tuple[str, str, str], Counter[str]],
        resources: engine.Resources,
    ) -> dict[str, Any]:
        """The summary's `sensitivity`; none where semantic duplicates are dropped."""
        if not self.spec.report.sensitivity or self.spec.semantic_duplicates == "drop":
            return {}

        def rules(moved: levers.Moved | None) -> list[ActiveRule]:
            return derived_rules.active(self.spec, self.columns, self.sources, moved)

        found, shared = sensitivity.planned(rules, statistics, result.by_languages(by_pair))
        if not found:
            return {}
        files = {unit["key"]: unit["files"] for unit in done}
        passing = sensitivity.count(self.stage, derived_stages.count_rows, self.run_, files, shared, resources)
        kept, none = sum(unit["kept"] for unit in done), np.zeros_like(passing)
        known = sensitivity.every(shared)
        return {"sensitivity": curves(found, shared["points"], shared["pairs"], passing, none, known, kept)}

    def _rules(self, rejected: dict[str, int]) -> list[dict[str, Any]]:
        active = derived_rules.active(self.spec, self.columns, self.sources)
        return [result.rule_row(rule, rejected) for rule in active]

    def _with_partners(self, samples: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
        """The samples; a semantic duplicate's with the text of the row that stayed in its stead."""
        for row in samples.get(derived_stages.REASON, []):
            partner = against.row_of(self.parent.storage, self.published["files"]["kept"], row["duplicate_of"])
            if partner:
                row["duplicate_text"] = f"{partner['anchor'][:2000]}\n{partner['positive'][:2000]}"
        return samples


def _table(storage_uri: str, name: str, kept: KeptRun) -> ScoreTables:
    """The score tables of a mine run. Raises SpecError where they are of other rows than `kept`."""
    table = ScoreTables.open(storage_uri, name)
    if table.of != kept.id:
        raise SpecError(
            f"inputs[0].scores: run {table.run} scored the rows of run {table.of}, not those of {kept.id}. "
            f"Select from {table.of}, with all scores in one job, or mine {kept.id}."
        )
    if table.of_generation != kept.generation:
        raise SpecError(
            f"inputs[0].scores: run {table.run} scored generation {table.of_generation} of run {kept.id}, which was "
            f"computed anew since (--fresh; now {kept.generation}). Run the mine job again."
        )
    return table


def _columns(
    published: dict[str, Any], kept: KeptRun, tables: list[ScoreTables]
) -> tuple[dict[str, Column], dict[str, str]]:
    """All score columns, and the run each comes from; those of the tables replace those that the kept rows have.

    Raises SpecError where two tables have the same column.
    """
    columns = {given["name"]: Column(**given) for given in published.get("columns", [])}
    sources = dict.fromkeys(columns, f"run {kept.id}")
    scored: dict[str, str] = {}
    for table in tables:
        for column in table.columns:
            if column.name in scored:
                raise SpecError(
                    f"inputs[0].scores: runs {scored[column.name]} and {table.run} both have the column {column.name}. "
                    "Name one of them."
                )
            scored[column.name] = table.run
            columns[column.name], sources[column.name] = column, f"run {table.run}"
    return columns, sources


def _entries(done: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The files of the run, by part."""
    entries: dict[str, list[dict[str, Any]]] = {}
    for unit in done:
        rows = {"kept": unit["kept"], "dedup_index": unit["kept"], "rejected": unit["rows"] - unit["kept"]}
        for part, path in unit["files"].items():
            entries.setdefault(part, []).append({"path": path, "rows": rows[part], "shard": unit["shard"]})
    return entries
