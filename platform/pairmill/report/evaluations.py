"""A run's evaluations on held-out rows, before and after training: the rows of every table that compares them.

Of the summary's `evaluations` [{step, groups: {name: figures}}] the first is before, that of the result after: the
step `training.result_step` where the summary names one (early stopping keeps an earlier model), else the last. Figures
are of three kinds: retrieval (accuracy both ways, each with its 95 % interval), scored (Spearman's correlation) and
masked language modelling (loss and accuracy, beside those of a unigram model).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WAYS = ("anchor_to_positive", "positive_to_anchor")
_CODE = r"[a-z]{2,3}(?:-(?:[A-Z]{2}|[A-Z][a-z]{3}|[0-9]{3}))*"
_PAIR = re.compile(rf"({_CODE})-({_CODE})")
UNKNOWN = ("und", "mul", "zxx")

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Group:
    """A held-out group's figures before and after; `before` is empty where training was not preceded by a look."""

    name: str
    before: Figures
    after: Figures

    @property
    def rows(self) -> int:
        return int(self.after.get("rows") or 0)

    @property
    def kind(self) -> str:
        """`retrieval`, `scored` or `masked`."""
        if "spearman" in self.after:
            return "scored"
        return "masked" if "loss" in self.after else "retrieval"

    @property
    def sides(self) -> tuple[str, str]:
        """What its rows lead from and to: languages where the name ends in a pair of them."""
        return languages(self.name) or ("anchor", "positive")

    @property
    def unlearnt(self) -> bool:
        """Whether it is of masked tokens, and guessing by their frequency loses no more."""
        after, guessed = self.after.get("loss"), self.after.get("unigram_loss")
        return self.kind == "masked" and after is not None and guessed is not None and after >= guessed

    def ways(self) -> Iterator[tuple[str, str, Figures, Figures]]:
        """(from, to, figures before, figures after) of both directions."""
        first, second = self.sides
        for way, start, end in zip(WAYS, (first, second), (second, first), strict=True):
            yield start, end, self.before.get(way) or {}, self.after.get(way) or {}


def groups(summary: Mapping[str, Any]) -> list[Group]:
    """The groups of the run's result, in its order; empty where nothing was held out."""
    found = summary.get("evaluations") or []
    if not found:
        return []
    wanted = (summary.get("training") or {}).get("result_step")
    after = next((each for each in found if each.get("step") == wanted), found[-1])
    before = found[0] if found[0] is not after else {}
    start = before.get("groups") or {}
    return [Group(name, start.get(name) or {}, figures) for name, figures in (after.get("groups") or {}).items()]


def mean(found: Sequence[Group], figure: str = "accuracy") -> tuple[float | None, float | None]:
    """The mean of a figure over groups, each alike, before and after; None where a group lacks it."""
    return _mean([group.before.get(figure) for group in found]), _mean([group.after.get(figure) for group in found])


def _mean(figures: Sequence[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) / len(known) if known and len(known) == len(figures) else None


def losses(curve: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    """The mean loss of the first and of the last tenth of a training curve; None where it has no point.

    A single step's loss says little: the next one may be of other data, with another objective.
    """
    found = [point["loss"] for point in curve if isinstance(point.get("loss"), (int, float))]
    tenth = max(1, len(found) // 10)
    return (sum(found[:tenth]) / tenth, sum(found[-tenth:]) / tenth) if found else None


def languages(group: str) -> tuple[str, str] | None:
    """The languages of a group that is named `entry/de-en`; None for other names and for languages not known."""
    match = _PAIR.fullmatch(group.rpartition("/")[2]) if "/" in group else None
    return None if match is None or set(match.groups()) & set(UNKNOWN) else (match.group(1), match.group(2))


def percent(part: Any) -> str:
    """A share as `64.5%`; `–` where there is none."""
    return f"{100 * part:.1f}%" if isinstance(part, (int, float)) else "–"


def interval(bounds: Any) -> str:
    """`61.5–67.4`, in percent, as it stands beside a share; empty where there is none."""
    return f"{100 * bounds[0]:.1f}–{100 * bounds[1]:.1f}" if bounds else ""


def change(before: Any, after: Any, scale: float = 100, digits: int = 1) -> str:
    """`+55.9`: what a figure gained, in points; `–` where one of the two is missing."""
    if not isinstance(before, (int, float)) or not isinstance(after, (int, float)):
        return "–"
    return f"{scale * (after - before):+.{digits}f}".replace("-", "−")
