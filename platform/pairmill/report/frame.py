"""What the pages of all kinds of runs have around their own sections: head, contents, the run's record, its spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pairmill.report import show
from pairmill.report.text import report_uri

SPEC_CHARACTERS = 100_000
STATES = {"done": "good", "failed": "bad", "stopped": "warn", "running": "warn"}


def frame(summary: Mapping[str, Any], kind: str, contents: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The variables of `base.html.j2`; `contents` holds (id, title) of the page's own sections."""
    run = summary.get("run") or {}
    return {
        "kind": kind,
        "contents": [*contents, ("run", "Run"), ("again", "Run it again")],
        "run": {"id": run.get("id") or "unknown", "name": run.get("name"), "error": run.get("error")},
        "state": str(run.get("state") or "unknown"),
        "state_kind": STATES.get(str(run.get("state")), "warn"),
        "took": None if run.get("seconds") is None else show.duration(run["seconds"]),
        "facts": facts(run),
        "spec": str(summary.get("spec") or "")[:SPEC_CHARACTERS],
        "command": str(summary.get("command") or ""),
    }


def facts(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The run's record as (name, value), versions and resources one line each."""
    told = [
        ("run id", show.fact(run.get("id"))),
        ("state", show.fact(run.get("state"))),
        ("started", show.moment(run.get("started"))),
        ("finished", show.moment(run.get("finished"))),
        ("took", show.duration(run.get("seconds"))),
        ("storage", show.fact(run.get("storage"))),
        ("report", report_uri(run)),
    ]
    for group in ("versions", "resources"):
        for name, thing in (run.get(group) or {}).items():
            told.append((f"{group}: {name}", measured(name, thing)))
    return told


def measured(name: str, thing: Any) -> str:
    """A value of the run's record: bytes as a size, an object as `name value, name value`."""
    if isinstance(thing, dict):
        return ", ".join(f"{key} {measured(key, inner)}" for key, inner in thing.items())
    return show.size(thing) if name.endswith(("bytes", "rss")) else show.fact(thing)
