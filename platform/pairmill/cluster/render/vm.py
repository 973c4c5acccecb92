"""A configuration for `ray up`: machines of a cloud, or machines that are there, that run the image in containers.

Each group of workers becomes a node type: the smallest machine of its ladder with the CPUs, memory and GPUs that a
worker of the group wants, and Ray is told what the group is worth rather than what the machine is, so that tasks fill
it as planned. Machines that are there (`local`) are all alike to Ray: it finds out what they have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pairmill.cluster.render.groups import GB, OBJECT_STORE, Group
from pairmill.cluster.render.options import HOME, METRICS_PORT, Options
from pairmill.errors import SpecError
from pairmill.train.stopping import STOP_SECONDS, STOP_VARIABLE

Json = dict[str, Any]


class Machine(NamedTuple):
    """A type of machine: its name, CPUs, memory in GB and GPUs."""

    type: str
    cpus: int
    memory: int
    gpus: int = 0


#: General, then memory-heavy, each from small to large; as the clouds describe them.
MACHINES = {
    "aws": (
        Machine("m7i.xlarge", 4, 16),
        *(Machine(f"m7i.{size}xlarge", 4 * size, 16 * size) for size in (2, 4, 8, 12, 16, 24, 48)),
        *(Machine(f"r7i.{size}xlarge", 4 * size, 32 * size) for size in (2, 4, 8, 12, 16, 24, 48)),
        Machine("g6.4xlarge", 16, 64, 1),
        Machine("g6.8xlarge", 32, 128, 1),
        Machine("g6.12xlarge", 48, 192, 4),
        Machine("g6.48xlarge", 192, 768, 8),
        Machine("p5.48xlarge", 192, 2048, 8),
    ),
    "gcp": (
        *(Machine(f"n2-standard-{cpus}", cpus, 4 * cpus) for cpus in (4, 8, 16, 32, 48, 64, 80, 96, 128)),
        *(Machine(f"n2-highmem-{cpus}", cpus, 8 * cpus) for cpus in (4, 8, 16, 32, 48, 64, 80, 96)),
        Machine("g2-standard-16", 16, 64, 1),
        Machine("g2-standard-32", 32, 128, 1),
        Machine("g2-standard-48", 48, 192, 4),
        Machine("g2-standard-96", 96, 384, 8),
        Machine("a3-highgpu-8g", 208, 1872, 8),
    ),
}
#: Of a machine's memory, what its system takes.
SYSTEM_SHARE = 0.08
HEAD = "head"


@dataclass(frozen=True)
class Place:
    """Where the machines are: `provider` is aws, gcp or local; `machines` overrides the type of a group."""

    provider: str
    region: str | None = None
    zone: str | None = None
    project: str | None = None
    head: str | None = None
    workers: tuple[str, ...] = ()
    user: str = "ubuntu"
    machines: tuple[tuple[str, str], ...] = ()


def config(groups: Sequence[Group], options: Options, place: Place) -> Json:
    """The configuration. Raises SpecError where the place lacks what its provider needs."""
    made: Json = {
        "cluster_name": options.name,
        "provider": _provider(place),
        "auth": {"ssh_user": place.user},
        "docker": {"image": options.image, "container_name": "pairmill", "run_options": _container(options)},
        "file_mounts": {f"{HOME}/.ray/auth_token": "~/.ray/auth_token"},
    }
    if place.provider == "local":
        made |= {"min_workers": len(place.workers), "max_workers": len(place.workers)}
        head, workers = ["--num-cpus=0"], [""]
    else:
        types = {HEAD: _node(_machine(place, HEAD, 4, 16, 0), place, {"CPU": 0}, 0, 0)}
        types |= {group.name: _of_group(group, place) for group in groups}
        made |= {"max_workers": sum(group.high for group in groups), "idle_timeout_minutes": 5}
        made |= {"head_node_type": HEAD, "available_node_types": types}
        head, workers = [], []
    return {**made, **_commands(" ".join(head), " ".join(workers))}


def _commands(head: str, workers: str) -> Json:
    common = f"--object-store-memory={OBJECT_STORE} --metrics-export-port={METRICS_PORT}"
    return {
        "head_start_ray_commands": [
            "ray stop",
            "ulimit -n 65536; ray start --head --port=6379 --dashboard-host=127.0.0.1 "
            f"--autoscaling-config=~/ray_bootstrap_config.yaml {common} {head}".rstrip(),
        ],
        "worker_start_ray_commands": [
            "ray stop",
            f"ulimit -n 65536; ray start --address=$RAY_HEAD_IP:6379 {common} {workers}".rstrip(),
        ],
    }


def _container(options: Options) -> list[str]:
    """Options of `docker run`: limits, the variables that jobs read, the token's place, directories of the machine."""
    told = {"PAIRMILL_STORAGE": options.storage, "RAY_USAGE_STATS_ENABLED": "0", STOP_VARIABLE: str(STOP_SECONDS)}
    told |= {**dict(options.env), "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": f"{HOME}/.ray/auth_token"}
    given = [f"--env {name}='{value}'" for name, value in told.items()]
    mounted = [f"--volume {host}:{path}" for host, path in options.volumes]
    return ["--ulimit nofile=65536:65536", "--security-opt no-new-privileges", "--cap-drop ALL", *given, *mounted]


def _provider(place: Place) -> Json:
    every: dict[str, Json] = {
        "aws": {"region": place.region},
        "gcp": {"region": place.region, "availability_zone": place.zone, "project_id": place.project},
        "local": {"head_ip": place.head, "worker_ips": list(place.workers)},
    }
    needed = every[place.provider]
    options = {"region": "--region", "availability_zone": "--zone", "project_id": "--project", "head_ip": "--head-ip"}
    options["worker_ips"] = "--worker-ip"
    for name, value in needed.items():
        if not value:
            raise SpecError(f"--provider {place.provider} needs {options[name]}.")
    return {"type": place.provider, **needed}


def _of_group(group: Group, place: Place) -> Json:
    memory = group.whole_memory / GB / (1 - SYSTEM_SHARE)
    machine = _machine(place, group.name, group.cpus, memory, group.gpus)
    worth = {"CPU": group.cpus, "memory": group.memory, **({"GPU": group.gpus} if group.gpus else {})}
    return _node(machine, place, worth, group.low, group.high)


def _node(machine: str, place: Place, worth: dict[str, int], low: int, high: int) -> Json:
    key = "InstanceType" if place.provider == "aws" else "machineType"
    bounds = {"min_workers": low, "max_workers": high}
    return {"node_config": {key: machine}, "resources": worth, **bounds}


def _machine(place: Place, name: str, cpus: int, memory: float, gpus: int) -> str:
    """The type of machine that was named for a group, or the first that has enough."""
    named = dict(place.machines)
    if name in named:
        return named[name]
    for found in MACHINES[place.provider]:
        if found.cpus >= cpus and found.memory >= memory and found.gpus >= gpus and bool(found.gpus) == bool(gpus):
            return found.type
    raise SpecError(
        f"group {name}: no machine known of {place.provider} has {cpus} CPUs, {memory:,.0f} GB and {gpus} GPUs. "
        f"Name one: --machine {name}=TYPE, or ask for less: --cpus, --gpus, --large-memory."
    )
