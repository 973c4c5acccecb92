"""Whether the cluster has room for as many trials at once as a sweep asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pairmill.errors import PairmillError
from pairmill.runs import engine
from pairmill.spec.load import LoadedSpec, steps
from pairmill.spec.sweep import TRAININGS, SweepSpec


def check(spec: SweepSpec, trial: LoadedSpec) -> None:
    """Refuse trials that could only wait for each other. Raises PairmillError with the arithmetic."""
    for name, each, count in _demands(trial):
        room, arithmetic = engine.room(each)
        if room < spec.concurrency * count:
            raise PairmillError(
                f"concurrency: {spec.concurrency} trials at once want {spec.concurrency} x {count} workers of "
                f"{engine.asked(each)} each in {name}; {arithmetic} Lower concurrency, or the trial's resources, or "
                "add nodes."
            )


def _demands(trial: LoadedSpec) -> Iterator[tuple[str, dict[str, float], int]]:
    """Name, resources of a worker or task, and how many there must be at once, of a trial's jobs."""
    parts = list(steps(trial)) if trial.spec.kind == "pipeline" else [("the trial", trial)]
    for name, part in parts:
        wanted: Any = part.spec.resources
        if part.spec.kind in TRAININGS:
            yield name, {"CPU": wanted.cpus_per_worker, "GPU": wanted.gpus_per_worker}, wanted.workers
        else:
            yield name, {"CPU": wanted.cpus_per_task, "GPU": getattr(wanted, "gpus_per_task", 0)}, 1
