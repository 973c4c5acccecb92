"""The mine job: from vectors of an embed run to score side-tables, or to a kept dataset."""

from __future__ import annotations

from typing import Any

from pairmill.embed.vectors import Vectors
from pairmill.errors import SpecError
from pairmill.mine import (
    bitext_stages,
    consistency_stages,
    group_stages,
    index,
    margin_stages,
    negative_stages,
    rerank_stages,
    sides,
    texts,
    work,
)
from pairmill.mine.scored import Made
from pairmill.mine.work import Work
from pairmill.model import places
from pairmill.pairs import scores, sources
from pairmill.pairs.kept import KeptRun, kept_files
from pairmill.report import mine_page
from pairmill.runs import engine
from pairmill.runs.job import Job, Outcome, Say
from pairmill.runs.record import Run
from pairmill.runs.storage import Storage
from pairmill.spec.load import LoadedSpec
from pairmill.spec.mine import Dev, MineSpec

STAGES = {
    "bitext": bitext_stages,
    "consistency": consistency_stages,
    "groups": group_stages,
    "margin": margin_stages,
    "negatives": negative_stages,
}
VERSIONS = {name: module.VERSION for name, module in STAGES.items()} | {"rerank": rerank_stages.VERSION}


class Mine(Job):
    """One attempt at a mine run."""

    kind = "mine"
    spec: MineSpec

    def __init__(self, loaded: LoadedSpec, storage: Storage, command: str, say: Say):
        super().__init__(loaded, storage, command, say)
        if self.spec.vectors:
            index.require()
        self.kept = _kept(storage.uri, self.spec.run)
        self.vectors = Vectors.open(storage.uri, self.spec.vectors) if self.spec.vectors else None
        self.parts = self._parts()
        self.models = self._models()

    def _parts(self) -> dict[str, list[dict[str, Any]]]:
        """The parts of the sides that the section reads. Raises SpecError for sets that are not there."""
        if self.vectors is None:
            return {}
        spec, vectors = self.spec, self.vectors
        if spec.bitext is not None:
            given = {"left": spec.bitext.left, "right": spec.bitext.right}
            return {name: sides.find(vectors, *sides.side_of(vectors, text)) for name, text in given.items()}
        assert self.kept is not None
        name = sides.set_of(vectors, self.kept.id, spec.set)
        self._check_generation(name)
        wanted = group_stages.sides_of(spec.groups) if spec.groups else ["anchor", "positive"]
        found = {side: sides.find(vectors, name, side, self._within()) for side in wanted}
        if spec.negatives and spec.negatives.corpus:
            found["corpus"] = sides.find(vectors, *sides.side_of(vectors, spec.negatives.corpus))
        return found

    def _check_generation(self, name: str) -> None:
        """Refuse vectors of rows that `--fresh` has replaced since. Raises SpecError."""
        assert self.kept is not None and self.vectors is not None
        known = {file.path for file in self.kept.files}
        if any(file["set"] == name and file["part"]["path"] not in known for file in self.vectors.listed):
            raise SpecError(
                f"vectors: run {self.vectors.id} embedded rows of run {self.kept.id} that were made anew since "
                "(--fresh). Run the embed job again, and name its new run."
            )

    def _within(self) -> str:
        if self.spec.groups:
            return group_stages.within(self.spec.groups)
        section = self.spec.margin or self.spec.negatives or self.spec.consistency
        assert section is not None
        return section.within

    def _models(self) -> dict[str, Any]:
        """What the cross-encoder holds, where there is one."""
        spec = self.spec
        given = spec.rerank or (spec.negatives.cross_encoder if spec.negatives else None)
        return {"cross_encoder": places.identity(given.model, self.storage.uri)} if given else {}

    def meaning(self) -> dict[str, Any]:
        vectors = self.vectors and [self.vectors.id, [file["path"] for file in self.vectors.listed]]
        kept = self.kept and [self.kept.id, self.kept.generation]
        section, common = self.spec.section, [work.VERSION, texts.VERSION]
        gold = self.spec.bitext.threshold if self.spec.bitext else None
        dev = [[list(f.uris), f.fingerprint] for f in sources.find(gold.dev)] if isinstance(gold, Dev) else None
        versions = {section: VERSIONS[section], "common": common}
        found = {"kept": kept, "vectors": vectors, "models": self.models, "dev": dev, "versions": versions}
        return {
            **found,
            "spec": {key: value for key, value in self.spec_meaning().items() if key not in ("run", "vectors")},
        }

    def facts(self) -> dict[str, Any]:
        runs = [("kept rows", self.kept.id)] if self.kept else []
        runs += [("vectors", self.vectors.id)] if self.vectors else []
        inputs = [{"name": name, "format": "run", "path": run, "files": 1, "bytes": 0} for name, run in runs]
        return {
            "versions": {"stages": {self.spec.section: VERSIONS[self.spec.section]}},
            "parents": [run for _, run in runs],
            "inputs": inputs,
            "models": self.models,
            "licences": self._licences(),
        }

    def _licences(self) -> dict[str, str]:
        """By source: those of the kept rows, or for pairs of two sets all that the embed run knows of these."""
        if self.kept is not None:
            return dict(self.kept.licences)
        assert self.vectors is not None and self.spec.bitext is not None, "bitext alone has no run"
        given = self.spec.bitext
        sets = {side.partition("/")[0] for side in (given.left, given.right)}
        known = (Run(self.vectors.storage, self.vectors.id).record() or {}).get("licences", {})
        told = sorted({licence for name, licence in known.items() if name.partition("/")[0] in sets})
        return {given.source: " and ".join(told)} if told else {}

    def stages(self, resources: engine.Resources, facts: dict[str, Any]) -> Outcome:
        def stage(name: str, unit: engine.WorkFunction, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return self.stage(name, unit, items, resources)

        self.base["models"] = self.models
        doing = Work(self.run_, self.spec, stage, self.say)
        if self.spec.rerank:
            assert self.kept is not None
            made = rerank_stages.make(doing, self.kept)
        else:
            made = STAGES[self.spec.section].make(doing, self.parts)
        manifest = self._manifest(made)
        summary = {**self.summary(facts), "section": self.spec.section, "index": doing.told, "mined": made.summary}
        summary |= self._about(made)
        published = self.run_.publish(manifest, summary)
        counts = {"kept": made.kept["ledger"]["total"]["kept"]} if made.kept else {}
        return self.finish(summary, {**published, **counts, "cluster": facts})

    def _manifest(self, made: Made) -> dict[str, Any]:
        if made.kept is not None:
            return {"files": {"kept": made.kept["files"]}}
        assert self.kept is not None
        return scores.manifest(self.kept.id, self.kept.generation, made.columns, made.files)

    def _about(self, made: Made) -> dict[str, Any]:
        of = {"of": self.kept.id if self.kept else None, "vectors": self.vectors.id if self.vectors else None}
        if made.kept is not None:
            return {**of, "ledger": made.kept["ledger"], "languages": made.kept["languages"]}
        return {
            **of,
            "columns": [{"name": c.name, "direction": c.direction, "describe": c.describe} for c in made.columns],
        }

    def show(self, run: Run, summary: dict[str, Any]) -> None:
        super().show(run, summary)
        if "ledger" in summary:
            run.storage.put_json(run.path("ledger.json"), summary["ledger"])

    def page(self, summary: dict[str, Any]) -> str:
        return mine_page.render(summary)


def _kept(storage_uri: str, run: str | None) -> KeptRun | None:
    try:
        return kept_files(storage_uri, run) if run else None
    except SpecError as error:
        raise SpecError(f"run: {error}") from None
