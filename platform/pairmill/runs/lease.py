"""A lease with heartbeat, so that two drivers rarely do the same work. Correctness never depends on it.

Leases are numbered: `lease/000001.json`, created by put-if-absent. The holder of the highest number drives the run and
rewrites its heartbeat every few seconds. Whoever finds a lease whose holder is gone (its process on this host no longer
lives) or whose heartbeat has stood still for `TIMEOUT` by the store's own clock creates the next number and takes over;
a holder that sees a higher number than its own stops. Only put-if-absent is needed, so any store that can hold runs can
hold leases.
"""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any

from pairmill.runs.storage import Storage

HEARTBEAT_SECONDS = 5.0
TIMEOUT_SECONDS = 45.0


def _process_started(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return None


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class Lease:
    """The right to drive a run, for as long as the heartbeat goes on."""

    def __init__(self, storage: Storage, prefix: str, attempt: str):
        self._storage, self._prefix, self._attempt = storage, prefix, attempt
        self._number = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.lost = False

    def _path(self, number: int, kind: str = "json") -> str:
        return f"{self._prefix}/{number:06d}.{kind}"

    def holder(self) -> tuple[int, dict[str, Any] | None]:
        """The highest lease and who holds it."""
        number = max(self._number, 1)
        while self._storage.get(self._path(number)) is not None:
            number += 1
        return number - 1, self._storage.get_json(self._path(number - 1)) if number > 1 else None

    def acquire(self) -> dict[str, Any] | None:
        """Take the lease if it is free, released or abandoned; else return who holds it."""
        number, holder = self.holder()
        ours = holder is not None and holder["attempt"] == self._attempt  # written, though the reply was lost
        if holder is not None and not ours and self._alive(number, holder):
            return holder
        mine = {
            "attempt": self._attempt,
            "host": socket.gethostname(),
            "boot": _boot_id(),
            "pid": os.getpid(),
            "process_started": _process_started(os.getpid()),
        }
        if not ours and not self._storage.put_json_if_absent(self._path(number + 1), mine):
            return self.acquire()
        self._number = number if ours else number + 1
        self._beat()
        self._thread = threading.Thread(target=self._beats, daemon=True, name="lease")
        self._thread.start()
        return None

    def held(self) -> dict[str, Any] | None:
        """Who drives the run now."""
        number, holder = self.holder()
        return holder if holder is not None and self._alive(number, holder) else None

    def release(self) -> None:
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        self._storage.put(self._path(self._number, "beat"), b"released")

    def _alive(self, number: int, holder: dict[str, Any]) -> bool:
        beat = self._storage.get(self._path(number, "beat"))
        if beat == b"released":
            return False
        here = holder["host"] == socket.gethostname() and holder["boot"] == _boot_id()
        if here and holder["boot"] and holder["process_started"]:
            return _process_started(holder["pid"]) == holder["process_started"]
        self._storage.put(f"{self._prefix}/clock", b"")
        now = self._storage.modified(f"{self._prefix}/clock")
        last = self._storage.modified(self._path(number, "beat" if beat else "json"))
        return now is None or last is None or (now - last).total_seconds() < TIMEOUT_SECONDS

    def _beat(self) -> None:
        self._storage.put(self._path(self._number, "beat"), b"beating")

    def _beats(self) -> None:
        from pairmill.errors import StorageError

        while not self._stop.wait(HEARTBEAT_SECONDS):
            try:
                self._beat()
                self.lost = self._storage.get(self._path(self._number + 1)) is not None
            except StorageError:
                continue  # the store is away: the lease times out by itself if that lasts
            if self.lost:
                return
