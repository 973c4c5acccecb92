"""The training loop of one rank: batches in, steps done, figures and checkpoints out.

A step's batch, learning rate and random numbers are functions of its number, so a training that starts at a checkpoint
goes on exactly as one that never stopped; with another number of ranks or micro-batches only dropout draws anew.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import nn

from pairmill.errors import PairmillError
from pairmill.model.encoder import evaluating
from pairmill.runs import metrics
from pairmill.runs.record import Events
from pairmill.spec.training import LOWER_IS_BETTER, EarlyStopping
from pairmill.train import optimizer
from pairmill.train.checkpoints import Checkpoints, State, load_optimizer, optimizer_tensors
from pairmill.train.gradient_cache import World, sum_gradients
from pairmill.train.plan import Plan
from pairmill.train.reader import Batch, Prefetcher, Reader
from pairmill.train.sharding import is_sharded, like, whole
from pairmill.train.stopping import Stopped
from pairmill.train.trackers import Tracker

#: What rank 0 finds due at the end of a step.
NOTHING, CHECKPOINT, STOP = range(3)


class Task(Protocol):
    """What is learnt: how a batch gives gradients, and how well the model does on held-out rows."""

    parts: nn.ModuleDict

    def backward(self, number: int, read: Batch, weight: float) -> dict[str, float]:
        """Add the gradient of `weight` times the loss of batch `number`; figures of the global batch, `loss` among
        them, equal on all ranks."""

    def evaluate(self) -> dict[str, dict[str, Any]]:
        """Figures of each held-out group, equal on all ranks."""


@dataclass
class Loop:
    """What a rank trains with; `plan` counts batches, of which `accumulate` make a step."""

    spec: Any
    task: Task
    plan: Plan
    reader: Reader
    world: World = field(default_factory=World)
    checkpoints: Checkpoints | None = None
    log: Events | None = None
    tracker: Tracker | None = None
    stop_asked: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        self.parts = self.task.parts
        self.optimizer = optimizer.make(self.parts, self.spec.optimizer)
        self.trained = [p for p in self.parts.parameters() if p.requires_grad]
        self.steps = len(self.plan) // self.spec.accumulate
        self._check()
        self.facts: dict[str, Any] = {"evaluations": [], "best": None, "bad": 0, "stopped": False}
        self.saved, self.cpu = time.monotonic(), time.process_time()

    @property
    def device(self) -> torch.device:
        return self.trained[0].device

    def run(self) -> dict[str, Any]:
        """Train to the end, from the newest checkpoint; returns the evaluations. Raises Stopped, PairmillError."""
        step = self._resume()
        if step == 0 and not self.facts["evaluations"] and self._evaluate(0):
            self._save(0, True)
        self.parts.train()
        reading = Prefetcher(self.plan, self.reader, step * self.spec.accumulate, self.world.rank, self.world.size)
        with closing(reading):
            batches = iter(reading)
            while step < self.steps and not self.facts["stopped"]:
                started = time.monotonic()
                self._step(step, [next(batches) for _ in range(self.spec.accumulate)], started)
                step += 1
                self._after(step)
        if self.facts["evaluations"][-1]["step"] != step and self._evaluate(step):
            self._save(step, True)
        if self.checkpoints:
            self.checkpoints.wait()
        return {**self.facts, "steps": step}

    def _check(self) -> None:
        """Refuse what the ranks cannot share, or what is less than a step. Raises PairmillError."""
        for group in self.plan.groups:
            size = group.batch or self.plan.batch
            if size % self.world.size:
                raise PairmillError(
                    f"group {group.name}: a batch of {size} rows cannot be shared by {self.world.size} workers. "
                    f"Use a multiple of {self.world.size} for batch_size, or another number for resources.workers."
                )
        if self.steps == 0:
            raise PairmillError(
                f"the data has {len(self.plan)} batches, fewer than accumulate: {self.spec.accumulate}, so that there "
                "is no step. Raise epochs, or lower accumulate or batch_size."
            )

    def _step(self, step: int, group: Sequence[Batch], started: float) -> None:
        rate = optimizer.learning_rate(self.spec.optimizer, step, self.steps)
        optimizer.set_rate(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        found = [
            self.task.backward(step * len(group) + number, read, 1 / len(group)) for number, read in enumerate(group)
        ]
        figures = _means(found)
        sum_gradients([parameter for parameter in self.trained if not is_sharded(parameter)], self.world)
        norm = float(whole(nn.utils.clip_grad_norm_(self.trained, self.spec.optimizer.clip or math.inf)))
        if not math.isfinite(figures["loss"]) or not math.isfinite(norm):
            raise self._not_finite(step, group, figures["loss"], norm)
        self.optimizer.step()
        tokens = sum(len(column.values) for read in group for column in read.tokens.values())
        self._log(
            "step",
            step=step + 1,
            entry=group[0].step.group.entry,
            group=group[0].step.group.name,
            **figures,
            lr=rate,
            gradient_norm=norm,
            rows=sum(len(read.step.rows) for read in group),
            tokens=tokens * self.world.size,
            seconds=round(time.monotonic() - started, 4),
            cpu_seconds=self._cpu_seconds(),
            **_memory(self.device),
        )

    def _cpu_seconds(self) -> float:
        """What this process has computed since the last call: the step, and what was done before it."""
        before, self.cpu = self.cpu, time.process_time()
        return round(self.cpu - before, 4)

    def _after(self, step: int) -> None:
        """What is due at the end of a step: evaluation, checkpoint, the end where that is asked for."""
        better, every = False, self.spec.evaluate.steps
        if every and step % every == 0 and step < self.steps:
            better = self._evaluate(step)
        rules, due = self.spec.checkpoints, self.world.first(self._due())
        if better or due or (rules.steps and step % rules.steps == 0):
            self._save(step, better)
        if due == STOP:
            if self.checkpoints:
                self.checkpoints.wait()
            raise Stopped(step)

    def _due(self) -> int:
        if self.stop_asked():
            return STOP
        minutes = self.spec.checkpoints.minutes
        late = minutes is not None and time.monotonic() - self.saved > minutes * 60
        return CHECKPOINT if late else NOTHING

    def _evaluate(self, step: int) -> bool:
        """Evaluate on held-out rows; returns whether this is the best so far."""
        with evaluating(self.parts):
            found = self.task.evaluate()
        self.parts.train()
        self.facts["evaluations"].append({"step": step, "groups": found})
        self._log("evaluation", step=step, of=self.steps, groups=found)
        if self.log and self.world.rank == 0:
            self.log.flush()  # a sweep decides by it whether this goes on
        return self._is_better(found, self.spec.evaluate.early_stopping)

    def _is_better(self, found: dict[str, dict[str, Any]], rule: EarlyStopping | None) -> bool:
        if rule is None:
            return False
        values = [figures[rule.metric] for figures in found.values() if rule.metric in figures]
        if not values:
            raise PairmillError(
                f"evaluate.early_stopping: there is no {rule.metric!r} to look at. Give a data entry a `holdout`, "
                "and name one of accuracy, cosine, alignment, uniformity, spearman."
            )
        value = sum(values) / len(values) * (-1 if rule.metric in LOWER_IS_BETTER else 1)
        if self.facts["best"] is None or value > self.facts["best"]:
            self.facts |= {"best": value, "bad": 0}
            return True
        self.facts["bad"] += 1
        self.facts["stopped"] = self.facts["bad"] >= rule.patience
        return False

    def _save(self, step: int, best: bool) -> None:
        self.saved = time.monotonic()
        if self.checkpoints is None or (self.world.rank and not self.world.sharded):
            return
        state = State(step, self.tensors(), optimizer_tensors(self.optimizer), self.facts, best)
        if self.world.rank == 0:
            if self.log:
                self.log.flush()
            self.checkpoints.save(state)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The trained parameters; those that are frozen are the start model's."""
        return {name: whole(p.detach()) for name, p in self.parts.named_parameters() if p.requires_grad}

    def use_best(self) -> None:
        """Take the weights of the best evaluation, where early stopping looks for one."""
        if self.spec.evaluate.early_stopping and (state := self._chosen(best=True)) is not None:
            self.restore(state)
            self.facts["result_step"] = state.step
            self._log("best", step=state.step)

    def _chosen(self, best: bool = False) -> State | None:
        """The checkpoint that rank 0 takes, on all ranks."""
        if self.checkpoints is None:
            return None
        if self.world.rank == 0:
            state = self.checkpoints.newest(lambda text: self._log("warning", text=text), best)
            self.world.first(state.number if state else 0)
            return state
        number = self.world.first(0)
        return self.checkpoints.read(number) if number else None

    def _resume(self) -> int:
        """Load the newest checkpoint, if there is one; returns the steps done."""
        state = self._chosen()
        if state is None:
            return 0
        self.restore(state)
        load_optimizer(self.optimizer, state.optimizer)
        self.facts = state.facts
        self._log("resumed", step=state.step)
        return state.step

    def restore(self, state: State) -> None:
        """Take the weights of a checkpoint."""
        named = {name: p for name, p in self.parts.named_parameters() if p.requires_grad}
        if set(named) != set(state.model):
            raise PairmillError("the checkpoint is of another model. Run with --fresh to train anew.")
        with torch.no_grad():
            for name, parameter in named.items():
                parameter.copy_(like(state.model[name], parameter))

    def _not_finite(self, step: int, group: Sequence[Batch], loss: float, norm: float) -> PairmillError:
        if self.checkpoints:
            self.checkpoints.wait()
        rows = "; ".join(f"{read.step.group.name} rows {', '.join(map(str, read.step.rows[:5]))} ..." for read in group)
        last = self.checkpoints.newest(lambda text: None) if self.checkpoints else None
        place = f"The last good checkpoint is that of step {last.step:,}" if last else "There is no checkpoint yet"
        return PairmillError(
            f"step {step + 1:,}: the loss is {loss} and the gradient's norm {norm}: training cannot go on. "
            f"Batch: {rows}. {place}. Lower optimizer.lr, raise warmup or the temperature, or use precision: fp32."
        )

    def _log(self, event: str, **facts: Any) -> None:
        if self.log and self.world.rank == 0:
            self.log.add(event, **facts)
        if self.tracker and self.world.rank == 0:
            self.tracker.add(event, facts)
        if event == "step" and self.world.rank == 0:
            metrics.step_done(self.spec.name, facts, time.monotonic() - self.saved)


def _means(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of the batches of a step, each figure's mean over those that have it."""
    names = dict.fromkeys(name for figures in found for name in figures)
    having = {name: [figures[name] for figures in found if name in figures] for name in names}
    return {name: sum(values) / len(values) for name, values in having.items()}


def _memory(device: torch.device) -> dict[str, float]:
    return {"memory": torch.cuda.max_memory_allocated(device)} if device.type == "cuda" else {}
