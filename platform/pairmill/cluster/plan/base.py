"""What every plan is made of, and what it is made with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pairmill.cluster.plan.given import Cluster, Given
from pairmill.cluster.plan.rates import Rates
from pairmill.cluster.plan.sheet import Quantity, Sheet

#: Of a machine's memory, what Ray gives to tasks.
OFFERED = 0.7


@dataclass(frozen=True)
class Stage:
    """A stage's work: `units` of about the same size, each a task that reserves `cpus` and `memory`, on `gpus` GPUs."""

    name: str
    cpu: Quantity  # CPU-seconds; of stages on GPUs those beside them
    units: float = 1
    memory: float = 1e9
    cpus: float = 1
    moved: float = 0  # bytes read from and written to the storage
    requests: float = 0  # reads of single objects or parts of them
    flops: Quantity | None = None  # on GPUs
    gpus: float = 0  # of a unit


@dataclass(frozen=True)
class Rows:
    """Rows that a job will have kept, for the steps that read them."""

    rows: Quantity
    text: Quantity  # bytes of UTF-8 of both sides of a row
    sources: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Plan:
    """A job's plan. `figures` are the lines to look at first; `steps` are those of a pipeline."""

    kind: str
    name: str
    sheet: Sheet = field(default_factory=Sheet)
    stages: list[Stage] = field(default_factory=list)
    figures: list[Quantity] = field(default_factory=list)
    rows: Rows | None = None
    steps: list[Plan] = field(default_factory=list)

    @property
    def all_stages(self) -> list[Stage]:
        return [*self.stages, *(stage for step in self.steps for stage in step.all_stages)]

    def assumptions(self) -> Iterator[str]:
        yield from self.sheet.assumptions
        for step in self.steps:
            yield from step.assumptions()


@dataclass
class Context:
    """What plans are made with. `sample` rows of each input are looked at; `runs` and `models` are those that earlier
    steps will make, by name."""

    storage: str
    rates: Rates
    given: Given = field(default_factory=Given)
    cluster: Cluster | None = None
    sample: int = 20_000
    runs: dict[str, Rows] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)

    def largest_memory(self) -> float:
        """Bytes that the largest node of the cluster, or this machine, offers to tasks."""
        if self.cluster is not None:
            return float(max(node.memory for node in self.cluster.nodes))
        return OFFERED * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    def cpus(self) -> float:
        if self.cluster is not None:
            return sum(node.count * node.cpus for node in self.cluster.nodes)
        return float(os.cpu_count() or 1)
