"""Lost nodes, a dead head, two submissions of one job, a full disk: the rows and weights of a quiet run.

    python tests/faults/nodes.py [--spec SPEC] [--only WORD] [--json FILE]

A head without CPUs and two raylets; jobs are submitted to it, so their drivers run on the head. A node is killed with
all its processes (SIGKILL) while a task of the named stage runs there; another takes its place. "same": content and
origin of all kept rows (of a training: weights and losses) are those of an unbroken run. "done twice": units that were
committed more than once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT / "tests")]

from kill_dedup import SUBMITTED, busy, submit, under_way, until  # noqa: E402
from outcomes import Case, done_twice, last_line, parser, run_cases  # noqa: E402

import services  # noqa: E402
from pairmill.runs.browse import records  # noqa: E402
from reading import digest, only_run  # noqa: E402

SHARDS = ["resources.shard_size=1MB"]
AWAY = "the job server cannot be asked"
TRAINING = ["steps=60", "checkpoints.steps=4", "resources.workers=2"]


@dataclass
class Place:
    """A folder for the storages of the cases, a spec of each kind, and the results of unbroken runs."""

    folder: Path
    spec: str
    training: str
    rows: str = ""
    trained: Path = Path()

    def storage(self, name: str) -> Path:
        return self.folder / name


def ended(process: subprocess.Popen[str]) -> str:
    """Wait for the job; SystemExit with its log where it failed."""
    log, _ = process.communicate(timeout=1800)
    if process.returncode:
        raise SystemExit(f"the job failed ({process.returncode}):\n{log[-5000:]}")
    return log


def kill_node(cluster: services.RayCluster, works: Callable[[psutil.Process], Any]) -> None:
    """SIGKILL all of a raylet that `works` finds at work; a new one takes its place."""
    nodes = [node for node in cluster.nodes[1:] if node.poll() is None]
    at_work = until(lambda: [n for n in nodes if works(psutil.Process(n.pid))], "a node at work")
    services.end(at_work[0], by_force=True)
    cluster.add_worker(cpus=2)


def annotating(storage: Path) -> bool:
    return any(storage.glob("stages/annotate/*/*.parquet"))


def rows_of(place: Place, storage: Path) -> dict[str, Any]:
    run = only_run(str(storage))
    return {"same": digest(run) == place.rows, "done twice": done_twice(run)}


def lost_node(place: Place, cluster: services.RayCluster, stage: str) -> dict[str, Any]:
    storage = place.storage(f"node-{stage}")
    process = submit(place.spec, storage, cluster, *SUBMITTED)
    until(lambda: annotating(storage) if stage == "annotate" else under_way(storage, stage), stage)
    kill_node(cluster, busy)
    ended(process)
    return rows_of(place, storage)


def lost_trainer(place: Place, cluster: services.RayCluster) -> dict[str, Any]:
    from pairmill.runs.record import read_events
    from pairmill.train.progress import metrics
    from tiny_training import losses, same

    storage = place.storage("trainer")
    process = submit(place.training, storage, cluster, *TRAINING)
    until(lambda: any(storage.glob("runs/*/g0/checkpoints/000012.json")), "a checkpoint")
    kill_node(cluster, lambda root: services.train_workers(root.pid))
    ended(process)
    broken, whole = only_run(str(storage)), only_run(str(place.trained))
    resumed = [event["step"] for event in read_events(broken, metrics(broken)) if event["event"] == "resumed"]
    return {"same": same(broken, whole) and losses(broken) == losses(whole), "resumed at": resumed}


def following(place: Place, storage: Path, cluster: services.RayCluster, log: Path) -> services.Process:
    """A client of `pairmill submit --follow`."""
    options = ["--address", cluster.job_address, "--follow", "--package", "--storage", str(storage)]
    options += services.options_set(SUBMITTED)
    return services.start_pairmill("submit", place.spec, *options, log=log, env=services.NO_TOKEN)


def lost_head(place: Place, start: Callable[[], services.RayCluster]) -> dict[str, Any]:
    """The head dies with the driver; the job is submitted to a cluster that is started anew."""
    storage, log, cluster = place.storage("head"), place.folder / "client.log", start()
    client = following(place, storage, cluster, log)
    until(lambda: under_way(storage, "links"), "links")
    for node in cluster.nodes:
        services.end(node, by_force=True)
    until(lambda: AWAY in log.read_text(), "the client's message")
    told = {"the client says": next(line for line in log.read_text().splitlines() if AWAY in line)}
    services.end(client)
    ended(submit(place.spec, storage, start(), *SUBMITTED))
    return {**rows_of(place, storage), **told}


def twice(place: Place, cluster: services.RayCluster) -> dict[str, Any]:
    """`pairmill submit` of one spec, by two clients at once."""
    storage = place.storage("twice")
    logs = [place.folder / f"client-{number}.log" for number in range(2)]
    clients = [following(place, storage, cluster, log) for log in logs]
    codes = [client.wait(timeout=1800) for client in clients]
    if any(codes):
        raise SystemExit("\n".join(log.read_text()[-3000:] for log in logs))
    return {**rows_of(place, storage), "runs": len(records(str(storage)))}


def full_disk(place: Place, size: str) -> dict[str, Any]:
    """The storage's disk fills; with more room the same command resumes."""
    with services.small_disk(place.storage("full"), size) as disk:
        sets = services.options_set(SHARDS)
        arguments = ["run", place.spec, "--storage", str(disk / "store"), *sets]
        first = services.run_pairmill(*arguments, timeout=1800)
        told = {"exit": first.code, "message": last_line(first.stderr)}
        subprocess.run(["mount", "-o", "remount,size=4g", str(disk)], check=True)
        second = services.run_pairmill(*arguments, timeout=1800)
        told["resumed"] = second.code == 0
        return {**rows_of(place, disk / "store"), **told}


def unbroken(place: Place, cluster: services.RayCluster) -> None:
    """What all is compared with: the rows of a run on this machine, the weights of one on the cluster."""
    storage = place.storage("unbroken")
    sets = services.options_set(SHARDS)
    outcome = services.run_pairmill("run", place.spec, "--storage", str(storage), *sets, timeout=1800)
    if outcome.code:
        raise SystemExit(outcome.output)
    place.rows = digest(only_run(str(storage)))
    place.trained = place.storage("trained")
    ended(submit(place.training, place.trained, cluster, *TRAINING))


def cases(
    place: Place, cluster: Callable[[], services.RayCluster], again: Callable[[], services.RayCluster]
) -> Iterator[Case]:
    yield "a node killed in annotate", lambda: lost_node(place, cluster(), "annotate")
    for stage in ("bands", "links", "walk"):
        yield f"a node killed in the shuffle: {stage}", lambda stage=stage: lost_node(place, cluster(), stage)  # type: ignore[misc]
    yield "a node killed in training, 2 workers", lambda: lost_trainer(place, cluster())
    yield "two identical submissions", lambda: twice(place, cluster())
    yield "the disk fills (30 MB)", lambda: full_disk(place, "30m")
    yield "the head killed, restarted, resubmitted", lambda: lost_head(place, again)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--spec", default="jobs/examples/gettext.yaml")
    options = arguments.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from contextlib import ExitStack

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pairmill-faults-")))
        started: list[services.RayCluster] = []

        def start() -> services.RayCluster:
            cluster = stack.enter_context(services.start_ray_cluster(workers=0))
            cluster.add_worker(cpus=2)
            cluster.add_worker(cpus=2)
            return cluster

        def cluster() -> services.RayCluster:
            if not started:
                started.append(start())
            return started[0]

        from tiny_training import SPEC, write_inputs

        training = folder / "training.yaml"
        training.write_text(SPEC.format(folder=write_inputs(folder)))
        place = Place(folder, options.spec, str(training))
        unbroken(place, cluster())
        run_cases(cases(place, cluster, start), options.only, options.json)


if __name__ == "__main__":
    main()
