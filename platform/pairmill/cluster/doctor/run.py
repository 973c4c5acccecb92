"""The doctor: ask all nodes, go through the table of checks, say what was found.

A cluster is named as drivers name it (`auto`, HOST:PORT, ray://HOST:10001), or by its job server, http://HEAD:8265:
then the doctor runs there as a job, and what it finds is told here, with what differs from this machine.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pairmill.cluster.doctor import facts, machines, places, probe, software
from pairmill.cluster.doctor.findings import CLUSTER, Finding
from pairmill.errors import PairmillError
from pairmill.spec.load import LoadedSpec

Check = Callable[[facts.Facts], Iterable[Finding]]
#: By the name that findings bear. A check's docstring says what holds where it finds nothing.
CHECKS: dict[str, Check] = {
    "nodes": software.answers,
    "versions": software.versions,
    "package": software.package,
    "auth": software.tokens,
    "ports": places.ports,
    "storage": places.storage,
    "clock": places.clocks,
    "spill disk": machines.spill,
    "object store": machines.object_store,
    "memory": machines.memory,
    "open files": machines.open_files,
    "resources": machines.resources,
    "gpu": machines.gpus,
}
#: What there is to say of a machine alone.
OF_A_MACHINE = ("storage", "clock", "open files")
#: How long the doctor may take as a job.
JOB_SECONDS = 300.0


@dataclass
class Examination:
    """What was found, and for a doctor elsewhere what this machine is and what Ray offers on each node."""

    findings: list[Finding]
    here: dict[str, Any] = field(default_factory=dict)
    offers: dict[str, dict[str, float]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def examine(address: str | None, storage: str | None, spec: LoadedSpec | None) -> Examination:
    """Everything there is to say, the checks in the order of the table."""
    if address and address.startswith(("http://", "https://")):
        return Examination(list(_by_job(address, storage, spec)))
    try:
        asked = facts.ask(address, storage, spec)
    except facts.Unreachable as error:
        return Examination([_unreachable(address or "", str(error))])
    found = [finding for name, check in CHECKS.items() for finding in _of(name, check, asked)]
    return Examination(found, asked.here, {node.name: node.resources for node in asked.nodes})


def _of(name: str, check: Check, asked: facts.Facts) -> list[Finding]:
    if not asked.ray and name not in OF_A_MACHINE:
        return [Finding(name, "skipped", CLUSTER, "no cluster was named")]
    if name == "resources" and asked.spec is None:
        return [Finding(name, "skipped", CLUSTER, "no spec was named")]
    found = list(check(asked))
    count = f"{len(asked.nodes)} nodes" if len(asked.nodes) != 1 else "1 node"
    return found or [Finding(name, "ok", CLUSTER, f"{count}: {(check.__doc__ or '').strip()}")]


def _unreachable(address: str, message: str) -> Finding:
    """What to do where Ray does not let us in."""
    if any(word in message.lower() for word in ("authentic", "token", "401", "403")):
        return Finding(
            "auth",
            "error",
            CLUSTER,
            f"{address}: the cluster wants a token, and the one given here is missing or wrong ({_first(message)})",
            "Set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH (or RAY_AUTH_TOKEN) to the cluster's token; on KubeRay it "
            "is in the cluster's secret.",
        )
    return Finding(
        "connection",
        "error",
        CLUSTER,
        f"{address}: no Ray cluster answers there ({_first(message)})",
        "Check that it runs (`ray status` on its head) and that this machine reaches the port: 6379 from the cluster's "
        "hosts, 10001 as ray://HEAD:10001, 8265 as http://HEAD:8265.",
    )


def _first(message: str) -> str:
    return next((line.strip() for line in message.splitlines() if line.strip()), "no reason given")[:300]


def _by_job(address: str, storage: str | None, spec: LoadedSpec | None) -> Iterator[Finding]:
    """Run the doctor on the cluster, as a job."""
    from pairmill.cluster.job_server import JobServer

    options = ["--address", "auto", "--json", *(["--storage", storage] if storage else [])]
    job_id = f"pairmill-doctor-{uuid.uuid4().hex[:8]}"
    try:
        server = JobServer(address)
        server.submit(job_id, shlex.join(["python", "-m", "pairmill", "doctor", *options]), {}, {"kind": "doctor"})
        deadline = time.monotonic() + JOB_SECONDS
        while not (job := server.job(job_id)).ended and time.monotonic() < deadline:
            time.sleep(0.5)
        log = server.logs(job_id)
    except PairmillError as error:
        yield _unreachable(address, str(error))
        return
    told = _last_json(log)
    if told is None:
        yield Finding(
            "package",
            "error",
            CLUSTER,
            f"the doctor does not run on the cluster (job {job_id}, {job.state}): {_last(log) or job.message}",
            "Install this Pairmill in the cluster's image (docs/operator.md); the doctor cannot travel to it.",
        )
        return
    yield from (Finding(**finding) for finding in told["findings"])
    nodes = [facts.Node(name, resources) for name, resources in told["offers"].items()]
    asked = facts.Facts(told["here"], nodes, True, storage, spec)
    for name in ("resources", "gpu") if spec else ():
        yield from CHECKS[name](asked)
    yield from _compared(told["here"])


def _compared(theirs: dict[str, Any]) -> Iterator[Finding]:
    """What differs between the cluster's head and this machine."""
    ours = probe.look({"seconds": 0})
    both = facts.Facts(ours, [facts.Node("head of the cluster", {}, True, theirs)], True, None, None)
    for check in (software.versions, software.package):
        for finding in check(both):
            yield replace(finding, node=f"{finding.node}, against this machine")


def _last_json(log: str) -> Any:
    """The JSON document that a log ends with."""
    start = log.rfind("\n{\n")
    with contextlib.suppress(ValueError):
        return json.loads(log[start + 1 :] if start >= 0 else log)
    return None


def _last(log: str) -> str:
    return next((line for line in reversed(log.splitlines()) if line.strip()), "")
