"""Progress: one live line per stage in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

PLAIN_SECONDS = 10.0


class Progress:
    """Counts a stage's units, rows and size; prints rows per second and the time left (by size)."""

    def __init__(self, stage: str, units: int, size: int, stream: TextIO | None = None):
        self._stage, self._units, self._size = stage, units, max(size, 1)
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._started = self._printed = time.monotonic()
        self._done = self._rows = self._done_size = self._reused_size = 0

    def __enter__(self) -> Progress:
        self._print(f"{self._stage}: {self._units} {'unit' if self._units == 1 else 'units'}")
        return self

    def add(self, rows: int, size: int, reused: bool = False) -> None:
        self._done += 1
        self._rows += 0 if reused else rows
        self._done_size += size
        self._reused_size += size if reused else 0
        if self._live or time.monotonic() - self._printed > PLAIN_SECONDS:
            self._print(self._line())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._print(self._line() + f", {time.monotonic() - self._started:.1f} s")
        if self._live:
            self._stream.write("\n")

    def _line(self) -> str:
        seconds = max(time.monotonic() - self._started, 1e-6)
        worked = self._done_size - self._reused_size
        line = (
            f"{self._stage}: {self._done}/{self._units} units, {self._rows:,} rows, {self._rows / seconds:,.0f} rows/s"
        )
        if worked and self._done < self._units:
            left = int((self._size - self._done_size) * seconds / worked)
            line += f", ETA {left // 3600}:{left // 60 % 60:02d}:{left % 60:02d}"
        return line

    def _print(self, line: str) -> None:
        self._printed = time.monotonic()
        self._stream.write(f"\r\x1b[2K{line}" if self._live else f"{line}\n")
        self._stream.flush()
