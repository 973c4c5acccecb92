"""Which workers a spec needs, from what its tasks reserve; every number is told as arithmetic.

1. Each kind says what its tasks reserve: CPUs, memory, GPUs, and how many must run at once (`demands`).
2. Demands share a group of like workers: `gpu` where a task wants one, `memory` where what a worker holds wants 4 GB or
   more for each of its CPUs, else `cpu`.
3. A worker holds as many tasks as its CPUs (and GPUs) allow; its memory is theirs, Ray's object store and processes.
4. There is at least one worker of each group from the start: a job looks at the nodes there are before it begins.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pairmill.cluster.render.options import Options
from pairmill.errors import SpecError
from pairmill.spec.derived import DerivedSpec
from pairmill.spec.load import LoadedSpec, steps

GB = 10**9
#: No table goes through Ray's object store: names and counts of units do.
OBJECT_STORE = 1 * GB
#: Raylet, agents and idle workers of a node.
PROCESSES = 2 * GB
#: General-purpose machines come with 4 GB a CPU.
HEAVY = 4 * GB
#: Assumed of a training worker, whose memory specs do not declare; and CPUs beside a GPU, which read and tokenise.
RANK_MEMORY, GPU_RANK_MEMORY, CPUS_PER_GPU = 8 * GB, 32 * GB, 4
#: Assumed of the one task of `dedup: single`; 400 MB and 256 bytes a row (docs/scale.md).
LARGE_MEMORY = 64 * GB
GPUS_OF_A_MACHINE = 8


@dataclass(frozen=True)
class Demand:
    """What each of some tasks reserves; `at_once` is how many must have room together, `alone` that there is one."""

    what: str
    cpus: float
    memory: int
    gpus: float = 0
    at_once: int | None = None
    alone: bool = False

    def held(self, cpus: int, gpus: int) -> int:
        """How many of them a worker holds."""
        if self.alone:
            return 1
        room = int(gpus / self.gpus) if self.gpus else int(cpus / self.cpus)
        return max(1, min(room, self.at_once or room))

    def group(self, cpus: int) -> str:
        """The group it is for, where a worker has `cpus` or as many as a task wants."""
        if self.gpus:
            return "gpu"
        cpus = max(cpus, math.ceil(self.cpus))
        return "memory" if self.held(cpus, 0) * self.memory >= HEAVY * cpus else "cpu"


@dataclass(frozen=True)
class Group:
    """Like workers: what each has (`memory`: bytes for tasks), how many, and why."""

    name: str
    cpus: int
    memory: int
    gpus: int
    low: int
    high: int
    arithmetic: tuple[str, ...]

    @property
    def whole_memory(self) -> int:
        """Bytes of a worker: for tasks, object store and Ray's processes."""
        return self.memory + OBJECT_STORE + PROCESSES


def groups(loaded: LoadedSpec, options: Options) -> list[Group]:
    """The groups of workers, those for tasks first. Raises SpecError where bounds and spec do not go together."""
    trials = getattr(loaded.spec, "concurrency", 1)
    wanted = [
        replace(demand, at_once=demand.at_once and trials * demand.at_once)
        for spec, name in specs(loaded)
        for demand in _demands(spec, name, options)
    ]
    found = {name: [d for d in wanted if d.group(options.cpus) == name] for name in ("cpu", "memory", "gpu")}
    return [_group(name, demands, options) for name, demands in found.items() if demands]


def specs(loaded: LoadedSpec) -> Iterator[tuple[Any, str]]:
    """The spec, or of a pipeline its steps, each with a word for it; of a sweep those of its trial."""
    if loaded.spec.kind == "sweep":
        ((_, trial),) = steps(loaded)
        yield from specs(trial)
        return
    if loaded.spec.kind != "pipeline":
        yield loaded.spec, loaded.spec.kind
    for name, step in steps(loaded):
        yield step.spec, f"step {name}"


def _demands(spec: Any, name: str, options: Options) -> Iterator[Demand]:
    wanted = spec.resources
    task = (wanted.cpus_per_task, wanted.memory_per_task)
    if spec.kind == "embed":
        yield Demand(f"{name}: workers", *task, wanted.gpus_per_worker)
        return
    yield Demand(f"{name}: tasks", *task)
    if spec.kind == "evaluate" and wanted.gpus_per_task:
        yield Demand(f"{name}: tasks that encode", *task, wanted.gpus_per_task)
    if spec.kind == "tokenizer" and 6 * spec.sample > wanted.memory_per_task:
        yield Demand(f"{name}: training the tokenizer, 6 x sample", wanted.cpus_per_task, 6 * spec.sample, alone=True)
    if spec.kind in ("train", "pretrain"):
        memory = options.rank_memory or (GPU_RANK_MEMORY if wanted.gpus_per_worker else RANK_MEMORY)
        yield Demand(f"{name}: ranks", wanted.cpus_per_worker, memory, wanted.gpus_per_worker, wanted.workers)
    if spec.kind == "curate" and not isinstance(spec, DerivedSpec) and (spec.dedup.exact or spec.dedup.near):
        single = wanted.dedup == "single" or (wanted.dedup == "auto" and options.large_memory is not None)
        if single:
            memory = options.large_memory or LARGE_MEMORY
            rows = int((memory - 400_000_000) / 256)
            yield Demand(f"{name}: duplicates in one task, up to {rows:,} rows", task[0], memory, alone=True)


def _group(name: str, demands: list[Demand], options: Options) -> Group:
    gpus = _gpus(demands, options) if name == "gpu" else 0
    cpus = max(math.ceil(demand.cpus * (demand.held(0, gpus) if gpus else 1)) for demand in demands)
    cpus = max(cpus, gpus * CPUS_PER_GPU if gpus else options.cpus)
    lines, memory = [], 0
    for demand in demands:
        tasks = demand.held(cpus, gpus)
        memory = max(memory, tasks * demand.memory)
        lines.append(_line(demand, tasks, cpus, gpus))
    lines.append(
        f"memory: {_gb(memory)} for tasks + {_gb(OBJECT_STORE)} object store + {_gb(PROCESSES)} Ray's processes = "
        f"{_gb(memory + OBJECT_STORE + PROCESSES)}"
    )
    low, high, why = _bounds(name, demands, cpus, gpus, options)
    return Group(name, cpus, memory, gpus, low, high, (*lines, why))


def _gpus(demands: list[Demand], options: Options) -> int:
    """GPUs of a worker: as asked; else all that training wants, up to those of a machine; else those of one task."""
    least = max(math.ceil(demand.gpus) for demand in demands)
    wanted = max(math.ceil(demand.gpus * (demand.at_once or 1)) for demand in demands)
    found = options.gpus or min(wanted, max(GPUS_OF_A_MACHINE, least))
    if found < least:
        raise SpecError(f"--gpus {found}: a task of the spec wants {least}. Allowed: {least} or more.")
    return found


def _line(demand: Demand, tasks: int, cpus: int, gpus: int) -> str:
    memory = f"x {_gb(demand.memory)} = {_gb(tasks * demand.memory)}"
    if demand.alone:
        return f"{demand.what}: 1 {memory}"
    if demand.gpus:
        return f"{demand.what}: {gpus} GPUs / {demand.gpus:g} each = {tasks} {memory}"
    most = f", at most {demand.at_once}" if demand.at_once == tasks else ""
    return f"{demand.what}: {cpus} CPUs / {demand.cpus:g} each{most} = {tasks} {memory}"


def _bounds(name: str, demands: list[Demand], cpus: int, gpus: int, options: Options) -> tuple[int, int, str]:
    """The fewest and most workers, and the line that says why."""
    counted = [demand for demand in demands if demand.at_once]
    needed = {d.what: math.ceil((d.at_once or 0) / d.held(cpus, gpus)) for d in counted}
    least = max(needed.values(), default=1)
    if name == "gpu":
        low, high = least, options.gpu_workers or least
        if high < least:
            raise SpecError(f"--gpu-workers {high}: the ranks of the spec want {least} workers with {gpus} GPUs each.")
    elif all(demand.alone for demand in demands):
        low = high = 1
    else:
        low = max(options.min_workers, least)
        high = max(options.max_workers, low)
    low = high if options.fixed else low
    reasons = [f"{d.what} {d.at_once} / {d.held(cpus, gpus)} = {needed[d.what]}, all at once" for d in counted]
    reasons += ["as many as will ever be: Kueue admits a job whole"] if options.fixed else []
    return low, high, f"workers: {low} to {high}" + (f" ({'; '.join(reasons)})" if reasons else "")


def _gb(size: int) -> str:
    return f"{size / GB:,.1f} GB"
