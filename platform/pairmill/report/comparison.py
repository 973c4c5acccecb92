"""What training changed on held-out rows, for the pages: sentences, tables before / after, and the course of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pairmill.report import evaluations, show
from pairmill.report.evaluations import Figures, Group, change, interval, percent
from pairmill.report.plot import Plot, plot

GROUPS_SHOWN = 200


def gains(found: Sequence[Group]) -> list[str]:
    """What training changed on held-out rows, a sentence by kind of figure."""
    told = []
    names = {
        "retrieval": ("accuracy", "Accuracy of finding a held-out row's other side", percent),
        "scored": ("spearman", "Spearman's correlation with gold scores", show.value),
        "masked": ("loss", "The loss on masked tokens of held-out rows", show.value),
    }
    for kind, (figure, what, write) in names.items():
        of = [group for group in found if group.kind == kind]
        before, after = evaluations.mean(of, figure)
        if after is None:
            continue
        over = "" if len(of) == 1 else f", the mean of {show.plural(len(of), 'group')}"
        how = f"is {write(after)}" if before is None else f"went from {write(before)} to {write(after)}"
        told.append(f"{what} {how}{over}.")
        worse = [show.one_line(g.name, 60) for g in of if _worse(g, figure, lower=kind == "masked")]
        if worse:
            more = f" and {len(worse) - 3} more" if len(worse) > 3 else ""
            told.append(f"It {'rose' if kind == 'masked' else 'fell'} in {', '.join(worse[:3])}{more}.")
    return told


def _worse(group: Group, figure: str, lower: bool) -> bool:
    before, after = group.before.get(figure), group.after.get(figure)
    return before is not None and after is not None and (after > before if lower else after < before)


def compared(found: Sequence[Group]) -> dict[str, Any]:
    """The tables before / after, a part for each kind of figure; `more` groups are not shown."""
    shown = found[:GROUPS_SHOWN]
    retrieval = [group for group in shown if group.kind == "retrieval"]
    return {
        "ways": [way(group, *one) for group in retrieval for one in group.ways()],
        "geometry": [geometry(group) for group in retrieval],
        "scored": [{"name": g.name, "rows": g.rows, **_both(g, "spearman", 1, 3)} for g in shown if g.kind == "scored"],
        "masked": [masked(group) for group in shown if group.kind == "masked"],
        "more": len(found) - len(shown),
    }


def way(group: Group, start: str, end: str, before: Figures, after: Figures) -> dict[str, Any]:
    """A row of the table of accuracies; `marks` are (kind, left, width) in percent of the scale from 0 to 1."""
    marks = [(kind, *_mark(side)) for kind, side in (("before", before), ("after", after)) if side.get("interval")]
    return {
        "name": group.name,
        "start": start,
        "end": end,
        "rows": group.rows,
        "before": percent(before.get("accuracy")),
        "before_interval": interval(before.get("interval")),
        "after": percent(after.get("accuracy")),
        "after_interval": interval(after.get("interval")),
        "change": change(before.get("accuracy"), after.get("accuracy")),
        "mrr": show.value(after.get("mrr")),
        "marks": marks,
    }


def _mark(figures: Figures) -> tuple[float, float]:
    low, high = figures["interval"]
    return round(100 * low, 2), round(100 * (high - low), 2)


def geometry(group: Group) -> dict[str, Any]:
    """Mean cosine of pairs, alignment, uniformity: before, after, change."""
    return {"name": group.name, "figures": [_both(group, name, 1, 3) for name in ("cosine", "alignment", "uniformity")]}


def _both(group: Group, figure: str, scale: float, digits: int) -> dict[str, str]:
    before, after = group.before.get(figure), group.after.get(figure)
    told = [
        f"{scale * value:.{digits}f}".replace("-", "−") if isinstance(value, (int, float)) else "–"
        for value in (before, after)
    ]
    return {"before": told[0], "after": told[1], "change": change(before, after, scale, digits)}


def masked(group: Group) -> dict[str, Any]:
    """Loss and accuracy of masked tokens, beside a unigram model's."""
    return {
        "name": group.name,
        "rows": group.rows,
        "loss": _both(group, "loss", 1, 3),
        "unigram_loss": show.value(group.after.get("unigram_loss")),
        "accuracy": _both(group, "accuracy", 100, 1),
        "unigram_accuracy": percent(group.after.get("unigram_accuracy")),
        "unlearnt": group.unlearnt,
    }


def course(summary: Mapping[str, Any]) -> Plot | None:
    """The held-out figures in the course of training, where they were looked at more than twice."""
    looks = summary.get("evaluations") or []
    if len(looks) < 3:
        return None
    lines: dict[str, list[tuple[float, float]]] = {}
    for look in looks:
        for name, found in (look.get("groups") or {}).items():
            if isinstance(found.get("accuracy"), (int, float)):
                named = f"{name} (Spearman)" if "spearman" in found else name
                lines.setdefault(named, []).append((look["step"], found["accuracy"]))
    return plot("Held-out accuracy in the course of training", "accuracy", lines, percent=True)
