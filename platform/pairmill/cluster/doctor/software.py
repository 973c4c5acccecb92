"""Checks of what is installed: the same everywhere?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pairmill.cluster.doctor.facts import Facts
from pairmill.cluster.doctor.findings import CLUSTER, Finding

#: A difference of these stops jobs; of others it may change results, as of torch or numpy.
_MUST_AGREE = ("ray",)


def answers(facts: Facts) -> Iterator[Finding]:
    """Every node runs a task."""
    for node in facts.nodes:
        if node.said is None:
            yield Finding(
                "nodes",
                "error",
                node.name,
                f"a task does not run there: {node.error}",
                "See its raylet.log and the worker logs below the node's session directory; most often Python or Ray "
                "differ from the head's, or the node is overloaded. Restart the node, or take it away.",
            )


def versions(facts: Facts) -> Iterator[Finding]:
    """Python, Ray and the libraries that make results are the same on all nodes and here."""
    told = [("here", facts.here), *((node.name, said) for node, said in facts.answered)]
    for name in ("python", *facts.here["libraries"]):
        found = {where: said["python"] if name == "python" else said["libraries"][name] for where, said in told}
        usual = _most_common(found)
        for where, version in found.items():
            if version != usual:
                must = name in _MUST_AGREE or (name == "python" and _minor(version) != _minor(usual))
                yield Finding(
                    "versions",
                    "error" if must else "warning",
                    where,
                    f"{name} is {version or 'not installed'}; elsewhere it is {usual or 'not installed'}",
                    f"Give all nodes and the client one image, or one environment, with {name} {usual or version}.",
                )


def package(facts: Facts) -> Iterator[Finding]:
    """All nodes import the client's Pairmill."""
    ours = facts.here["pairmill"]
    for node, said in facts.answered:
        theirs = said["pairmill"]
        remedy = (
            "Install this Pairmill in the cluster's image or environment (docs/operator.md), or submit with --package."
        )
        if theirs["version"] is None:
            yield Finding("package", "error", node.name, f"pairmill cannot be imported: {theirs['error']}", remedy)
        elif theirs["version"] != ours["version"]:
            message = f"pairmill is {theirs['version']} ({theirs['place']}), here it is {ours['version']}"
            yield Finding("package", "error", node.name, message, remedy)
        elif theirs["digest"] != ours["digest"]:
            message = (
                f"pairmill has the client's version {ours['version']} and other sources ({theirs['place']}: "
                f"{theirs['digest']}, here {ours['digest']})"
            )
            yield Finding("package", "error", node.name, message, remedy)


def tokens(facts: Facts) -> Iterator[Finding]:
    """Ray asks for a token, unless nobody else can reach it."""
    open_nodes = [node for node, said in facts.answered if not said["token_mode"] and not _is_local(node.name)]
    if facts.ray and open_nodes:
        yield Finding(
            "auth",
            "warning",
            CLUSTER,
            "Ray asks for no token: whoever reaches its ports can run code on all nodes and read the storage",
            "Start Ray with RAY_AUTH_MODE=token on every node and give clients RAY_AUTH_TOKEN_PATH (docs/jobs.md), "
            "and close the ports by a network policy.",
        )


def _most_common(found: dict[str, Any]) -> Any:
    return Counter(found.values()).most_common(1)[0][0]


def _minor(version: str) -> list[str]:
    return str(version).split(".")[:2]


def _is_local(name: str) -> bool:
    return name.startswith("127.")
