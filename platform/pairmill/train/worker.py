"""What a Ray Train worker does: load the model and the prepared data, train, and put the result into the storage."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from pairmill.errors import PairmillError
from pairmill.model import adapters, places
from pairmill.model.encoder import Encoder as TrainedEncoder
from pairmill.model.export import write_model
from pairmill.model.freezing import freeze
from pairmill.model.loading import Loaded, load
from pairmill.model.masked import MaskedEncoder
from pairmill.runs.record import Events, Run
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import Stopwatch
from pairmill.spec.load import KINDS
from pairmill.spec.model import Encoder, Place
from pairmill.spec.objectives import needs
from pairmill.spec.pretrain import PretrainSpec
from pairmill.spec.train import TrainSpec
from pairmill.train import objectives
from pairmill.train.checkpoints import Checkpoints
from pairmill.train.gradient_cache import World
from pairmill.train.loop import Loop, Task
from pairmill.train.masked_task import MaskedTokens
from pairmill.train.masking import vocabulary_of
from pairmill.train.objectives import Objective
from pairmill.train.pairs_task import Pairs
from pairmill.train.plan import Group, Plan, Stage
from pairmill.train.prepared.manifest import Manifest
from pairmill.train.progress import metrics
from pairmill.train.reader import Reader
from pairmill.train.sharding import shard
from pairmill.train.stopping import Asked, Stopped, answer
from pairmill.train.trackers import Tracker

Spec = TrainSpec | PretrainSpec
STAGE = "train"
TRAINED = "trained"


def ray_worker(config: dict[str, Any]) -> None:
    """The function Ray Train runs on every rank. What users must know goes back through the storage, not as a crash;
    with several ranks all start again, as the others may be waiting for the one that has it, and find it there."""
    import ray.train
    import ray.train.torch

    context, device = ray.train.get_context(), ray.train.torch.get_device()
    world = World(context.get_world_rank(), context.get_world_size(), device=device)
    run = _run(config)
    if told(run) is not None:
        return
    try:
        train(config, world, device)
    except Stopped as stopped:
        if world.rank == 0:
            answer(run, stopped)
    except PairmillError as raised:
        run.storage.put_json(_error_path(run), {"text": str(raised)})
        if world.size > 1:
            raise


def told(run: Run) -> str | None:
    """What a rank of this attempt says to the user."""
    found = run.storage.get_json(_error_path(run))
    return found["text"] if found else None


def _error_path(run: Run) -> str:
    return run.path(f"g{run.generation}/errors/{run.attempt}.json")


def _run(config: dict[str, Any]) -> Run:
    return Run(open_storage(config["storage"]), config["run"], config["attempt"], config["generation"])


def train(config: dict[str, Any], world: World, device: torch.device) -> None:
    """Train as one rank; rank 0 commits the result as the unit `trained`. Raises Stopped where the driver asks."""
    torch.set_num_threads(config["threads"] or os.cpu_count() or 1)
    run = _run(config)
    storage = run.storage
    watch = Stopwatch(run.attempt)
    spec: Spec = KINDS[config["spec"]["kind"]].model_validate(config["spec"])  # type: ignore[assignment]
    log, tracker = Events(run, metrics(run)), Tracker(run, spec.name)
    world.sharded = spec.resources.fsdp and world.size > 1
    asked = Asked(run) if world.rank == 0 else None
    try:
        torch.manual_seed(spec.seed)
        loaded = load(str(folder(storage, config["start"])), spec.model, masked=spec.kind == "pretrain")
        loop = _loop(spec, loaded, storage, run, config, world, device, log)
        loop.tracker = tracker
        loop.stop_asked = asked or loop.stop_asked
        facts = loop.run()
        loop.use_best()
        facts |= loop.facts
        weights = loop.tensors() if world.sharded else {}
        if world.rank == 0:
            _commit(run, _whole(loaded, weights, config, spec), spec, {**facts, "record": watch.record()})
    finally:
        if asked:
            asked.close()
            log.flush()
            tracker.close()


def folder(storage: Storage, start: dict[str, Any]) -> Path | str:
    """Where the model that training starts from is: made by a stage of the job, or named in the spec."""
    if "model" in start:
        return places.fetch(storage, start["model"])
    return places.local(Place.model_validate(start["place"]), storage.uri)


def _loop(
    spec: Spec,
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
    freeze(encoder, spec.model.trained, config["start"].get("old_tokens"))
    if spec.resources.gradient_checkpointing:
        encoder.model.gradient_checkpointing_enable()
    if world.sharded:
        if isinstance(spec, PretrainSpec):
            raise PairmillError("resources.fsdp: kind pretrain cannot shard its model. Leave fsdp out.")
        shard(encoder.model, device)
    task: Task
    if isinstance(spec, PretrainSpec):
        task = _masked_tokens(spec, loaded, storage, manifest, world)
    else:
        task = _pairs(spec, encoder, storage, manifest, config, world)
    checkpoints = Checkpoints(storage, checkpoint_prefix(run), run.attempt, spec.checkpoints.keep)
    return Loop(spec, task, plan_of(spec, manifest), Reader(storage, manifest), world, checkpoints, log)


def _pairs(
    spec: TrainSpec, encoder: TrainedEncoder, storage: Storage, manifest: Manifest, config: dict[str, Any], world: World
) -> Pairs:
    return Pairs(
        spec,
        encoder,
        {name: objective.to(encoder.device) for name, objective in objectives_of(spec).items()},
        {entry.name: needs(entry.objective or spec.objective) for entry in spec.data},
        Reader(storage, manifest, holdout=True),
        manifest["holdout"],
        _teacher(spec, storage, config, encoder.device),
        world,
    )


def _masked_tokens(
    spec: PretrainSpec, loaded: Loaded, storage: Storage, manifest: Manifest, world: World
) -> MaskedTokens:
    assert isinstance(loaded.encoder, MaskedEncoder), "it was loaded with its head"
    trained, held_out = ({group["name"]: group["rows"] for group in manifest[part]} for part in ("groups", "holdout"))
    vocabulary = vocabulary_of(loaded.tokenizer, spec.masking.whole_words)
    readers = Reader(storage, manifest), Reader(storage, manifest, holdout=True)
    return MaskedTokens(spec, loaded.encoder, vocabulary, readers[0], trained, readers[1], held_out, world)


def checkpoint_prefix(run: Run) -> str:
    return run.path(f"g{run.generation}/checkpoints")


def objectives_of(spec: TrainSpec) -> dict[str, Objective]:
    """The objective of each data entry; entries without one of their own share the spec's, with its temperature."""
    torch.manual_seed(spec.seed)
    shared = objectives.build(spec.objective, spec.matryoshka)
    own = {e.name: objectives.build(e.objective, spec.matryoshka) for e in spec.data if e.objective is not None}
    return {entry.name: own.get(entry.name, shared) for entry in spec.data}


def plan_of(spec: Spec, manifest: dict[str, Any]) -> Plan:
    """The batch plan; its length is in batches, `accumulate` of which make an optimiser step."""
    entries = {entry.name: entry for entry in spec.data}
    groups = [
        Group(g["name"], g["entry"], g["rows"], entries[g["entry"]].batch_size, entries[g["entry"]].weight)
        for g in manifest["groups"]
    ]
    schedule = [Stage(stage.until and stage.until * spec.accumulate, stage.weights) for stage in spec.mixing.schedule]
    steps = spec.steps * spec.accumulate if spec.steps else None
    return Plan(groups, spec.batch_size, steps, spec.epochs, spec.mixing.alpha, schedule, spec.seed)


def _teacher(spec: TrainSpec, storage: Storage, config: dict[str, Any], device: torch.device) -> TrainedEncoder | None:
    if config["teacher"] is None:
        return None
    told = config["teacher"].get("spec")
    read = Encoder.model_validate(told) if told else None
    encoder = load(str(folder(storage, config["teacher"])), read).encoder.to(device)
    return encoder.eval().requires_grad_(False)


def _whole(loaded: Loaded, weights: dict[str, torch.Tensor], config: dict[str, Any], spec: Spec) -> Loaded:
    """The trained model on one rank; where it was sharded, loaded anew and given the trained weights."""
    if not weights:
        return loaded
    start = str(folder(open_storage(config["storage"]), config["start"]))
    fresh = load(start, spec.model, masked=spec.kind == "pretrain")
    parts = torch.nn.ModuleDict({"encoder": fresh.encoder})
    parts.load_state_dict({name: w for name, w in weights.items() if name.startswith("encoder.")}, strict=False)
    return fresh


def _commit(run: Run, loaded: Loaded, spec: Spec, facts: dict[str, Any]) -> None:
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
