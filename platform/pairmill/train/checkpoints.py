"""Checkpoints: model, optimiser and position of a training, in the storage.

    checkpoints/000001.json, 000002.json, ...   manifests, created once each: step, files with their digests
    checkpoints/<number>-<attempt>/             model.safetensors, optimizer.safetensors

A manifest is written last, so what it names is whole; a file whose digest is another is damaged, and the checkpoint
before it is taken. Random numbers are keyed by step, so the step is all there is to a position. Tensors are copied at
once and written by a thread, while training goes on. safetensors only: nothing that is loaded can run code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load, save

from pairmill.errors import PairmillError, StorageError
from pairmill.runs.storage import Storage
from pairmill.train.sharding import like, whole

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class State:
    """What a training is at the end of a step: `step` steps are done; `facts` is JSON (best figure, patience)."""

    step: int
    model: Tensors
    optimizer: Tensors
    facts: dict[str, Any]
    best: bool = False  # kept until there is a better one
    number: int = 0  # of the checkpoint it was read from


class Checkpoints:
    """The checkpoints below one prefix of a storage."""

    def __init__(self, storage: Storage, prefix: str, attempt: str, keep: int):
        self.storage, self.prefix, self.attempt, self.keep = storage, prefix, attempt, keep
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._pending: Future[None] | None = None
        self._known = 0  # manifests up to this number exist

    def newest(self, say: Callable[[str], None], best: bool = False) -> State | None:
        """The newest whole checkpoint (with `best`, of those marked so); says which ones are damaged."""
        for number in range(self._last(), 0, -1):
            try:
                state = self.read(number, best)
            except PairmillError as error:
                say(f"checkpoint {number} is damaged, taking the one before it: {error}")
            else:
                if state is not None:
                    return state
        return None

    def read(self, number: int, best: bool = False) -> State | None:
        """A checkpoint; None where it was deleted, or with `best` is not so marked. Raises PairmillError if damaged."""
        manifest = self.storage.get_json(self._manifest(number))
        if manifest is None or manifest.get("deleted") or (best and not manifest["best"]):
            return None
        return self._read(number, manifest)

    def save(self, state: State) -> None:
        """Copy the tensors and write them in the background; raises what the write before this one raised."""
        self.wait()
        copied = State(state.step, _copy(state.model), _copy(state.optimizer), deepcopy(state.facts), state.best)
        self._pending = self._thread.submit(self._write, copied)

    def wait(self) -> None:
        """Until the last checkpoint is in the storage."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()

    def _write(self, state: State) -> None:
        number = self._last() + 1
        files = {}
        for name, tensors in (("model", state.model), ("optimizer", state.optimizer)):
            data = save(tensors)
            path = f"{self.prefix}/{number:06d}-{self.attempt}/{name}.safetensors"
            self.storage.put(path, data)
            files[name] = {"path": path, "digest": _digest(data)}
        manifest = {"step": state.step, "attempt": self.attempt, "files": files, "facts": state.facts}
        manifest["best"] = state.best
        if not self.storage.put_json_if_absent(self._manifest(number), manifest):
            raise StorageError(f"{self._manifest(number)}: another driver trains this run; leaving it to that one.")
        self._forget(number, state.best)

    def _forget(self, newest: int, newest_is_best: bool) -> None:
        """Delete the files of all but the newest `keep` and the newest best checkpoint."""
        best_seen = newest_is_best
        for number in range(newest - 1, 0, -1):
            try:
                manifest = self.storage.get_json(self._manifest(number))
            except StorageError:  # damaged: there is nothing to find its files by
                continue
            if manifest is None or manifest.get("deleted"):
                continue
            spared = number > newest - self.keep or (manifest["best"] and not best_seen)
            best_seen |= manifest["best"]
            if spared:
                continue
            self.storage.put_json(self._manifest(number), {**manifest, "deleted": True})
            for file in manifest["files"].values():
                self.storage.delete(file["path"])

    def _read(self, number: int, manifest: dict[str, Any]) -> State:
        found = {}
        for name, file in manifest["files"].items():
            data = self.storage.get(file["path"])
            if data is None or _digest(data) != file["digest"]:
                problem = "is missing" if data is None else "is not what was written"
                raise PairmillError(f"{self.storage.where(file['path'])} {problem}.")
            found[name] = load(data)
        return State(manifest["step"], found["model"], found["optimizer"], manifest["facts"], manifest["best"], number)

    def _last(self) -> int:
        while self.storage.modified(self._manifest(self._known + 1)) is not None:
            self._known += 1
        return self._known

    def _manifest(self, number: int) -> str:
        return f"{self.prefix}/{number:06d}.json"


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Tensors:
    """The optimiser's state as named tensors: `<parameter number>.<name>`."""
    state = optimizer.state_dict()["state"]
    named = ((f"{n}.{name}", value) for n, values in state.items() for name, value in values.items())
    return {name: whole(torch.as_tensor(value)) for name, value in named}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Tensors) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, Tensors] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = like(value, parameters[int(number)])
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _copy(tensors: Tensors) -> Tensors:
    """Copies of their own on the CPU: training goes on to change the originals."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
