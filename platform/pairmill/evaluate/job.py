"""The evaluate job: from a checked spec to scores with intervals, in mteb's format and on a page.

    tasks (per task) -> [map] -> evaluate (per task and subset) -> [leaks: index, scan per kept file]
    -> intervals (per task) -> [inference]

Every arrow is a set of committed units that the runs of a storage share; vectors are cached by text (`cache.py`).
"""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata
from typing import Any

from pairmill.errors import PairmillError, SpecError
from pairmill.evaluate import inference, leaks, map_stage, maps, records, result, work
from pairmill.evaluate.lineage import Learnt, learnt_from
from pairmill.evaluate.model import prompts_of, settings_of
from pairmill.evaluate.subsets import needed_columns
from pairmill.evaluate.tasks import SPLIT, label, named
from pairmill.model import places
from pairmill.report import evaluate_page, evaluate_view
from pairmill.runs import browse, engine, metrics
from pairmill.runs.job import Job, Outcome, Say
from pairmill.runs.storage import Storage
from pairmill.runs.units import Units, digest
from pairmill.spec.evaluate import EvaluateSpec, Task
from pairmill.spec.load import LoadedSpec
from pairmill.train.prepared.work import identify

VERSIONS = {**work.VERSIONS, "leaks": leaks.VERSION, "inference": inference.VERSION}
#: Keys of a task that do not change its data.
_NOT_READ = {"prompts", "metric", "lengths", "experiments", "samples_per_label"}
#: And those that change its scores on the same data.
_EVALUATED = {"mteb", "type", "metric", "experiments", "samples_per_label"}
Json = dict[str, Any]


class Evaluate(Job):
    """One attempt at an evaluate run."""

    kind = "evaluate"
    spec: EvaluateSpec

    def __init__(self, loaded: LoadedSpec, storage: Storage, command: str, say: Say):
        super().__init__(loaded, storage, command, say)
        spec = self.spec
        _mteb_version()
        self.checksum = places.identity(spec.model, storage.uri)
        self.settings = settings_of(spec.model, storage.uri)
        self.prompts = {
            task.called: prompts_of(task.prompts or spec.prompts, self.settings.prompts) for task in spec.tasks
        }
        self.files = {task.called: fingerprints(task) for task in spec.tasks if task.mteb is None}
        self.bitext = identify(storage, spec.map.entry) if spec.map else None
        self.learnt, self.unscanned = self._learnt()
        self.base["checksum"] = self.checksum

    def _learnt(self) -> tuple[list[Learnt], list[str]]:
        if self.spec.leaks is None:
            return [], []
        mapped = [self.spec.map.run] if self.spec.map and self.spec.map.run else []
        return learnt_from(self.storage.uri, [*(self.spec.leaks.runs or [str(self.spec.model.run)]), *mapped])

    def meaning(self) -> Json:
        kept = [[one.kept.id, one.kept.generation, one.sources, one.languages] for one in self.learnt]
        files = {name: [fingerprint for _, fingerprint in found] for name, found in self.files.items()}
        versions = {**VERSIONS, "mteb": _mteb_version()}
        mapped = {"map": [maps.VERSION, self.bitext]} if self.spec.map else {}
        about = {"model": self.checksum, "files": files, "kept": kept, "versions": versions, **mapped}
        return {"spec": self.spec_meaning(), **about}

    def facts(self) -> Json:
        read = (self.spec.model.run, self.spec.map.run if self.spec.map else None)
        runs = [browse.named(self.storage.uri, name).id for name in read if name]
        return {
            "versions": {"stages": VERSIONS, "mteb": _mteb_version()},
            "parents": list(dict.fromkeys([*runs, *(one.kept.id for one in self.learnt)])),
            "inputs": [self._input_facts(task) for task in self.spec.tasks],
            "models": {"model": self.checksum},
        }

    def _input_facts(self, task: Task) -> Json:
        found = self.files.get(task.called, [])
        path = ", ".join(uri for uri, _ in found[:3]) if found else str(task.mteb)
        return {"name": task.called, "format": task.type or "mteb", "path": path, "files": len(found), "bytes": 0}

    def stages(self, resources: engine.Resources, facts: Json) -> Outcome:
        encoding = replace(resources, gpus=self.spec.resources.gpus_per_task)
        read = self._read(resources)
        planned = [item for task in self.spec.tasks for item in self._items(task, read.get(task.called))]
        fitted = self._fit(planned, encoding)
        self.stage("evaluate", work.evaluate_subset, planned, encoding)
        texts = [{"task": name, **one} for name, found in read.items() for one in _places(found)]
        found, leaked = self._leaks(texts, resources) if self.spec.leaks else (None, {})
        intervals = self._intervals(planned, leaked, resources)
        costs = self._inference(texts, encoding)
        summary = {**result.summarise(self, planned, intervals, read, found, costs, facts), "map": fitted}
        for told in summary["tasks"]:
            score = evaluate_view.widest(told)["mean"][told["main_score"]]["value"]
            if score is not None:
                metrics.task_scored(self.spec.name, told["name"], score)
        return self.finish(summary, {**result.publish(self, planned, summary), "cluster": facts})

    def page(self, summary: Json) -> str:
        return evaluate_page.render(summary)

    def _key(self, *meaning: Any) -> str:
        return digest([VERSIONS, _mteb_version(), self.run_.salt, *meaning])

    def _read(self, resources: engine.Resources) -> dict[str, Json]:
        """The subsets of each local task."""
        items: list[Json] = []
        for task in self.spec.tasks:
            if task.mteb is None:
                dumped = task.model_dump(mode="json", exclude=_NOT_READ)
                given = {"task": task.model_dump(mode="json"), "called": task.called}
                items.append({**given, "key": self._key(dumped, [one for _, one in self.files[task.called]])})
        self.stage("tasks", work.read_task, items, resources)
        units = Units(self.storage, work.READ)
        return {item["called"]: units.get(item["key"]) or {} for item in items}

    def _items(self, task: Task, read: Json | None) -> list[Json]:
        """A unit for each subset of a task; of long documents for each length, as a task of its own."""
        subsets = read["subsets"] if read else _of_mteb(task)
        items = []
        for name, length in task.results.items():
            for one in subsets:
                item = {
                    "task": task.model_dump(mode="json"),
                    "name": name,
                    "subset": one["name"],
                    "split": one.get("split", SPLIT),
                    "codes": one.get("codes", []),
                    "parts": one.get("parts"),
                    "revision": one["fingerprint"],
                    "prompts": list(self.prompts[task.called]),
                    "max_length": length,
                    "salt": self.run_.salt,
                }
                told = task.model_dump(mode="json", include=_EVALUATED)
                items.append({**item, "key": self._key(self._model(), told, {**item, "task": None, "parts": None})})
        return items

    def _fit(self, planned: list[Json], resources: engine.Resources) -> Json | None:
        """What fitting the map told. The subsets that it concerns are given its key, which is part of their own."""
        if self.spec.map is None:
            return None
        concerned = [item for item in planned if map_stage.concerns(self.spec.map, item["codes"])]
        if not concerned:
            known = sorted({code for item in planned for code in item["codes"]})
            raise SpecError(
                f"map.language: no task has texts in {self.spec.map.language!r}; the tasks' languages: "
                f"{', '.join(known) or 'none is known'}. Name one of these, or set a task's `by` or `languages`."
            )
        item: Json = {"prompt": prompts_of(self.spec.prompts, self.settings.prompts)[0], "salt": self.run_.salt}
        item["key"] = self._key(maps.VERSION, self._model(), self.spec.map.model_dump(mode="json"), self.bitext, item)
        self.stage("map", map_stage.fit, [item], resources)
        for one in concerned:
            one["map"], one["key"] = item["key"], self._key(one["key"], item["key"])
        done = Units(self.storage, map_stage.PREFIX).get(item["key"]) or {}
        about = self.spec.map.model_dump(mode="json", include={"method", "language", "to"})
        return {**about, "pairs": done["rows"], **done["fitted"], "encoding": done["encoding"]}

    def _model(self) -> Any:
        """What determines the vectors of the spec's model."""
        spec = self.spec
        model = spec.model.model_dump(mode="json", exclude={"path", "package", "run"})
        return [self.checksum, model, spec.precision, spec.dims]

    def _leaks(self, texts: list[Json], resources: engine.Resources) -> tuple[Json, dict[tuple[str, str], list[str]]]:
        """What was found of the tasks' texts; the ids of their rows by task and subset."""
        assert self.spec.leaks is not None, "asked for"
        content = [[one["task"], one["subset"], one["fingerprint"]] for one in texts]
        index = self._key("index", content, self.spec.leaks.ngram)
        self.stage("leaks: index", leaks.index_texts, [{"subsets": texts, "key": index}], resources)
        items: list[Json] = []
        for one in self.learnt:
            for file in one.kept.files:
                where = {"of": one.kept.storage.uri, "run": one.kept.id, "path": file.path}
                chosen = {"sources": one.sources, "languages": one.languages}
                item: Json = {**where, **chosen, "index": index}
                items.append({**item, "key": self._key(item, self.spec.leaks.min_share)})
        scanned = self.stage("leaks: scan", leaks.scan_file, items, resources)
        found, rows = leaks.summarise(self.storage, index, [item["key"] for item in items])
        runs = list(dict.fromkeys(one.kept.id for one in self.learnt))
        told = {
            "tasks": found,
            "runs": runs,
            "rows": sum(one["rows"] for one in scanned),
            "not_looked_in": self.unscanned,
        }
        return told, leaks.ids_of(self.storage, texts, rows)

    def _intervals(
        self, planned: list[Json], leaked: dict[tuple[str, str], list[str]], resources: engine.Resources
    ) -> dict[str, Json]:
        """Scores with intervals of each task."""
        items: dict[str, Json] = {}
        for one in planned:
            item = items.setdefault(one["name"], {"units": [], "leaked": {}, "draws": self.spec.bootstrap})
            subset = label(one["subset"], one["split"])
            item["units"].append({"subset": subset, "key": one["key"]})
            found = leaked.get((one["task"]["name"], one["subset"]))
            if found:
                item["leaked"][subset] = found
        for item in items.values():
            item["key"] = self._key(item)
        self.stage("intervals", work.compute_intervals, list(items.values()), resources)
        units = Units(self.storage, work.INTERVALS)
        return {name: units.get(item["key"]) or {} for name, item in items.items()}

    def _inference(self, texts: list[Json], resources: engine.Resources) -> Json | None:
        """The costs of encoding, measured when nothing else of this run goes on; of every run anew."""
        if self.spec.inference is None or not texts:
            return None
        prompt = next(iter(self.prompts.values()))[0]
        key = digest([self.run_.id, self.run_.generation, VERSIONS["inference"]])
        self.stage("inference", inference.measure, [{"subsets": texts, "prompt": prompt, "key": key}], resources)
        return Units(self.storage, inference.PREFIX).get(key)


def fingerprints(task: Task) -> list[tuple[str, str]]:
    """The files of a local task and what changes with their content. Raises SourceError for what cannot be used."""
    return [
        (file.uris[0], file.fingerprint)
        for part, files in sorted(task.files().items())
        for file in records.find(files, needed_columns(task, part, files))
    ]


def _of_mteb(task: Task) -> list[Json]:
    found = named(task)
    chosen = [name for name in found.hf_subsets if task.subsets is None or name in task.subsets]
    about = {"fingerprint": found.metadata.revision}
    return [{"name": name, "split": split, **about} for name in chosen for split in found.eval_splits]


def _places(read: Json) -> list[Json]:
    return [
        {"subset": one["name"], "parts": one["parts"], "fingerprint": one["fingerprint"]} for one in read["subsets"]
    ]


def _mteb_version() -> str:
    """Raises PairmillError where mteb is not installed."""
    try:
        return metadata.version("mteb")
    except metadata.PackageNotFoundError:
        raise PairmillError(
            "kind: evaluate needs mteb, which is not installed. Install it: pip install 'pairmill[evaluate]'"
        ) from None
