"""The train job: from a checked spec to an exported model.

    start (a model from scratch, or with new tokens) -> prepare (tokenise, hold out, shuffle) -> train (Ray Train)

Training goes on at the newest checkpoint whatever died: a worker (Ray Train starts the workers again), the driver or
the cluster (the same command does).
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from pairmill.errors import PairmillError
from pairmill.model import places
from pairmill.model.settings import Settings
from pairmill.pairs.kept import kept_files
from pairmill.runs import engine
from pairmill.runs.job import Job, Outcome, Say
from pairmill.runs.record import Run
from pairmill.runs.storage import Storage
from pairmill.runs.units import digest
from pairmill.spec.data import DataEntry
from pairmill.spec.load import LoadedSpec
from pairmill.spec.model import Place
from pairmill.spec.train import TrainSpec
from pairmill.train import result, start, worker
from pairmill.train.prepare import Options, Teacher, prepare
from pairmill.train.prepared.work import identify
from pairmill.train.progress import Watch

VERSIONS = {"train": 1, "prepare": 1, "start": start.VERSION}
PREPARED = "prepared"


class Train(Job):
    """One attempt at a train run."""

    kind = "train"
    spec: TrainSpec

    def __init__(self, loaded: LoadedSpec, storage: Storage, command: str, say: Say):
        super().__init__(loaded, storage, command, say)
        spec = self.spec
        self.data = {entry.name: identify(storage, entry) for entry in spec.data}
        self.places = {"model": start.base_of(spec.model), **self.models()}
        self.identities = {name: places.identity(place, storage.uri) for name, place in self.places.items()}

    def models(self) -> dict[str, Place]:
        """Models that training reads beside its own, by their role."""
        return {"teacher": self.spec.teacher} if isinstance(self.spec.teacher, Place) else {}

    def meaning(self) -> dict[str, Any]:
        return {"spec": self.spec_meaning(), "data": self.data, "models": self.identities, "versions": VERSIONS}

    def facts(self) -> dict[str, Any]:
        lineage = self.lineage()
        parents = [run["id"] for run in lineage["runs"]] + [p.run for p in self.places.values() if p.run]
        return {
            "versions": {"stages": VERSIONS},
            "parents": parents,
            "inputs": [_input_facts(entry) for entry in self.spec.data],
            "models": self.identities,
            "licences": lineage["licences"],
        }

    def lineage(self) -> dict[str, Any]:
        """Which runs and files the training rows come from, under which licences."""
        runs: list[dict[str, Any]] = []
        licences: dict[str, str] = {}
        for entry in self.spec.data:
            if entry.run:
                kept = kept_files(self.storage.uri, entry.run)
                codes = sorted({code for pair, rows in kept.languages.items() if rows for code in pair if code})
                about = {"entry": entry.name, "id": kept.id, "kept": sum(kept.sources.values())}
                runs.append({**about, "sources": kept.sources, "languages": codes})
                licences |= {f"{entry.name}/{source}": licence for source, licence in kept.licences.items()}
            elif entry.input and entry.input.licence:
                licences[entry.name] = entry.input.licence
        return {
            "runs": runs,
            "licences": licences,
            "models": {
                name: {**p.model_dump(mode="json", exclude_none=True), "licence": places.licence(p, self.storage.uri)}
                for name, p in self.places.items()
            },
        }

    def stages(self, resources: engine.Resources, facts: dict[str, Any]) -> Outcome:
        started = self._start(resources)
        manifest = self._prepare(started, resources)
        plan = worker.plan_of(self.spec, manifest)
        self.events.add("plan", steps=len(plan), shares=plan.shares())
        trained = self.run_.units(worker.STAGE).get(worker.TRAINED)
        if trained is None:
            self._train(started, len(plan) // self.spec.accumulate)
            trained = self.run_.units(worker.STAGE).get(worker.TRAINED)
        assert trained is not None, "rank 0 commits the model before it reports"
        summary = result.summarise(self, manifest, plan, trained, facts)
        outcome = self.finish(summary, {**result.publish(self.run_, summary, trained), "cluster": facts})
        result.show(self.run_, summary)
        return outcome

    def finished(self, run: Run, summary: dict[str, Any]) -> None:
        if run.storage.modified(run.path("report.html")) is None:
            result.show(run, summary)  # a driver died between finishing the run and this

    def _start(self, resources: engine.Resources) -> dict[str, Any]:
        """Where training finds its model: as named, or made from scratch or with new tokens by a unit of its own."""
        spec = self.spec
        if not start.is_made(spec.model):
            return {"place": start.base_of(spec.model).model_dump(mode="json")}
        key = digest(
            {
                "model": spec.model.model_dump(mode="json"),
                "of": self.identities,
                "data": self.data,
                "seed": spec.seed,
                "version": start.VERSION,
                "salt": self.run_.salt,
            }
        )
        self.stage("start", start.make, [{"key": key}], resources)
        unit = start.units(self.storage).get(key)
        assert unit is not None, "the stage has committed it"
        return {"model": unit["model"], "old_tokens": unit["old_tokens"]}

    def _prepare(self, started: dict[str, Any], resources: engine.Resources) -> dict[str, Any]:
        spec = self.spec
        folder = str(worker.folder(self.storage, started))
        options = replace(
            self.options(folder, start.settings(folder, spec.model)),
            seed=spec.seed,
            salt=self.run_.salt,
            shard_size=spec.resources.shard_size,
            memory=spec.resources.memory_per_task,
        )
        units = self.run_.units("plan")
        manifest = units.get(PREPARED)
        if manifest is None:
            made = prepare(
                self.storage,
                spec.data,
                folder,
                options,
                lambda name, work, items: self.stage(name, work, items, resources),
            )
            manifest = units.commit(PREPARED, made)
        return manifest

    def options(self, folder: str, settings: Settings) -> Options:
        """What prepare must know of the model in a directory, and of what it learns."""
        return Options(
            max_length=settings.max_length,
            prompts=settings.prompts,
            instruction=self.spec.model.instruction_template,
            objective=self.spec.objective,
            teacher=self._teacher_tokens(folder),
        )

    def _teacher_tokens(self, student: str) -> Teacher | None:
        """The teacher's tokenizer, where it is another than the student's."""
        place = self.teacher_place()
        if place is None:
            return None
        folder = str(worker.folder(self.storage, place))
        settings = start.settings(folder, None)
        same = (Path(folder) / "tokenizer.json").read_bytes() == (Path(student) / "tokenizer.json").read_bytes()
        return None if same else Teacher(folder, settings.max_length)

    def teacher_place(self) -> dict[str, Any] | None:
        """Where the frozen model is, as `worker.folder` takes it."""
        teacher = start.base_of(self.spec.model) if self.spec.teacher == "initial" else self.spec.teacher
        return {"place": teacher.model_dump(mode="json")} if isinstance(teacher, Place) else None

    def _train(self, started: dict[str, Any], steps: int) -> None:
        """Run the workers in Ray Train, with a watch on what they log."""
        import ray.train
        from ray.train.torch import TorchTrainer

        wanted = self.spec.resources
        _check_room(wanted)
        config = {
            **{name: self.base[name] for name in ("storage", "run", "attempt", "spec")},
            "generation": self.run_.generation,
            "start": started,
            "teacher": self.teacher_place(),
            "prepared": self.run_.units("plan").path(PREPARED),
            "threads": wanted.threads or _threads(wanted),
        }
        each = {"CPU": wanted.cpus_per_worker, **({"GPU": wanted.gpus_per_worker} if wanted.gpus_per_worker else {})}
        self.events.add("stage started", stage="train", workers=wanted.workers)
        with tempfile.TemporaryDirectory(prefix="pairmill-train-") as folder, Watch(self.run_, steps, self.check_lease):
            trainer = TorchTrainer(
                worker.ray_worker,
                train_loop_config=config,
                scaling_config=ray.train.ScalingConfig(
                    num_workers=wanted.workers, use_gpu=wanted.gpus_per_worker > 0, resources_per_worker=each
                ),
                run_config=ray.train.RunConfig(
                    name=self.run_.id,
                    storage_path=folder,
                    failure_config=ray.train.FailureConfig(max_failures=wanted.max_failures),
                ),
            )
            try:
                ended = trainer.fit()
            except ray.train.TrainingFailedError as error:
                failed = f"training failed {wanted.max_failures + 1} times: {error}"
                raise PairmillError(worker.told(self.run_) or failed) from error
        told = (ended.metrics or {}).get("user_error")
        if told:
            raise PairmillError(told)


def _input_facts(entry: DataEntry) -> dict[str, Any]:
    found = {"name": entry.name, "format": "run", "path": entry.run, "files": 1, "bytes": 0}
    if entry.input is not None:
        given = entry.input.model_dump(mode="json")
        path = ", ".join(given.get("path") or given.get("packages") or [])
        found |= {"format": given["format"], "path": path}
    return found


def _check_room(wanted: Any) -> None:
    """Refuse workers for which the cluster has no room. Raises PairmillError with the arithmetic."""
    import ray

    have = ray.cluster_resources()
    for name, each in (("CPU", wanted.cpus_per_worker), ("GPU", wanted.gpus_per_worker)):
        need, offered = each * wanted.workers, have.get(name, 0)
        if need > offered:
            raise PairmillError(
                f"training wants {wanted.workers} workers x {each:g} {name}s = {need:g}, the cluster has {offered:g}. "
                f"Lower resources.workers or resources.{name.lower()}s_per_worker, or add nodes."
            )


def _threads(wanted: Any) -> int | None:
    """A lone CPU worker has all processors of its machine (None), as nothing else runs beside it; others what they
    reserve."""
    if wanted.gpus_per_worker or wanted.workers > 1:
        return max(1, int(wanted.cpus_per_worker))
    return wanted.cpus
