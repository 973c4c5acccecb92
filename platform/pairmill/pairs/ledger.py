"""The ledger: two balances, for every input and in total.

Records: records_in = parsed + sum(no_pair) + sum(quarantine). A record is a line, a Parquet row, a catalogue entry.
Rows:    rows_in = kept + sum(rejected) + sum(quarantine), where rows_in counts the pairs that parsers emit plus the
records that were unreadable. A job whose ledger does not balance fails.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pairmill.errors import PairmillError


@dataclass
class Counts:
    records_in: int = 0
    parsed: int = 0
    rows_in: int = 0
    kept: int = 0
    no_pair: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    quarantine: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        self.records_in += other.records_in
        self.parsed += other.parsed
        self.rows_in += other.rows_in
        self.kept += other.kept
        self.no_pair.update(other.no_pair)
        self.rejected.update(other.rejected)
        self.quarantine.update(other.quarantine)

    def to_json(self) -> dict[str, Any]:
        return {
            "records_in": self.records_in,
            "parsed": self.parsed,
            "no_pair": dict(sorted(self.no_pair.items())),
            "rows_in": self.rows_in,
            "kept": self.kept,
            "rejected": dict(sorted(self.rejected.items())),
            "quarantine": dict(sorted(self.quarantine.items())),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Counts:
        return cls(
            **{key: data.get(key, 0) for key in ("records_in", "parsed", "rows_in", "kept")},
            no_pair=Counter(data.get("no_pair", {})),
            rejected=Counter(data.get("rejected", {})),
            quarantine=Counter(data.get("quarantine", {})),
        )

    def check(self, where: str) -> None:
        """Raise PairmillError unless both balances hold."""
        unreadable = self.quarantine.total()
        records = self.parsed + self.no_pair.total() + unreadable
        rows = self.kept + self.rejected.total() + unreadable
        if self.records_in != records:
            raise PairmillError(
                f"ledger of {where} does not balance: records_in {self.records_in} != parsed {self.parsed} "
                f"+ no_pair {self.no_pair.total()} + quarantine {unreadable}. This is a defect of Pairmill; "
                "no result was published. Please report it with the run's events."
            )
        if self.rows_in != rows:
            raise PairmillError(
                f"ledger of {where} does not balance: rows_in {self.rows_in} != kept {self.kept} "
                f"+ rejected {self.rejected.total()} + quarantine {unreadable}. This is a defect of Pairmill; "
                "no result was published. Please report it with the run's events."
            )


def ledger(by_input: dict[str, Counts]) -> dict[str, Any]:
    """Check every input's balances and return `{"total": ..., "by_input": {name: ...}}`."""
    total = Counts()
    for name, counts in by_input.items():
        counts.check(f"input {name!r}")
        total.add(counts)
    total.check("the run")
    return {"total": total.to_json(), "by_input": {name: counts.to_json() for name, counts in by_input.items()}}
