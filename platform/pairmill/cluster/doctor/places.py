"""Checks of what nodes reach: the storage, each other; and of their clocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pairmill import objects
from pairmill.cluster.doctor.facts import Facts
from pairmill.cluster.doctor.findings import CLUSTER, Finding

#: Seconds. A lease is taken over after 45 s by the store's clock; S3 refuses signatures that are 15 minutes off.
CLOCK_WARNING, CLOCK_ERROR = 5.0, 60.0
#: Seconds that a handful of small writes may take.
SLOW_STORE = 5.0


def storage(facts: Facts) -> Iterator[Finding]:
    """The storage is reached, written to, has conditional writes, and is the same from every node."""
    if facts.storage is None:
        yield Finding("storage", "skipped", CLUSTER, "no storage was named")
        return
    for where, said in _places(facts):
        told = said["storage"]
        if "not_asked" in told:
            yield Finding("storage", "skipped", where, told["not_asked"])
        elif "error" in told:
            remedy = (
                "Use a store that honours If-None-Match (Amazon S3, Google Cloud Storage, Azure, MinIO, Ceph from Reef "
                "on), or a local disk."
                if "conditional" in told["error"]
                else "Check the URI, the endpoint and the credentials (AWS_*, GOOGLE_*, AZURE_*) of that node's "
                "environment, and that the network lets it through."
            )
            yield Finding("storage", "error", where, f"{facts.storage}: {told['error']}", remedy)
        elif not told["shared"] and not objects.is_remote(facts.storage):
            yield Finding(
                "storage",
                "error",
                where,
                f"{facts.storage} is another directory there: what was written here is not in it",
                "Name an object store, or a directory that all nodes mount at the same place.",
            )
        elif not told["shared"]:
            message = f"{facts.storage}: an object that was just written here is not seen there"
            yield Finding("storage", "error", where, message, "Check that the node uses the same endpoint and account.")
        elif told["seconds"] > SLOW_STORE:
            yield Finding(
                "storage",
                "warning",
                where,
                f"{facts.storage}: three small requests took {told['seconds']:.1f} s",
                "Use a store in the cluster's region; every unit that is committed takes a few such requests.",
            )


def clocks(facts: Facts) -> Iterator[Finding]:
    """The clocks of nodes and store agree."""
    if facts.storage is None and not facts.ray:
        yield Finding("clock", "skipped", CLUSTER, "no storage was named")
    for where, said in _places(facts) if facts.storage else ():
        if said["storage"].get("ahead") is None:
            yield Finding("clock", "skipped", where, "the store's clock could not be read")
            continue
        ahead = -said["storage"]["ahead"]
        if abs(ahead) > CLOCK_WARNING:
            yield Finding(
                "clock",
                "error" if abs(ahead) > CLOCK_ERROR else "warning",
                where,
                f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the store's",
                "Run chrony or ntpd on the node (or on the store's machine): stores refuse requests whose time is off, "
                "and the records of runs would not be in order.",
            )
    for node, _ in facts.answered if facts.ray else ():
        if abs(node.ahead) - node.within > CLOCK_WARNING:
            yield Finding(
                "clock",
                "error" if abs(node.ahead) - node.within > CLOCK_ERROR else "warning",
                node.name,
                f"its clock is {abs(node.ahead):.0f} s {'ahead of' if node.ahead > 0 else 'behind'} this machine's",
                "Run chrony or ntpd on both.",
            )


def ports(facts: Facts) -> Iterator[Finding]:
    """Nodes reach each other's raylets, object managers and agents, and the dashboard."""
    for node, said in facts.answered:
        for host, port, what, problem in said["closed_ports"]:
            yield Finding(
                "ports",
                "error",
                node.name,
                f"the {what} at {host}:{port} cannot be connected to: {problem}",
                "Open it between the nodes of the cluster (docs/operator.md lists Ray's ports): security group, "
                "firewall or network policy.",
            )


def _places(facts: Facts) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every machine that was asked for the storage, the client's first where it is none of the nodes."""
    if facts.ray:
        yield "here", facts.here
    yield from ((node.name, said) for node, said in facts.answered)
