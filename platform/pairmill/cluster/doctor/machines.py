"""Checks of the machines: memory, disks, limits, GPUs, and whether the spec's tasks fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pairmill.cluster.doctor.facts import Facts
from pairmill.cluster.doctor.findings import CLUSTER, Finding
from pairmill.spec.load import LoadedSpec, steps

#: A block of Ray Data is up to 128 MiB; a task's output and the next one's input must be there together.
STORE_LEAST, STORE_ENOUGH = 128 << 20, 256 << 20
#: Of the spill disk: Ray stops spilling where a disk is 95 % full (local_fs_capacity_threshold).
DISK_FULL, DISK_CROWDED = 0.05, 0.10
DISK_LEAST = 5e9
OPEN_FILES = 65_536


@dataclass(frozen=True)
class Need:
    """What `count` tasks of a job reserve at a time, each."""

    what: str
    cpus: float
    memory: float
    gpus: float
    count: int


def open_files(facts: Facts) -> Iterator[Finding]:
    """Processes may open enough files and connections."""
    for node, said in facts.answered:
        if said["open_files"] < OPEN_FILES:
            yield Finding(
                "open files",
                "error" if said["open_files"] < 1024 else "warning",
                node.name,
                f"a process may open {said['open_files']:,} files; a shuffle of many partitions, and Ray itself with "
                "many workers, need more",
                f"Raise the limit before Ray starts: `ulimit -n {OPEN_FILES}`, LimitNOFILE= of a systemd unit, or the "
                "container's ulimits.",
            )


def memory(facts: Facts) -> Iterator[Finding]:
    """Ray hands out no more memory than there is."""
    for node, said in facts.answered:
        told, real = said["memory"], said["memory"]["limit"] or said["memory"]["machine"]
        offered = node.resources.get("memory", 0) + node.resources.get("object_store_memory", 0)
        if offered > real:
            kind = "container" if told["limit"] else "machine"
            yield Finding(
                "memory",
                "error",
                node.name,
                f"Ray offers {_size(offered)} to tasks and objects, and the {kind} has {_size(real)}: tasks that keep "
                "to what they reserve would be killed",
                "Start Ray with --memory and --object-store-memory below it, and leave a tenth for Ray itself.",
            )


def object_store(facts: Facts) -> Iterator[Finding]:
    """The object store holds a few blocks, and lies in memory."""
    for node, said in facts.answered:
        size = node.resources.get("object_store_memory", 0)
        if facts.ray and size < STORE_ENOUGH and node.resources.get("CPU", 0):
            yield Finding(
                "object store",
                "error" if size < STORE_LEAST else "warning",
                node.name,
                f"it has {_size(size)}, and a block of data may have {_size(STORE_LEAST)}: what does not fit is "
                "written to disk and read again",
                f"Start Ray with --object-store-memory {4 * STORE_ENOUGH} or more, and --shm-size (Docker) or a memory "
                "volume at /dev/shm (Kubernetes) above it.",
            )
        shared, place = said["shared_memory"], (said["spill"] or {}).get("store_directory", "/dev/shm")
        if place and not place.startswith("/dev/shm"):
            room = f"/dev/shm has {_size(shared['total'])}" if shared else "there is no /dev/shm"
            yield Finding(
                "object store",
                "warning",
                node.name,
                f"it lies in {place}, on disk, since {room}",
                "Give the container more shared memory: --shm-size (Docker), a memory volume at /dev/shm (Kubernetes).",
            )


def spill(facts: Facts) -> Iterator[Finding]:
    """The disk that objects spill to has room."""
    for node, said in facts.answered:
        disk = said["spill"]
        if not facts.ray or disk is None:
            continue
        share = disk["free"] / max(disk["total"], 1)
        wanted = max(DISK_LEAST, node.resources.get("object_store_memory", 0))
        if share < DISK_CROWDED or disk["free"] < wanted:
            yield Finding(
                "spill disk",
                "error" if share < DISK_FULL or disk["free"] < wanted / 5 else "warning",
                node.name,
                f"{disk['path']} has {_size(disk['free'])} free of {_size(disk['total'])}; Ray stops spilling where "
                f"{DISK_FULL:.0%} are free, and jobs then fail",
                "Free some, or start Ray with --object-spilling-directory (or --temp-dir) on a disk with "
                f"{_size(wanted)} or more.",
            )


def resources(facts: Facts) -> Iterator[Finding]:
    """The spec's tasks fit a node, and its workers the cluster."""
    for need in needs(facts.spec) if facts.spec and facts.ray else []:
        wanted = {"CPU": need.cpus, "memory": need.memory}
        fitting = [node for node in facts.nodes if all(node.resources.get(k, 0) >= v for k, v in wanted.items())]
        if not fitting:
            offered = "; ".join(
                f"{n.resources.get('CPU', 0):g} CPUs, {_size(n.resources.get('memory', 0))}" for n in facts.nodes
            )
            yield Finding(
                "resources",
                "error",
                CLUSTER,
                f"{need.what}: a task wants {need.cpus:g} CPUs and {_size(need.memory)}, the nodes offer {offered}",
                "Lower the spec's resources, or add larger nodes.",
            )


def gpus(facts: Facts) -> Iterator[Finding]:
    """The GPUs that the spec asks for are there, and torch and NCCL can use them."""
    for need in needs(facts.spec) if facts.spec and facts.ray else []:
        offered = [node.resources.get("GPU", 0) for node in facts.nodes]
        slots = sum(int(gpus // need.gpus) for gpus in offered) if need.gpus else need.count
        if slots < need.count:
            yield Finding(
                "gpu",
                "error",
                CLUSTER,
                f"{need.what}: {need.count} x {need.gpus:g} GPUs are asked for, and the nodes offer "
                f"{', '.join(f'{gpus:g}' for gpus in offered)}",
                "Add GPU nodes, start Ray with --num-gpus where it does not see them, or set the spec's "
                "gpus_per_worker (gpus_per_task) to 0.",
            )
    yield from _drivers(facts)
    yield from _nccl(facts)


def _drivers(facts: Facts) -> Iterator[Finding]:
    for node, said in facts.answered:
        gpu, offered = said["gpu"], node.resources.get("GPU", 0)
        if offered and gpu.get("torch_devices", 0) < offered:
            yield Finding(
                "gpu",
                "error",
                node.name,
                f"Ray offers {offered:g} GPUs, nvidia-smi lists {len(gpu['devices'])} and torch can use "
                f"{gpu.get('torch_devices', 0)}{': ' + gpu['error'] if 'error' in gpu else ''}",
                "Install a torch built for CUDA and a driver new enough for it, or start Ray with --num-gpus 0.",
            )
        elif gpu["devices"] and facts.ray and not offered:
            yield Finding(
                "gpu",
                "warning",
                node.name,
                f"it has {len(gpu['devices'])} GPUs ({gpu['devices'][0]}) that Ray does not offer",
                f"Start Ray there with --num-gpus {len(gpu['devices'])}.",
            )


def _nccl(facts: Facts) -> Iterator[Finding]:
    """Ranks on GPUs talk by NCCL, of one version."""
    with_gpus = [(node, said["gpu"]) for node, said in facts.answered if said["gpu"].get("torch_devices")]
    versions = {gpu["nccl"] for _, gpu in with_gpus}
    for node, gpu in with_gpus:
        if gpu["nccl"] is None or len(versions) > 1:
            found = f"NCCL is {gpu['nccl'] or 'missing from torch'}; the GPU nodes have {', '.join(map(str, versions))}"
            yield Finding("gpu", "error", node.name, found, "Give all GPU nodes the same torch, built with NCCL.")


def needs(loaded: LoadedSpec) -> list[Need]:
    """What a spec's tasks and workers reserve; of a pipeline, each step's; of a sweep, its trial's."""
    spec: Any = loaded.spec
    if spec.kind in ("pipeline", "sweep"):
        return [need for _, step in steps(loaded) for need in needs(step)]
    given = spec.resources
    found = [Need(spec.name, given.cpus_per_task, given.memory_per_task, getattr(given, "gpus_per_task", 0), 1)]
    if gpus := getattr(given, "gpus_per_worker", 0):
        cpus = getattr(given, "cpus_per_worker", given.cpus_per_task)
        found.append(Need(f"{spec.name}, workers", cpus, 0, gpus, given.workers or 1))
    return found


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
