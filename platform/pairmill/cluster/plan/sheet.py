"""The arithmetic of a plan: quantities with intervals, each with the line that says how it came about.

A product's relative deviations are independent and add up in squares; the terms of a sum may share a constant, so their
bounds add up as they are. Bounds of what is only read from a file are the value itself.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Quantity:
    """A number of a plan. `how` is the arithmetic, `source` where its constants come from."""

    name: str
    value: float
    unit: str
    low: float
    high: float
    how: str = ""
    source: str = ""
    section: str = ""

    def term(self) -> str:
        return show(self.value, self.unit)

    def line(self) -> str:
        exact = self.low == self.high
        interval = "" if exact else f"  ({show(self.low, self.unit)} to {show(self.high, self.unit)})"
        how = f" = {self.how}" if self.how else ""
        source = f"  [{self.source}]" if self.source else ""
        return f"{self.name}{how} = {self.term()}{interval}{source}"


@dataclass
class Sheet:
    """The lines of a plan, in order, by section; what was assumed; what a reader should be told."""

    lines: list[Quantity] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)
    section: str = ""

    def given(
        self, name: str, value: float, unit: str, source: str, low: float | None = None, high: float | None = None
    ) -> Quantity:
        """A number that is read, measured or declared."""
        bounds = (value if low is None else low, value if high is None else high)
        return self.add(Quantity(name, value, unit, *bounds, "", source, self.section))

    def known(self, quantity: Quantity) -> Quantity:
        """A number that was found elsewhere, as a line of this section."""
        return self.add(replace(quantity, section=self.section))

    def product(self, name: str, unit: str, *factors: Quantity, source: str = "") -> Quantity:
        value = math.prod(factor.value for factor in factors)
        how = " x ".join(factor.term() for factor in factors)
        return self.add(Quantity(name, value, unit, *_bounds(value, factors), how, source, self.section))

    def quotient(self, name: str, unit: str, over: Quantity, under: Quantity, source: str = "") -> Quantity:
        inverse = Quantity(under.name, 1 / under.value, "", 1 / under.high, 1 / under.low)
        value, how = over.value / under.value, f"{over.term()} / {under.term()}"
        return self.add(Quantity(name, value, unit, *_bounds(value, (over, inverse)), how, source, self.section))

    def total(self, name: str, unit: str, *terms: Quantity, source: str = "") -> Quantity:
        sums = [math.fsum(getattr(term, bound) for term in terms) for bound in ("value", "low", "high")]
        how = " + ".join(term.term() for term in terms) if len(terms) > 1 else ""
        return self.add(Quantity(name, sums[0], unit, sums[1], sums[2], how, source, self.section))

    def assume(self, text: str) -> None:
        if text not in self.assumptions:
            self.assumptions.append(text)

    def add(self, quantity: Quantity) -> Quantity:
        """A line that is made elsewhere."""
        self.lines.append(quantity)
        return quantity

    def to_json(self) -> dict[str, Any]:
        return {"arithmetic": [asdict(line) for line in self.lines], "assumptions": self.assumptions}


def quantity(name: str, value: float, unit: str, source: str = "", spread: float = 1.0) -> Quantity:
    """A number known within a factor: value / spread to value * spread."""
    return Quantity(name, value, unit, value / spread, value * spread, "", source)


def _bounds(value: float, factors: tuple[Quantity, ...]) -> tuple[float, float]:
    """Low and high of a product; where a factor may be zero, that is the low."""
    if not value:
        return 0.0, math.prod(factor.high for factor in factors)
    up = math.sqrt(math.fsum((factor.high / factor.value - 1) ** 2 for factor in factors))
    if any(factor.low <= 0 for factor in factors):
        return 0.0, value * (1 + up)
    down = math.sqrt(math.fsum((factor.value / factor.low - 1) ** 2 for factor in factors))
    return value / (1 + down), value * (1 + up)


_LARGE = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def show(value: float, unit: str) -> str:
    """A number with its unit, as people write it."""
    if unit == "share":
        return f"{100 * value:.1f} %"
    if unit == "CPU-s/row":
        return f"{1e6 * value:,.1f} CPU-µs a row"
    if unit == "CPU-s":
        return f"{value / 3600:,.1f} CPU-h" if value >= 36_000 else f"{_three(value)} CPU-s"
    if unit == "s":
        return f"{value / 3600:,.1f} h" if value >= 7200 else f"{_three(value)} s"
    if unit in ("B", "B/row", "FLOP", "FLOP/s", "FLOP/token", "B/token", "B/s"):
        scale, prefix = next(((size, name) for size, name in _LARGE if abs(value) >= size), (1.0, ""))
        base, _, per = unit.partition("/")
        return f"{_three(value / scale)} {prefix}{base}{_per(per)}"
    if unit in ("GPU-h", "hours"):
        return f"{_three(value)} {'h' if unit == 'hours' else unit}"
    number = f"{value:,.0f}" if value >= 100 or value == int(value) else _three(value)
    return f"{number} {unit}".rstrip()


def _per(per: str) -> str:
    return {"": "", "s": "/s"}.get(per, f" a {per}")


def _three(value: float) -> str:
    """Three digits that count."""
    if not value:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"
