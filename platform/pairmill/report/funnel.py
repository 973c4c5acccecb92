"""The ledger as a funnel: records come in, become pairs, and are kept, with every loss where it happens.

Each step is a bar on one scale, the larger of records and pairs. A loss begins where what is left after it ends, so
that the bars read as stairs from the records down to the kept pairs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pairmill.pairs.ledger import Counts
from pairmill.report.show import share

Kind = Literal["in", "pairs", "kept", "no-pair", "unreadable", "rejected"]


@dataclass(frozen=True)
class Step:
    """One bar. `left` and `width` are percent of the scale; `reason` is set for a rejection."""

    kind: Kind
    label: str
    count: int
    share: str
    left: float
    width: float
    reason: str | None = None


@dataclass(frozen=True)
class Balance:
    """An equation of the ledger: `whole = sum of parts`."""

    whole: tuple[str, int]
    parts: tuple[tuple[str, int], ...]

    @property
    def difference(self) -> int:
        return self.whole[1] - sum(count for _, count in self.parts)


def balances(total: Counts) -> tuple[Balance, Balance]:
    """The two balances, records and rows, as the ledger has them."""
    unreadable = ("quarantine", total.quarantine.total())
    records = (("parsed", total.parsed), ("no pair", total.no_pair.total()), unreadable)
    rows = (("kept", total.kept), ("rejected", total.rejected.total()), unreadable)
    return Balance(("records in", total.records_in), records), Balance(("rows in", total.rows_in), rows)


def pipeline_order(reasons: Mapping[str, int], rules: Sequence[str]) -> list[str]:
    """Reasons as rows meet them: rules as declared, then the rest (duplicates) by name."""
    place = {name: number for number, name in enumerate(rules)}
    return sorted(reasons, key=lambda name: (place.get(name, len(place)), name))


def steps(total: Counts, rules: Sequence[str]) -> list[Step]:
    """The bars from top to bottom; losses of nothing are left out. Shares are of records in, then of rows in."""
    pairs = total.rows_in - total.quarantine.total()
    scale = max(total.records_in, pairs, 1)
    found: list[Step] = []

    def bar(kind: Kind, label: str, count: int, of: int, after: int = 0, reason: str | None = None) -> None:
        left = 100 * max(after, 0) / scale
        width = min(100 * count / scale, 100 - left)
        found.append(Step(kind, label, count, share(count, of) if of else "", left, width, reason))

    bar("in", "Records in", total.records_in, 0)
    left = total.records_in
    apart: list[tuple[Kind, Counter[str]]] = [("no-pair", total.no_pair), ("unreadable", total.quarantine)]
    for kind, losses in apart:
        for name, count in sorted(losses.items(), key=lambda item: (-item[1], item[0])):
            if count:
                left -= count
                bar(kind, name, count, total.records_in, left)
    bar("pairs", "Pairs", pairs, 0)
    left = pairs
    for name in pipeline_order(total.rejected, rules):
        if count := total.rejected[name]:
            left -= count
            bar("rejected", name, count, total.rows_in, left, name)
    bar("kept", "Kept", total.kept, total.rows_in)
    return found
