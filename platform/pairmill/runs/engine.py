"""Running units on Ray Data.

The units of a stage are the rows of a dataset, one block each, so that one Ray task does one unit: it streams its
input, writes its own files, commits its manifest and returns a short JSON text. Row-sized data never passes through the
driver or the object store. Ray retries the tasks of a worker or node that died; a retried task finds what is committed
and leaves it. Errors meant for users come back as values, so that the driver prints them without Ray's traceback.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pairmill.errors import PairmillError
from pairmill.runs import uses

#: How often Ray starts a task again whose worker or node died.
RETRIES = 5
WorkFunction = Callable[[dict[str, Any]], dict[str, Any]]


class WorkerError(Exception):
    """A defect in a worker: its message is the worker's traceback."""


@dataclass(frozen=True)
class Resources:
    """What one task reserves; `at_once` is how many run at a time at most."""

    cpus: float
    memory: int
    gpus: float = 0
    at_once: int | None = None


def start(address: str | None, cpus: int | None) -> dict[str, Any]:
    """Use the Ray of this process, connect to a cluster, or start Ray on this machine. Returns facts for the record."""
    import ray

    address = address or os.environ.get("RAY_ADDRESS") or "local"
    for name in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ours = not ray.is_initialized()
    if ours:
        quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        if address == "local":
            _start_here({"num_cpus": cpus, **quiet})
        else:
            _connect(address, quiet)
        # Ray's own handler would end the driver without a word; a job that is stopped says so and resumes.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.default_int_handler)
    import ray.data  # configures its loggers when first imported

    for name in ("ray", "ray.data", "ray.util"):
        logging.getLogger(name).setLevel(logging.ERROR)
    resources = ray.cluster_resources()
    return {
        "ray": ray.__version__,
        "address": address,
        "nodes": len(ray.nodes()),
        "cpus": resources.get("CPU", 0),
        "memory": resources.get("memory", 0),
        "started_here": ours,
    }


def _start_here(options: dict[str, Any]) -> None:
    """Start Ray on this machine, once more where it is so busy that Ray's processes do not find each other in time."""
    import ray

    for _ in range(2):
        try:
            ray.init(address="local", include_dashboard=False, object_store_memory=256_000_000, **options)
            return
        except Exception as error:  # Ray raises no class of its own
            if "timed out during startup" not in str(error):
                raise
            ray.shutdown()
    raise PairmillError(
        "Ray did not start on this machine in its time, twice: other work leaves it too little CPU. "
        "Run the command again when the machine is less busy."
    )


def _connect(address: str, options: dict[str, Any]) -> None:
    import ray

    host, _, port = address.rpartition(":")
    remedy = "Check that the cluster runs and can be reached from here (`ray status`), or leave --address out."
    try:
        if host and "//" not in host:
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address=address, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise PairmillError(f"--address {address}: cannot connect to a Ray cluster: {error}. {remedy}") from error


def stop(facts: dict[str, Any]) -> None:
    """Leave the cluster, or end the Ray that `start` began; a Ray that the caller had started stays."""
    import ray

    if facts.get("started_here"):
        ray.shutdown()


def check(resources: Resources) -> None:
    """Refuse a spec whose tasks can never be scheduled. Raises PairmillError with the arithmetic."""
    if fits(resources):
        return
    if not any(n.get("GPU", 0) >= resources.gpus for n in nodes()):
        raise PairmillError(f"no node of the cluster has the {resources.gpus:g} GPUs that one task wants.")
    offered = "; ".join(f"{n.get('CPU', 0):g} CPUs and {n.get('memory', 0) / 1e9:.1f} GB" for n in nodes())
    raise PairmillError(
        f"no node of the cluster can run a task: one task wants {resources.cpus:g} CPUs and "
        f"{resources.memory / 1e9:.1f} GB, the nodes offer {offered}. "
        "Lower resources.cpus_per_task or resources.memory_per_task, or add nodes. Deduplication needs less memory "
        "with resources.dedup: distributed and resources.components: stars."
    )


def fits(resources: Resources) -> bool:
    """Whether some node can run such a task when it is idle."""
    wanted = {"CPU": resources.cpus, "memory": resources.memory, "GPU": resources.gpus}
    return any(all(node.get(name, 0) >= amount for name, amount in wanted.items()) for node in nodes())


def largest_memory() -> int:
    """The memory (bytes) that the cluster's largest node offers to tasks."""
    return int(max((n.get("memory", 0) for n in nodes()), default=0))


def nodes() -> list[dict[str, float]]:
    """The resources of each node that is alive, by name."""
    import ray

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def room(each: dict[str, float]) -> tuple[int, str]:
    """For how many workers that take `each` of Ray's resources the nodes have room, and the arithmetic in words."""
    offers, each = nodes(), {name: share for name, share in each.items() if share}
    count = sum(min(int(node.get(name, 0) / share) for name, share in each.items()) for node in offers)
    offered = "; ".join(f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in offers)
    return count, f"the nodes offer {offered}: room for {count}."


def asked(each: dict[str, float]) -> str:
    """`2 CPUs and 1 GPUs`."""
    return " and ".join(f"{share:g} {name}s" for name, share in each.items() if share)


def directory() -> str:
    """Where relative paths start on the workers; "" in a submitted job, whose workers have its working directory."""
    import ray

    return "" if ray.get_runtime_context().runtime_env.get("working_dir") else os.getcwd()


def run_units(work: WorkFunction, items: Sequence[dict[str, Any]], resources: Resources) -> Iterator[dict[str, Any]]:
    """Do `work` for each item on the cluster; yield results as they are finished, in no order."""
    if not items:
        return
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    rows = [{"item": json.dumps({**item, "cwd": directory()})} for item in items]
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    worker = _Worker(work)
    retries = {"max_retries": RETRIES}
    gpus: dict[str, Any] = {}
    if resources.gpus:
        gpus = {"num_gpus": resources.gpus, "max_calls": 0}  # 0: processes keep their models
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray 2.64 will want another way; until then there is only this one
        results = dataset.map(
            worker,
            compute=ray.data.TaskPoolStrategy(resources.at_once),
            num_cpus=resources.cpus,
            memory=resources.memory,
            ray_remote_args_fn=lambda: retries,
            **gpus,
        )
    try:
        for row in results.iter_rows():
            result = json.loads(row["result"])
            if "user_error" in result:
                raise PairmillError(result["user_error"])
            if "defect" in result:
                raise WorkerError(result["defect"])
            yield result
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError, ray.exceptions.NodeDiedError) as error:
        raise PairmillError(
            f"the worker of a task died {RETRIES + 1} times: {str(error).splitlines()[0]} Most often it lacks memory: "
            "lower resources.shard_size, or raise resources.memory_per_task so that fewer tasks share a node. "
            "What was committed stays; the same command resumes."
        ) from error


class _Worker:
    def __init__(self, work: WorkFunction):
        self._work = work
        self.__name__ = getattr(work, "__name__", "work")

    def __call__(self, row: dict[str, Any]) -> dict[str, str]:
        import pyarrow as pa

        pa.set_cpu_count(1)
        pa.set_io_thread_count(2)
        item = json.loads(row["item"])
        try:
            uses.begin(item.get("run", ""), item.get("attempt", ""))
            if item["cwd"] and os.path.isdir(item["cwd"]):
                os.chdir(item["cwd"])
            result = self._work(item)
        except PairmillError as error:
            result = {"user_error": str(error)}
        except MemoryError:
            result = {"user_error": "a task ran out of memory. Lower resources.shard_size, or give tasks more memory."}
        except Exception:
            result = {"defect": traceback.format_exc()}
        return {"result": json.dumps(result)}
