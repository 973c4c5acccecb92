"""What a spec does not say of a cluster: image, bounds, names of secrets and queues."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pairmill.errors import SpecError

#: Where pods find the spec, and a directory of their own.
SPEC_PATH, HOME = "/etc/pairmill/spec.yaml", "/home/pairmill"
METRICS_PORT = 8080
#: KubeRay adds suffixes to the names of jobs; both must be DNS labels that begin with a letter.
LONGEST_NAME = 47


@dataclass(frozen=True)
class Options:
    """Sizes are in bytes, times in seconds. `volumes` are (claim or host's directory, path), `env` (name, value)."""

    name: str
    image: str
    storage: str
    namespace: str | None = None
    min_workers: int = 1
    max_workers: int = 10
    gpu_workers: int | None = None
    cpus: int = 15
    gpus: int | None = None
    large_memory: int | None = None
    rank_memory: int | None = None
    env: tuple[tuple[str, str], ...] = ()
    env_secrets: tuple[str, ...] = ()
    volumes: tuple[tuple[str, str], ...] = ()
    service_account: str | None = None
    token_secret: str | None = None
    queue: str | None = None
    priority_class: str | None = None
    spill: int = 10_000_000_000
    spill_class: str | None = None
    ttl: int = 3600
    backoff_limit: int = 2
    egress_ports: tuple[int, ...] = ()
    monitoring: str = "monitoring"

    @property
    def fixed(self) -> bool:
        """Whether the number of workers is: Kueue admits a job with all that it will use."""
        return self.queue is not None


def cluster_name(wanted: str) -> str:
    """A name as Kubernetes takes it, of the spec's name: `pairmill-` and at most 38 characters of it."""
    return f"pairmill-{wanted}"[:LONGEST_NAME].rstrip("-")


def check_name(name: str) -> str:
    """Raises SpecError for a name that KubeRay would refuse."""
    if len(name) > LONGEST_NAME or not re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", name):
        raise SpecError(
            f"--name {name}: allowed are at most {LONGEST_NAME} lower-case letters, digits and hyphens, a letter first."
        )
    return name


def volume(text: str) -> tuple[str, str]:
    """CLAIM:PATH, for machines HOST:PATH. Raises SpecError where it is not that."""
    claim, colon, path = text.partition(":")
    if not colon or not claim or not path.startswith("/"):
        raise SpecError(
            f"--volume {text}: write CLAIM:PATH, a persistent volume claim (vm: a directory) and an absolute path."
        )
    return claim, path.rstrip("/")
