"""How a training is stopped without losing the steps since its last checkpoint.

    rank 0, when it begins                    writes  stops/<attempt>-listening
    the driver, when it is interrupted        writes  stops/<attempt>-asked     (only where rank 0 listens), and waits
    rank 0, behind the step that it is in:    all ranks stop, the checkpoint is written
                                              writes  stops/<attempt>-stopped

All by way of the storage, as the driver and the workers share nothing else that outlives either.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from pairmill.errors import StorageError
from pairmill.runs.record import Run

#: How long Ray waits between SIGTERM and SIGKILL when a job is stopped: 3 seconds, unless this variable says more.
STOP_VARIABLE = "RAY_JOB_STOP_WAIT_TIME_S"
STOP_SECONDS = 180
POLL_SECONDS = 1.0
#: What the driver needs after the checkpoint, to leave its run and the cluster in order.
LEAVING_SECONDS = 10.0


class Stopped(Exception):
    """A training ended as it was asked to; the checkpoint of `step` is in the storage."""

    def __init__(self, step: int):
        super().__init__(f"stopped behind step {step:,}")
        self.step = step


class Asked:
    """Rank 0's ear: whether its driver asked for a stop. A thread looks, so that a slow store delays no step."""

    def __init__(self, run: Run):
        self._run = run
        self._found, self._closed = threading.Event(), threading.Event()
        run.storage.put(_path(run, "listening"), b"")
        threading.Thread(target=self._look, name="stop", daemon=True).start()

    def __call__(self) -> bool:
        return self._found.is_set()

    def close(self) -> None:
        self._closed.set()

    def _look(self) -> None:
        while not self._closed.wait(POLL_SECONDS):
            with suppress(StorageError):  # looking is not worth stopping for
                if self._run.storage.modified(_path(self._run, "asked")) is not None:
                    self._found.set()
                    return


def answer(run: Run, stopped: Stopped) -> None:
    """Rank 0: tell the driver that the checkpoint is there."""
    run.storage.put_json(_path(run, "stopped"), {"step": stopped.step})


def ask(run: Run, is_over: Callable[[], bool]) -> int | None:
    """The driver: have the workers stop; returns the step of the checkpoint they wrote. None where nobody listens yet,
    where the training ended by itself (`is_over`), or where time is up: the driver must end before it is killed."""
    if run.storage.modified(_path(run, "listening")) is None:
        return None
    run.storage.put(_path(run, "asked"), b"")
    deadline = time.monotonic() + float(os.environ.get(STOP_VARIABLE, STOP_SECONDS)) - LEAVING_SECONDS
    while time.monotonic() < deadline:
        found = run.storage.get_json(_path(run, "stopped"))
        if found is not None:
            return int(found["step"])
        if is_over():
            return None
        time.sleep(POLL_SECONDS / 2)
    return None


def _path(run: Run, what: str) -> str:
    return run.path(f"g{run.generation}/stops/{run.attempt}-{what}")
