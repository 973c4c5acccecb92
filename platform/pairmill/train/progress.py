"""What the driver shows while the workers train: the figures they log into the storage, a line now and then."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

from pairmill.errors import PairmillError, StorageError
from pairmill.runs.record import Run, read_events, segments

POLL_SECONDS, LINE_SECONDS = 1.0, 5.0


def metrics(run: Run) -> str:
    """Where a generation's figures are, below the run."""
    return f"g{run.generation}/metrics"


class Watch:
    """A thread that prints what is new in a run's metrics, and stops where the lease is lost."""

    def __init__(self, run: Run, steps: int, check: Callable[[], None]):
        self._run, self._steps, self._check = run, steps, check
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)
        self._printed, self._segment = 0.0, 0
        self._new()  # what earlier attempts logged is not news

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._show()

    def _work(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            with suppress(StorageError):  # looking is not worth stopping for
                self._show()
            try:
                self._check()
            except PairmillError as error:
                print(str(error), file=sys.stderr, flush=True)
                import _thread

                _thread.interrupt_main()
                return

    def _show(self) -> None:
        new = self._new()
        steps = [event for event in new if event["event"] == "step"]
        lines = [line for event in new if (line := _line(event))]
        if steps and (time.monotonic() - self._printed > LINE_SECONDS or self._stopped.is_set()):
            self._printed = time.monotonic()
            lines.append(self._step_line(steps))
        for line in lines:
            print(line, file=sys.stderr, flush=True)

    def _new(self) -> list[dict[str, Any]]:
        """The events of the segments that came since the last call."""
        new: list[dict[str, Any]] = []
        for number, events in segments(self._run, metrics(self._run), self._segment):
            self._segment = number
            new += events
        return new

    def _step_line(self, steps: list[dict[str, Any]]) -> str:
        seconds = sum(step["seconds"] for step in steps)
        rows, tokens = (sum(step[name] for step in steps) for name in ("rows", "tokens"))
        loss = sum(step["loss"] for step in steps) / len(steps)
        left = int((self._steps - steps[-1]["step"]) * seconds / len(steps))
        return (
            f"train: step {steps[-1]['step']:,}/{self._steps:,}, loss {loss:.4f}, {rows / seconds:,.0f} rows/s, "
            f"{tokens / seconds:,.0f} tokens/s, ETA {left // 3600}:{left // 60 % 60:02d}:{left % 60:02d}"
        )


def _line(event: dict[str, Any]) -> str | None:
    if event["event"] == "evaluation":
        found = [f"{name} {figures['accuracy']:.3f}" for name, figures in event["groups"].items()]
        return f"train: step {event['step']:,}: held-out accuracy {', '.join(found[:8])}" if found else None
    if event["event"] == "resumed":
        return f"train: goes on at the checkpoint of step {event['step']:,}"
    return f"train: {event['text']}" if event["event"] == "warning" else None


def curve(run: Run) -> list[dict[str, Any]]:
    """The steps of a run, each once: where a training was resumed, the last account of a step counts."""
    steps = {event["step"]: event for event in read_events(run, metrics(run)) if event["event"] == "step"}
    return [steps[number] for number in sorted(steps)]
