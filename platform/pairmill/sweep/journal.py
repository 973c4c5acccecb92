"""What a sweep has decided, in order, as units of its run: so that it goes on as if it had never been interrupted.

Entries, each with `number` (of a trial, from 0) and `seconds` (that all attempts at the sweep had taken):

    suggestion  `values` by path
    report      `step`, `held_out`: an evaluation in training, as the scheduler saw it
    outcome     `state` done | pruned | failed, `result`: the last that the trial said
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from pairmill.errors import PairmillError
from pairmill.runs.units import Units

Entry = dict[str, Any]


@dataclass
class Journal:
    """Written by the driver that holds the lease, and read by the actors of its trials."""

    units: Units
    entries: list[Entry] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        while (entry := self.units.get(f"{len(self.entries):06d}")) is not None:
            self.entries.append(entry)
        self._before = self.entries[-1]["seconds"] if self.entries else 0.0

    @property
    def seconds(self) -> float:
        """What the attempts at the sweep took, up to the last entry of each."""
        return round(float(self._before) + time.monotonic() - self.started, 3)

    def add(self, event: str, number: int, **facts: Any) -> Entry:
        entry = {"event": event, "number": number, "seconds": self.seconds, **facts}
        self.units.commit(f"{len(self.entries):06d}", entry)
        self.entries.append(entry)
        return entry

    def all(self, event: str) -> list[Entry]:
        return [entry for entry in self.entries if entry["event"] == event]

    def of(self, number: int, event: str) -> list[Entry]:
        return [entry for entry in self.all(event) if entry["number"] == number]

    def outcome(self, number: int) -> Entry | None:
        found = self.of(number, "outcome")
        return found[0] if found else None

    def check(self) -> None:
        """Every trial has ended. Raises PairmillError where Tune gave one up, as when the storage fails."""
        unended = [entry["number"] for entry in self.all("suggestion") if self.outcome(entry["number"]) is None]
        if unended:
            raise PairmillError(
                f"trials {', '.join(map(str, unended))} ended without a record. The same command goes on with them."
            )

    def values(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self.of(number, "suggestion")[0]["values"]
        return found
