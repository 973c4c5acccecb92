"""Committed units: what a stage has done, once and for all.

A unit is the smallest thing that is committed and resumed: a shard, a chunk of one, a group of hash buckets. Its
manifest is created by put-if-absent and names the data files that make up its output; data files without a manifest do
not exist for readers. Where two workers do the same unit, the first manifest wins and both go on with that one.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pairmill.errors import StorageError
from pairmill.runs.storage import Storage, open_storage


def digest(meaning: Any, length: int = 32) -> str:
    """Hex digest of a JSON value: the key of whatever that value determines."""
    text = json.dumps(meaning, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


@dataclass(frozen=True)
class Units:
    """The units of a stage, below one prefix of a storage."""

    storage: Storage
    prefix: str

    def path(self, key: str) -> str:
        return f"{self.prefix}/{key}.json"

    def get(self, key: str) -> dict[str, Any] | None:
        return self.storage.get_json(self.path(key))

    def commit(self, key: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """Create the unit's manifest; return the one that counts, ours or that of whoever came first."""
        if self.storage.put_json_if_absent(self.path(key), manifest):
            return manifest
        first = self.get(key)
        if first is None:
            raise RuntimeError(f"{self.path(key)} exists and cannot be read")
        return first

    def data_path(self, key: str, name: str = "", kind: str = "parquet") -> str:
        """A name for a data file that no other attempt uses."""
        return f"{self.prefix}/{key}{name}-{uuid.uuid4().hex[:12]}.{kind}"


@dataclass
class Stopwatch:
    """Who did a unit, when, and what it took: the `record` of its manifest."""

    attempt: str
    started: float = field(default_factory=time.time)
    cpu: float = field(default_factory=time.process_time)

    def record(self) -> dict[str, Any]:
        return {
            "attempt": self.attempt,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": round(self.started, 3),
            "seconds": round(time.time() - self.started, 3),
            "cpu_seconds": round(time.process_time() - self.cpu, 3),
            "peak_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }


def do_once(item: dict[str, Any], prefix: str, work: Callable[[Units], dict[str, Any]]) -> dict[str, Any]:
    """Do the unit `item["key"]` below `prefix`, unless it is committed: `work` returns its manifest.

    Returns what a stage's unit function returns: with the manifest's `rows` and, if it has any, its `facts`.
    """
    units = Units(open_storage(item["storage"]), prefix)
    done = units.get(item["key"])
    reused = done is not None
    if done is None:
        watch = Stopwatch(item["attempt"])
        try:
            done = units.commit(item["key"], {**work(units), "record": watch.record()})
        except StorageError:  # another driver may have committed it since, and deleted what it is made of
            done, reused = units.get(item["key"]), True
            if done is None:
                raise
    took = {name: value for name, value in done.get("record", {}).items() if name == "cpu_seconds"}
    return {"key": item["key"], "rows": done["rows"], "reused": reused, **took, **done.get("facts", {})}
