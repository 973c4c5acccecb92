"""A run as a process of its own: the ordinary command, on the cluster of the sweep."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pairmill.train.stopping import STOP_SECONDS, STOP_VARIABLE

_NAMED = re.compile(r"(?:run|pipeline) (\S+) in ")
LINES = 40
#: What Ray sets in a worker's environment and a driver must not inherit.
_WORKERS_OWN = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "RAY_JOB_ID", "RAY_RAYLET_PID")
_PR_SET_PDEATHSIG = 1


class Process:
    """`pairmill run SPEC`; `runs`: ids of the runs it has begun, a pipeline's own first."""

    def __init__(self, spec: str, storage: str, address: str, folder: str, environment: Mapping[str, str]):
        inherited = {name: value for name, value in os.environ.items() if name not in _WORKERS_OWN}
        self.runs: list[str] = []
        self._lines: deque[str] = deque(maxlen=LINES)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pairmill.sweep.process", "run", spec, "--storage", storage, "--address", address],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=folder if folder and Path(folder).is_dir() else None,
            env={**inherited, **environment},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="trial", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(line.rstrip("\n"))
            if found := _NAMED.match(line):
                self.runs.append(found[1])

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def code(self) -> int:
        """The exit code of a process that has ended; below 0: the signal that ended it."""
        self._reader.join(10)
        return self._process.wait()

    @property
    def message(self) -> str:
        """What it said last, an error before anything else."""
        said = [line for line in self._lines if line.startswith("error: ")] or list(self._lines)
        return said[-1].removeprefix("error: ") if said else "it said nothing"

    def end(self) -> None:
        """Have it save a checkpoint and stop; returns when it has ended."""
        for sent in (signal.SIGTERM, signal.SIGKILL):
            if self.ended:
                return
            self._process.send_signal(sent)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(float(os.environ.get(STOP_VARIABLE, STOP_SECONDS)))


def main() -> None:
    """The command line, ended when the process that started it dies: nobody would stop it otherwise (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    from pairmill.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
