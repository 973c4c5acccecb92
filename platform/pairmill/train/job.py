"""The train job: from a checked spec to an exported model.

    start (a model from scratch, or with new tokens) -> prepare (tokenise, hold out, shuffle) -> train (Ray Train)

Training goes on at the newest checkpoint whatever died: a worker (Ray Train starts the workers again), the driver or
the cluster (the same command does).
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pairmill.errors import PairmillError
from pairmill.model import places
from pairmill.model.settings import Settings
from pairmill.pairs.kept import kept_files
from pairmill.report import train_page
from pairmill.runs import engine
from pairmill.runs.job import Job, Outcome, Say
from pairmill.runs.storage import Storage
from pairmill.runs.units import digest
from pairmill.spec.load import LoadedSpec
from pairmill.spec.model import Encoder, Place
from pairmill.spec.train import TrainSpec
from pairmill.train import result, start, stopping, worker
from pairmill.train.prepare import Options, Teacher, prepare
from pairmill.train.prepared import tokens
from pairmill.train.prepared.work import VERSION as PREPARE_VERSION
from pairmill.train.prepared.work import identify
from pairmill.train.progress import Watch

VERSIONS = {"train": 1, "prepare": PREPARE_VERSION, "start": start.VERSION}
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
        #: Of a model that was made before training: new tokens, kept texts they cut otherwise, the CPU-seconds it took.
        self.made: dict[str, Any] | None = None

    def models(self) -> dict[str, Place]:
        """Models that training reads beside its own, by their role."""
        return {"teacher": self.spec.teacher} if isinstance(self.spec.teacher, Place) else {}

    def meaning(self) -> dict[str, Any]:
        return {"spec": self.spec_meaning(), "data": self.data, "models": self.identities, "versions": VERSIONS}

    def facts(self) -> dict[str, Any]:
        parents = [run["id"] for run in self.lineage["runs"]] + [p.run for p in self.places.values() if p.run]
        return {
            "versions": {"stages": VERSIONS},
            "parents": parents,
            "inputs": [_input_facts(entry) for entry in self.loaded.public["data"]],
            "models": self.identities,
            "licences": self.lineage["licences"],
        }

    @cached_property
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
                name: {**_public(p), "licence": places.licence(p, self.storage.uri)} for name, p in self.places.items()
            },
        }

    def stages(self, resources: engine.Resources, facts: dict[str, Any]) -> Outcome:
        _check_room(self.spec.resources)
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
        return self.finish(summary, {**result.publish(self.run_, summary, trained), "cluster": facts})

    def page(self, summary: dict[str, Any]) -> str:
        return train_page.render(summary)

    def _start(self, resources: engine.Resources) -> dict[str, Any]:
        """Where training finds its model: as named, or made from scratch or with new tokens by a unit of its own."""
        spec = self.spec
        if not start.is_made(spec.model):
            return {"place": self._place(start.base_of(spec.model))}
        key = digest(
            {
                "kind": self.kind,
                "model": spec.model.model_dump(mode="json"),
                "of": self.identities["model"],
                "data": [self.data, [entry.model_dump(mode="json") for entry in spec.data]],
                "seed": spec.seed,
                "version": start.VERSION,
                "salt": self.run_.salt,
            }
        )
        self.stage("start", start.make, [{"key": key}], resources)
        unit = start.units(self.storage).get(key)
        assert unit is not None, "the stage has committed it"
        self.made = {
            "tokens_added": unit["rows"] - unit["old_tokens"],
            "changed_share": unit.get("changed_share"),
            "cpu_seconds": unit["record"]["cpu_seconds"],
        }
        return {"model": unit["model"], "old_tokens": unit["old_tokens"]}

    def _prepare(self, started: dict[str, Any], resources: engine.Resources) -> dict[str, Any]:
        spec = self.spec
        units = self.run_.units("plan")
        manifest = units.get(PREPARED)
        if manifest is not None:
            return manifest
        folder = str(worker.folder(self.storage, started))
        options = replace(
            self.options(folder, start.settings(folder, spec.model)),
            seed=spec.seed,
            salt=self.run_.salt,
            shard_size=spec.resources.shard_size,
            memory=spec.resources.memory_per_task,
        )
        made = prepare(
            self.storage,
            spec.data,
            folder,
            options,
            lambda name, work, items: self.stage(name, work, items, resources),
        )
        return units.commit(PREPARED, made)

    def options(self, folder: str, settings: Settings) -> Options:
        """What prepare must know of the model in a directory, and of what it learns."""
        return Options(
            max_length=settings.max_length,
            prompts=settings.prompts,
            instruction=self.spec.model.instruction_template,
            objective=self.spec.objective,
            teacher=self._teacher_tokens(folder, settings.max_length),
        )

    def _teacher_tokens(self, student: str, max_length: int) -> Teacher | None:
        """The teacher's tokenizer, where it is another than the student's or reads less of a text."""
        place = self.teacher_place()
        if place is None:
            return None
        folder = str(worker.folder(self.storage, place))
        spec = Encoder.model_validate(place["spec"]) if "spec" in place else None
        theirs = start.settings(folder, spec).max_length
        same = tokens.publish(self.storage, folder) == tokens.publish(self.storage, student)
        return None if same and theirs >= max_length else Teacher(folder, theirs)

    def teacher_place(self) -> dict[str, Any] | None:
        """Where the frozen model is, as `worker.folder` takes it; `initial` is read as the spec reads the model."""
        if self.spec.teacher == "initial":
            plain = self.spec.model.model_copy(update=start.PLAIN)
            return {"place": self._place(start.base_of(plain)), "spec": plain.model_dump(mode="json")}
        return {"place": self._place(self.spec.teacher)} if self.spec.teacher is not None else None

    def _place(self, place: Place) -> dict[str, Any]:
        """The place as workers can read it: a directory of this machine by its full path, as theirs is another."""
        found = place.model_dump(mode="json")
        if place.path is not None and Path(place.path).expanduser().is_dir():
            found["path"] = str(Path(place.path).expanduser().absolute())
        return found

    def _train(self, started: dict[str, Any], steps: int) -> None:
        """Run the workers in Ray Train, with a watch on what they log."""
        import ray
        import ray.train

        wanted, config = self.spec.resources, self.work(started)
        each = {"CPU": wanted.cpus_per_worker, **({"GPU": wanted.gpus_per_worker} if wanted.gpus_per_worker else {})}
        self.events.add("stage started", stage="train", workers=wanted.workers)
        with tempfile.TemporaryDirectory(prefix="pairmill-train-") as folder, Watch(self.run_, steps, self.check_lease):
            trainer = _trainer_class()(
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
                trainer.fit()
            except KeyboardInterrupt:
                try:
                    self.check_lease()
                    self._save_and_stop()
                finally:
                    if trainer.controller is not None:
                        ray.kill(trainer.controller)
                raise
            except ray.train.TrainingFailedError as error:
                failed = f"training failed {wanted.max_failures + 1} times: {error}"
                raise PairmillError(worker.told(self.run_) or failed) from error
        told = worker.told(self.run_)
        if told is not None:
            raise PairmillError(told)

    def work(self, started: dict[str, Any]) -> dict[str, Any]:
        """What `worker.train` is told."""
        return {
            **{name: self.base[name] for name in ("storage", "run", "attempt", "spec")},
            "generation": self.run_.generation,
            "start": started,
            "teacher": self.teacher_place(),
            "prepared": self.run_.units("plan").path(PREPARED),
            "threads": self.spec.resources.threads or _threads(self.spec.resources),
        }

    def _save_and_stop(self) -> None:
        """Have the workers write a checkpoint; the run is recorded as stopped first, as we may be killed meanwhile."""
        self.record("stopped", {"error": "stopped by the user"})
        self.say("stopping behind the current step, with a checkpoint; a second interrupt stops at once")
        step = stopping.ask(self.run_, lambda: self.run_.units(worker.STAGE).get(worker.TRAINED) is not None)
        self.say("no new checkpoint" if step is None else f"checkpoint of step {step:,} written")


def _input_facts(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry in the spec's own words: `${env:...}` stays unread."""
    if entry["input"] is None:
        return {"name": entry["name"], "format": "run", "path": entry["run"], "files": 1, "bytes": 0}
    given = entry["input"]
    path = ", ".join(given.get("path") or given.get("packages") or [])
    return {"name": entry["name"], "format": given["format"], "path": path, "files": 1, "bytes": 0}


def _public(place: Place) -> dict[str, Any]:
    """A place in words that may be published: a path by its last part alone."""
    found = place.model_dump(mode="json", include={"path", "package", "run"}, exclude_none=True)
    if "path" in found and found["path"].count("/") != 1:
        found["path"] = Path(found["path"]).name
    return found


def _trainer_class() -> Any:
    """Ray's trainer, but interrupts stay the driver's: Ray's own handler would end it with code 0, as if done."""
    from ray.train.torch import TorchTrainer

    class Trainer(TorchTrainer):
        controller: Any = None

        def _register_sigint_handler(self, controller: Any) -> None:
            self.controller = controller

    return Trainer


def _check_room(wanted: Any) -> None:
    """Refuse workers for which the cluster has no room. Raises PairmillError with the arithmetic."""
    each = {"CPU": wanted.cpus_per_worker, "GPU": wanted.gpus_per_worker}
    room, arithmetic = engine.room(each)
    if room < wanted.workers:
        raise PairmillError(
            f"training wants {wanted.workers} workers of {engine.asked(each)} each; {arithmetic} "
            "Lower resources.workers, cpus_per_worker or gpus_per_worker, or add nodes."
        )


def _threads(wanted: Any) -> int | None:
    """A lone CPU worker has all processors of its machine (None), as nothing else runs beside it; others what they
    reserve."""
    if wanted.gpus_per_worker or wanted.workers > 1:
        return max(1, int(wanted.cpus_per_worker))
    return wanted.cpus
