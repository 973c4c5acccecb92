"""What a Ray Train worker does: load the model and the prepared data, train, and put the result into the storage."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from pairmill.errors import PairmillError
from pairmill.model import adapters, places
from pairmill.model.encoder import Encoder
from pairmill.model.export import write_model
from pairmill.model.loading import Loaded, load
from pairmill.runs.record import Events, Run
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import Stopwatch
from pairmill.spec.model import Place
from pairmill.spec.objectives import needs
from pairmill.spec.train import TrainSpec
from pairmill.train import objectives
from pairmill.train.checkpoints import Checkpoints
from pairmill.train.gradient_cache import World
from pairmill.train.loop import Loop
from pairmill.train.objectives import Objective
from pairmill.train.pairs_task import Pairs
from pairmill.train.plan import Group, Plan, Stage
from pairmill.train.progress import METRICS
from pairmill.train.reader import Reader

STAGE = "train"
TRAINED = "trained"


def ray_worker(config: dict[str, Any]) -> None:
    """The function Ray Train runs on every rank; what users must know goes back as a value, not as a crash."""
    import ray.train
    import ray.train.torch

    context = ray.train.get_context()
    world = World(context.get_world_rank(), context.get_world_size())
    try:
        train(config, world, ray.train.torch.get_device())
        ray.train.report({"done": True})
    except PairmillError as error:
        ray.train.report({"user_error": str(error)})


def train(config: dict[str, Any], world: World, device: torch.device) -> None:
    """Train as one rank; rank 0 commits the result as the unit `trained`."""
    if config["threads"]:
        torch.set_num_threads(config["threads"])
    storage = open_storage(config["storage"])
    run = Run(storage, config["run"], config["attempt"], config["generation"])
    watch = Stopwatch(run.attempt)
    spec = TrainSpec.model_validate(config["spec"])
    log = Events(run, METRICS)
    try:
        loaded = load(str(folder(storage, config["start"])), spec.model)
        loop = _loop(spec, loaded, storage, run, config, world, device, log)
        facts = loop.run()
        _use_best(loop, spec)
        if world.rank == 0:
            _commit(run, loaded, spec, {**facts, "record": watch.record()})
    finally:
        if world.rank == 0:
            log.flush()


def folder(storage: Storage, start: dict[str, Any]) -> Path | str:
    """Where the model that training starts from is: made by a stage of the job, or named in the spec."""
    if "model" in start:
        return places.fetch(storage, start["model"])
    return places.local(Place.model_validate(start["place"]), storage.uri)


def _loop(
    spec: TrainSpec,
    loaded: Loaded,
    storage: Storage,
    run: Run,
    config: dict[str, Any],
    world: World,
    device: torch.device,
    log: Events,
) -> Loop:
    manifest = storage.get_json(config["prepared"])
    encoder = loaded.encoder.to(device)
    if spec.resources.gradient_checkpointing:
        encoder.model.gradient_checkpointing_enable()
        encoder.model.enable_input_require_grads()
    task = Pairs(
        spec,
        encoder,
        {name: objective.to(device) for name, objective in objectives_of(spec).items()},
        {entry.name: needs(entry.objective or spec.objective) for entry in spec.data},
        Reader(storage, manifest, holdout=True),
        manifest["holdout"],
        _teacher(spec, storage, config, device),
        world,
    )
    checkpoints = Checkpoints(storage, checkpoint_prefix(run), run.attempt, spec.checkpoints.keep)
    return Loop(spec, task, plan_of(spec, manifest), Reader(storage, manifest), world, checkpoints, log)


def checkpoint_prefix(run: Run) -> str:
    return run.path(f"g{run.generation}/checkpoints")


def objectives_of(spec: TrainSpec) -> dict[str, Objective]:
    """The objective of each data entry; entries without one of their own share the spec's, with its temperature."""
    torch.manual_seed(spec.seed)
    shared = objectives.build(spec.objective, spec.matryoshka)
    own = {e.name: objectives.build(e.objective, spec.matryoshka) for e in spec.data if e.objective is not None}
    return {entry.name: own.get(entry.name, shared) for entry in spec.data}


def plan_of(spec: TrainSpec, manifest: dict[str, Any]) -> Plan:
    """The batch plan; its length is in batches, `accumulate` of which make an optimiser step."""
    entries = {entry.name: entry for entry in spec.data}
    groups = [
        Group(g["name"], g["entry"], g["rows"], entries[g["entry"]].batch_size, entries[g["entry"]].weight)
        for g in manifest["groups"]
    ]
    schedule = [Stage(stage.until, stage.weights) for stage in spec.mixing.schedule]
    steps = spec.steps * spec.accumulate if spec.steps else None
    return Plan(groups, spec.batch_size, steps, spec.epochs, spec.mixing.alpha, schedule, spec.seed)


def _teacher(spec: TrainSpec, storage: Storage, config: dict[str, Any], device: torch.device) -> Encoder | None:
    if config["teacher"] is None:
        return None
    encoder = load(str(folder(storage, config["teacher"]))).encoder.to(device)
    return encoder.eval().requires_grad_(False)


def _use_best(loop: Loop, spec: TrainSpec) -> None:
    """With early stopping, the result is the best checkpoint's."""
    if spec.evaluate.early_stopping and loop.checkpoints:
        best = loop.checkpoints.newest(lambda text: None, best=True)
        if best is not None:
            loop.restore(best)


def _commit(run: Run, loaded: Loaded, spec: TrainSpec, facts: dict[str, Any]) -> None:
    share = adapters.share(loaded.encoder)
    about = {
        "type": loaded.encoder.model.config.model_type,
        "dimension": loaded.encoder.model.config.hidden_size,
        "parameters": share.total,
        "trained": share.trained,
        "vocabulary": len(loaded.tokenizer),
        **asdict(loaded.settings),
    }
    with tempfile.TemporaryDirectory(prefix="pairmill-model-") as folder:
        write_model(Path(folder), loaded.encoder.cpu(), loaded.tokenizer, loaded.settings)
        model = places.upload(Path(folder), run.storage.uri, run.path(f"g{run.generation}/model-{run.attempt}"))
    run.units(STAGE).commit(TRAINED, {"model": model, "facts": about, **facts})
