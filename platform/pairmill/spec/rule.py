"""What a filter rule is: a score, the bounds between which it is clean, and where the rule comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Bound = tuple[float | None, float | None]
"""Lowest and highest clean value; None: no bound on that side."""

#: Presets of one family share their scores: moving between them annotates nothing anew.
FAMILIES: dict[str, tuple[str, ...]] = {"bitext": ("bitext", "strict", "lenient"), "web": ("web",), "none": ()}


@dataclass(frozen=True)
class Rule:
    """A filter rule. A row passes when `min <= value <= max`; a bound that is None does not apply.

    `presets` gives the bounds in each preset that has the rule, `min` and `max` those where it is switched on outside
    of them. `per_language` (base code: bounds) holds for sides in a language, in all presets, as long as a spec does
    not set the rule's bounds itself. `per: positive` judges only the positive, such as the body of a page.
    """

    name: str
    per: Literal["side", "pair", "positive"]
    min: float | None
    max: float | None
    presets: dict[str, Bound]
    describe: str
    source: str
    per_language: dict[str, Bound] = field(default_factory=dict)

    @property
    def direction(self) -> Literal["low", "high", "between"]:
        """Where clean values lie."""
        if self.min is not None and self.max is not None:
            return "between"
        return "high" if self.min is not None else "low"

    @property
    def columns(self) -> tuple[str, ...]:
        """The rule's score columns."""
        if self.per == "pair":
            return (self.name,)
        return tuple(f"{self.name}_{side}" for side in ("anchor", "positive") if self.per in ("side", side))


def family(preset: str) -> tuple[str, ...]:
    """The presets that share their scores with this one, itself among them."""
    return next(presets for name, presets in FAMILIES.items() if preset in (name, *presets))
