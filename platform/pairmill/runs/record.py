"""The run: an immutable directory `runs/<run id>/` whose id is a digest of what the job means.

    run.json  spec.yaml  ledger.json  report.html  kept/  rejected/  quarantine/  dedup_index/  samples/
    manifests/<generation>.json   the files of a finished generation: what readers follow
    g<generation>/<stage>/<unit>.json   the run's own committed units;  lease/  events/

A generation is one computation from scratch; `--fresh` starts the next. `run.json` names the newest finished one, and
goes on naming it while a fresh one is computed, so readers are never disturbed.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NoReturn

from pairmill.errors import SpecError
from pairmill.runs.storage import Storage
from pairmill.runs.units import Units


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def newest(record: dict[str, Any]) -> int:
    """The generation that readers follow, `manifests/<generation>.json`; 0 where none is finished."""
    return int(record["manifest"].rpartition("/")[2].removesuffix(".json")) if "manifest" in record else 0


@dataclass
class Run:
    """One run of a storage, and this process's attempt at it."""

    storage: Storage
    id: str
    attempt: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    generation: int = 0
    fresh: bool = False

    def path(self, name: str = "") -> str:
        return f"runs/{self.id}/{name}" if name else f"runs/{self.id}"

    def record(self) -> dict[str, Any] | None:
        """run.json, or None where the run was never started."""
        return self.storage.get_json(self.path("run.json"))

    def write_record(self, record: dict[str, Any]) -> None:
        self.storage.put_json(self.path("run.json"), record)

    def units(self, stage: str) -> Units:
        return Units(self.storage, self.path(f"g{self.generation}/{stage}"))

    def manifest(self) -> dict[str, Any] | None:
        """The files of the newest finished generation."""
        record = self.record()
        if record is None or "manifest" not in record:
            return None
        return self.storage.get_json(self.path(record["manifest"]))

    def summary(self) -> dict[str, Any]:
        """What the report shows of the newest finished generation."""
        record = self.record() or {}
        return self.storage.get_json(self.path(record["summary"])) if "summary" in record else {}

    def finished_manifest(self, key: str = "") -> dict[str, Any]:
        """The manifest that readers follow, or SpecError where none is finished; `key` of the spec names the run."""
        return self.manifest() or self._unfinished(key)

    def finished_summary(self, key: str = "") -> dict[str, Any]:
        """The summary, or SpecError like `finished_manifest`."""
        return self.summary() or self._unfinished(key)

    def _unfinished(self, key: str) -> NoReturn:
        state = (self.record() or {}).get("state", "never started")
        raise SpecError(
            f"{key and key + ': '}run {self.id} is not finished (its state: {state}). "
            "Run its command again first: it resumes."
        )

    def begin(self, fresh: bool) -> None:
        """Choose the generation: the unfinished one, or with `fresh` an unfinished fresh one, else the next."""
        record = self.record() or {}
        self.generation = int(record.get("generation", 0))
        mine = {"attempt": self.attempt, "started": now(), "fresh": fresh}
        while not self.storage.put_json_if_absent(self._started(), mine):
            begun = self.storage.get_json(self._started())
            finished = self.storage.get(self.path(self._published()["summary"])) is not None
            if not fresh or (begun["fresh"] and not finished):
                break
            self.generation += 1
        self.fresh = bool(self.storage.get_json(self._started())["fresh"])

    def publish(self, manifest: dict[str, Any], summary: dict[str, Any]) -> dict[str, str]:
        """Write the generation's manifest and summary; return what run.json must name for readers to see them."""
        places = self._published()
        self.storage.put_json_if_absent(self.path(places["manifest"]), manifest)
        self.storage.put_json(self.path(places["summary"]), summary)
        return places

    def _published(self) -> dict[str, str]:
        return {
            "manifest": f"manifests/{self.generation}.json",
            "summary": f"manifests/{self.generation}-summary.json",
        }

    def _started(self) -> str:
        return self.path(f"g{self.generation}/started.json")

    @property
    def salt(self) -> str:
        """What sets the stages of a fresh generation apart from those that runs share."""
        return f"{self.id}/{self.generation}" if self.fresh else ""


class Events:
    """A log of the run, in numbered segments `events/000001.jsonl` (object stores cannot append)."""

    def __init__(self, run: Run, folder: str = "events"):
        self._run, self._folder = run, folder
        self._number = 1
        self._lines: list[str] = []
        self._flushed = time.monotonic()

    def add(self, event: str, **facts: Any) -> None:
        line = {
            "time": now(),
            "attempt": self._run.attempt,
            "event": event,
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        self._lines.append(json.dumps({**line, **facts}, ensure_ascii=False, default=str))
        if time.monotonic() - self._flushed > 10:
            self.flush()

    def flush(self) -> None:
        if not self._lines:
            return
        data = ("\n".join(self._lines) + "\n").encode("utf-8", "replace")
        while not self._run.storage.put_if_absent(self._run.path(f"{self._folder}/{self._number:06d}.jsonl"), data):
            self._number += 1
        self._lines.clear()
        self._flushed = time.monotonic()


def segments(run: Run, folder: str, after: int = 0) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Number and events of each segment behind number `after`, in order."""
    number = after + 1
    while (data := run.storage.get(run.path(f"{folder}/{number:06d}.jsonl"))) is not None:
        yield number, [json.loads(line) for line in data.decode().splitlines()]
        number += 1


def read_events(run: Run, folder: str = "events") -> list[dict[str, Any]]:
    """The events of a run, oldest segment first."""
    return [event for _, events in segments(run, folder) for event in events]
