"""Asking every node of a cluster: one Ray task on each, held there, which reserves nothing.

Without a cluster this machine alone is asked, as `pairmill run` would use it.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from pairmill.cluster.doctor import probe
from pairmill.errors import PairmillError
from pairmill.spec.load import LoadedSpec

#: How long a node may take to answer, with a worker process to start and a store to write to.
NODE_SECONDS = 90.0
#: Of these, how long the store may take: its client alone would go on for minutes.
STORAGE_SECONDS = 20.0
#: Other nodes whose ports a node tries, beside the head's.
PEERS = 32


class Unreachable(PairmillError):
    """Ray does not answer, or does not let us in."""


@dataclass
class Node:
    """A node, and what it says of itself (None where it does not answer)."""

    name: str
    resources: dict[str, float]
    is_head: bool = False
    said: dict[str, Any] | None = None
    error: str = ""
    #: Seconds that its clock is ahead of this machine's, and how far off that may be.
    ahead: float = 0.0
    within: float = 0.0
    ports: list[tuple[str, int, str]] = field(default_factory=list)


@dataclass
class Facts:
    """All that the checks look at. `here` is what the client's machine says; `ray` is False without a cluster."""

    here: dict[str, Any]
    nodes: list[Node]
    ray: bool
    storage: str | None
    spec: LoadedSpec | None

    @property
    def answered(self) -> Iterator[tuple[Node, dict[str, Any]]]:
        """The nodes that answered, each with what it said."""
        return ((node, node.said) for node in self.nodes if node.said is not None)


def ask(address: str | None, storage: str | None, spec: LoadedSpec | None) -> Facts:
    """Ask this machine and the cluster's nodes. Raises Unreachable."""
    with _marked(storage) as asked:
        here = probe.look(asked)
        if address is None:
            return Facts(here, [Node(str(here["host"]), {}, True, here)], False, storage, spec)
        with _connected(address):
            nodes = _nodes()
            _ask_nodes(nodes, asked)
            return Facts(here, [node for node, _ in nodes], True, storage, spec)


@contextmanager
def _marked(uri: str | None) -> Iterator[dict[str, Any]]:
    """What every machine is asked, with an object in the storage that all of them should see."""
    marker = f"probes/{uuid.uuid4().hex}"
    asked = {"storage": uri, "marker": marker, "seconds": STORAGE_SECONDS}
    written = probe.within(STORAGE_SECONDS, lambda: _write(uri, marker)) if uri else {}
    try:
        yield asked
    finally:
        if uri and written.get("written"):
            from pairmill.runs.storage import open_storage

            open_storage(uri).delete(marker)


def _write(uri: str, marker: str) -> dict[str, Any]:
    from pairmill.runs.storage import open_storage

    if probe.refused(uri):
        return {}
    open_storage(uri).put(marker, b"")
    return {"written": True}


@contextmanager
def _connected(address: str) -> Iterator[None]:
    """Ray, connected to the cluster. Ray itself would try for a minute where nobody listens."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit() and (problem := probe.connect(host, int(port))):
        raise Unreachable(problem)
    if host and port.isdigit() and "://" not in address and (problem := _refused(address)):
        raise Unreachable(problem)
    import ray

    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:  # Ray raises RuntimeError, ConnectionError, ValueError and classes of its own
        raise Unreachable(f"{type(error).__name__}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _refused(address: str) -> str | None:
    """Why the GCS does not let this client in, if it says so, by the smallest of its requests: `ray.init` without the
    cluster's token goes on trying, or ends the process."""
    import grpc
    from ray._private.authentication.http_token_authentication import get_auth_headers_if_auth_enabled

    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary("/ray.rpc.NodeInfoGcsService/CheckAlive")
        try:
            ask(b"", timeout=10, metadata=tuple(get_auth_headers_if_auth_enabled({}).items()))
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                return f"authentication: {error.details()}"
    return None


def _nodes() -> list[tuple[Node, str]]:
    """The nodes that are alive, each with its id, the head first."""
    import ray

    found = []
    for told in ray.nodes():
        if told["Alive"]:
            address = told["NodeManagerAddress"]
            is_head = "node:__internal_head__" in told["Resources"]
            node = Node(f"{address} ({told['NodeID'][:6]})", told["Resources"], is_head)
            node.ports = [
                (address, told["NodeManagerPort"], "raylet"),
                (address, told["ObjectManagerPort"], "object manager"),
                *_agent(told["NodeID"]),
            ]
            found.append((node, told["NodeID"]))
    return sorted(found, key=lambda one: not one[0].is_head)


def _agent(node_id: str) -> list[tuple[str, int, str]]:
    """The dashboard agent of a node, which runs jobs and serves its metrics."""
    from ray.dashboard.consts import DASHBOARD_AGENT_ADDR_NODE_ID_PREFIX
    from ray.experimental.internal_kv import _internal_kv_get

    told = _internal_kv_get(f"{DASHBOARD_AGENT_ADDR_NODE_ID_PREFIX}{node_id}", namespace=b"dashboard")
    if not told:
        return []
    address, port, _ = json.loads(told)
    return [(address, port, "dashboard agent")] if port > 0 else []


def _ask_nodes(nodes: list[tuple[Node, str]], asked: dict[str, Any]) -> None:
    import ray
    from ray import cloudpickle
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    cloudpickle.register_pickle_by_value(probe)
    try:
        look = ray.remote(num_cpus=0, max_retries=0)(probe.look)
        tasks: dict[Any, Node] = {}
        strategies = {}
        for number, (node, node_id) in enumerate(nodes):
            peers = [*_dashboard(), *nodes[0][0].ports]
            others = [nodes[(number + step) % len(nodes)][0] for step in range(1, min(PEERS, len(nodes)))]
            peers += [port for other in others if other is not nodes[0][0] for port in other.ports]
            strategy = NodeAffinitySchedulingStrategy(node_id, soft=False)
            tasks[look.options(scheduling_strategy=strategy).remote({**asked, "peers": peers})] = node
            strategies[node.name] = strategy
        done, _ = ray.wait(list(tasks), num_returns=len(tasks), timeout=NODE_SECONDS)
        for task, node in tasks.items():
            if task not in done:
                node.error = f"no answer within {NODE_SECONDS:g} s"
                ray.cancel(task, force=True)
                continue
            try:
                node.said = ray.get(task)
                _read_clock(node, strategies[node.name])
            except Exception as error:
                node.error = f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
    finally:
        cloudpickle.unregister_pickle_by_value(probe)


def _read_clock(node: Node, strategy: Any) -> None:
    """The node's clock against ours, by the quickest of three questions, as NTP does it."""
    import ray

    now = ray.remote(num_cpus=0, max_retries=0)(probe.clock).options(scheduling_strategy=strategy)
    best = float("inf")
    for _ in range(3):
        before = time.time()
        theirs = ray.get(now.remote(), timeout=NODE_SECONDS)
        after = time.time()
        if after - before < best:
            best = after - before
            node.ahead, node.within = theirs - (before + after) / 2, best / 2


def _dashboard() -> list[tuple[str, int, str]]:
    """The dashboard and job server, where there is one."""
    from ray._private.worker import get_dashboard_url

    with suppress(Exception):  # a Ray client is not told, and the address may be that of a proxy, with a path
        host, _, port = (get_dashboard_url() or "").rpartition(":")
        return [(host, int(port), "dashboard and job server")] if host else []
    return []
