"""A submitted sweep, two trials at once, storage on S3, loses a node and its cluster: the trials of a quiet sweep.

    python tests/faults/kill_sweep.py [--only WORD] [--json FILE]

A head with room for no trial and two raylets; a node is killed with all its processes (SIGKILL) while a trial trains or
has its driver there. The last case runs here, one trial at a time, each over two seeds and pruned by the first. "same":
values, states, figures and best of all trials are those of a sweep that ran here, unbroken, one trial at a time. "done
twice": runs of trials that had ended before the kill, and were worked on again.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / place) for place in ("platform", "tests", "tests/sweep")]

from kill_dedup import submit, until  # noqa: E402
from nodes import ended  # noqa: E402
from outcomes import Case, parser, run_cases  # noqa: E402
from sweepkit import attempts, ended_runs, spec, summary_of, told, training  # noqa: E402

import services  # noqa: E402

RATES = {"optimizer.lr": {"choice": [1e-3, 1e-6, 1e-2, 1e-7]}}
WORKER = {"workers": 1, "cpus_per_worker": 1, "threads": 1}


@dataclass
class Sweeps:
    """Specs and storages, and the summary of the unbroken sweep."""

    folder: Path
    s3: services.S3
    quiet: dict[str, Any]

    def spec(self, name: str, **keys: Any) -> str:
        file = self.folder / f"{name}.yaml"
        given = spec(self.folder, space=RATES, search="grid", **keys)
        given["trial"]["resources"] |= WORKER
        file.write_text(yaml.safe_dump(given))
        return str(file)

    def storage(self) -> str:
        return self.s3.bucket("sweeps") + "/pairmill"


def judged(storage: str, quiet: dict[str, Any], before: dict[str, int]) -> dict[str, Any]:
    found, now = summary_of(storage), attempts(storage)
    again = sum(now[name] != count for name, count in before.items())
    for one, other, trial in zip(told(found), told(quiet), found["trials"], strict=True):
        if one != other:
            print(f"{one}\ninstead of\n{other}\n{trial['message'] or ''}", flush=True)
    return {
        "same": told(found) == told(quiet) and found["best"] == quiet["best"],
        "done twice": again,
        "trials": len(found["trials"]),
        "ended before": len(before),
    }


def wait_for(storage: str, trials: int) -> None:
    until(lambda: training(storage, trials), f"{trials} trials that have ended, and one that trains", pause=0.2)


def drivers(node: int) -> list[psutil.Process]:
    """Processes of trials, which drive their runs."""
    return services.processes(node, "pairmill.sweep.process")


def lost_node(
    sweeps: Sweeps, cluster: services.RayCluster, processes: Callable[[int], list[psutil.Process]]
) -> dict[str, Any]:
    """A node dies that has such processes of a trial; another one comes."""
    storage = sweeps.storage()
    client = submit(sweeps.spec("node", concurrency=2), storage, cluster)
    wait_for(storage, 1)
    before = ended_runs(storage)
    found = until(lambda: [node for node in cluster.nodes[1:] if processes(node.pid)], "a node to kill")[0]
    lost = {"trainings lost": len(services.train_workers(found.pid)), "drivers lost": len(drivers(found.pid))}
    services.end(found, by_force=True)
    cluster.add_worker(cpus=2)
    ended(client)
    return {**judged(storage, sweeps.quiet, before), **lost}


def lost_cluster(sweeps: Sweeps, start: Callable[[], services.RayCluster]) -> dict[str, Any]:
    """All nodes die, the driver with them; the sweep is submitted to a cluster that is started anew."""
    storage, cluster = sweeps.storage(), start()
    file = sweeps.spec("cluster", concurrency=2)
    client = submit(file, storage, cluster)
    wait_for(storage, 2)
    before = ended_runs(storage)
    for node in cluster.nodes:
        services.end(node, by_force=True)
    services.end(client)
    ended(submit(file, storage, start()))
    return judged(storage, sweeps.quiet, before)


def seeds_and_pruning(sweeps: Sweeps) -> dict[str, Any]:
    keys: dict[str, Any] = {"seeds": [1, 2], "prune": {"by": "asha", "grace": 50, "reduction": 2}}
    file = sweeps.spec("seeds", **keys)
    storages = [sweeps.storage(), sweeps.storage()]
    whole = services.run_pairmill("run", file, "--storage", storages[0], env=sweeps.s3.env, timeout=1800)
    driver = services.start_pairmill(
        "run", file, "--storage", storages[1], log=sweeps.folder / "driver.log", env=sweeps.s3.env
    )
    wait_for(storages[1], 2)
    before = ended_runs(storages[1])
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    again = services.run_pairmill("run", file, "--storage", storages[1], env=sweeps.s3.env, timeout=1800)
    if whole.code or again.code:
        raise SystemExit(whole.output + again.output)
    quiet = summary_of(storages[0])
    pruned = sum(trial["state"] == "pruned" for trial in quiet["trials"])
    return {**judged(storages[1], quiet, before), "pruned": pruned}


def cases(
    sweeps: Sweeps, start: Callable[[], services.RayCluster], ran: Callable[[], dict[str, Any]]
) -> Iterator[Case]:
    def with_quiet(case: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        sweeps.quiet = sweeps.quiet or ran()
        return case()

    for name, processes in (("training", services.train_workers), ("driver", drivers)):
        lost = partial(lost_node, sweeps, processes=processes)
        yield f"a node killed that has a trial's {name}", lambda lost=lost: with_quiet(lambda: lost(start()))  # type: ignore[misc]
    yield "the cluster killed, submitted to another", lambda: with_quiet(lambda: lost_cluster(sweeps, start))
    yield "the driver killed, two seeds, pruned", lambda: seeds_and_pruning(sweeps)


def main() -> None:
    options = parser(__doc__).parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pairmill-faults-")))
        s3 = stack.enter_context(services.moto_s3(folder))
        os.environ.update(s3.env)
        sweeps = Sweeps(folder, s3, {})

        env = {**services.NO_TOKEN, **s3.env}

        def start() -> services.RayCluster:
            cluster = stack.enter_context(services.start_ray_cluster(0, env, head=("--memory", "1")))
            for _ in range(2):
                cluster.add_worker(cpus=2)
            return cluster

        def quiet() -> dict[str, Any]:
            storage = str(folder / "quiet")
            outcome = services.run_pairmill("run", sweeps.spec("quiet"), "--storage", storage, timeout=1800)
            if outcome.code:
                raise SystemExit(outcome.output)
            return summary_of(storage)

        run_cases(cases(sweeps, start, quiet), options.only, options.json)


if __name__ == "__main__":
    main()
