"""From the summary of a train or pretrain run (its shape: `train/result.py`) to what its page shows.

Lists may be empty and values null. Sorted, bounded, formatted; pure functions over plain JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from pairmill.report import evaluations, show
from pairmill.report.card import licences
from pairmill.report.evaluations import Figures, Group, change, interval, percent
from pairmill.report.frame import frame
from pairmill.report.funnel import Balance
from pairmill.report.plot import Plot, plot

GROUPS_SHOWN = 200
CONTENTS = [
    ("summary", "Summary"),
    ("held-out", "Before and after"),
    ("curve", "Learning"),
    ("data", "Data"),
    ("shares", "Batches"),
    ("model", "Model"),
    ("lineage", "Lineage"),
]


def prepare(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The template's variables."""
    found = evaluations.groups(summary)
    curve = summary.get("curve") or []
    entries = _of(summary, "data")
    return {
        **frame(summary, str(_of(summary, "run").get("kind") or "train"), CONTENTS),
        "sentences": sentences(summary, found),
        "figures": figures(summary, found),
        "compared": compared(found),
        "course": course(summary),
        "loss": loss_plot(curve),
        "learning": learning(curve),
        "entries": [entry_row(name, entry) for name, entry in list(entries.items())[:GROUPS_SHOWN]],
        "more_entries": max(0, len(entries) - GROUPS_SHOWN),
        "balance": balance(entries),
        "shares": shares(summary),
        "model": model_facts(_of(summary, "model")),
        "prompts": list(_of(_of(summary, "model"), "prompts").items()),
        "runs": _of(summary, "lineage").get("runs") or [],
        "licences": list(licences(summary).items()),
    }


def _of(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    return data.get(key) or {}


def _number(value: Any) -> bool:
    return isinstance(value, (int, float))


# -- summary -----------------------------------------------------------------------------------------------------


def sentences(summary: Mapping[str, Any], found: Sequence[Group]) -> list[str]:
    """The run in words: what was trained on, what it gained, how it ended."""
    training = _of(summary, "training")
    if not training:
        return ["The run ended before training did: nothing was measured."]
    entries = show.plural(len(_of(summary, "data")), "data entry")
    told = [
        f"{show.plural(training.get('steps') or 0, 'step')} on {show.plural(training.get('rows') or 0, 'row')} of "
        f"{entries} took {show.duration(training.get('seconds'))}, at {show.value(training.get('rows_per_second'))} rows "
        f"and {show.value(training.get('tokens_per_second'))} tokens a second."
    ]
    told += ["Training stopped early: the figures on held-out rows no longer improved."] * bool(
        training.get("stopped_early")
    )
    told += gains(found)
    if not found:
        told.append("No rows were held out, so nothing tells what the model learned: give a data entry a `holdout`.")
    return told


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
            told.append(f"It got worse in {', '.join(worse[:3])}{more}.")
    return told


def _worse(group: Group, figure: str, lower: bool) -> bool:
    before, after = group.before.get(figure), group.after.get(figure)
    return before is not None and after is not None and (after > before if lower else after < before)


def figures(summary: Mapping[str, Any], found: Sequence[Group]) -> list[tuple[str, str, str]]:
    """The key numbers: (kind, number, what it counts)."""
    training, curve = _of(summary, "training"), summary.get("curve") or []
    told = []
    for kind, figure, write, what in (
        ("retrieval", "accuracy", percent, "held-out accuracy"),
        ("scored", "spearman", show.value, "Spearman's correlation"),
        ("masked", "accuracy", percent, "masked tokens right"),
    ):
        before, after = evaluations.mean([group for group in found if group.kind == kind], figure)
        if after is not None:
            told.append(("kept", write(after), what + ("" if before is None else f", before {write(before)}")))
    losses = [point["loss"] for point in curve if _number(point.get("loss"))]
    if losses:
        told.append(("rejected", show.value(losses[-1]), f"loss at the end, {show.value(losses[0])} at the start"))
    told.append(("in", show.value(training.get("steps")), f"steps, {show.value(training.get('rows'))} rows"))
    told.append(("in", show.value(training.get("rows_per_second")), "rows a second"))
    return told


# -- held-out rows -----------------------------------------------------------------------------------------------


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
    told = [f"{scale * value:.{digits}f}".replace("-", "−") if _number(value) else "–" for value in (before, after)]
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
    }


def course(summary: Mapping[str, Any]) -> Plot | None:
    """The held-out figures in the course of training, where they were looked at more than twice."""
    looks = summary.get("evaluations") or []
    if len(looks) < 3:
        return None
    lines: dict[str, list[tuple[float, float]]] = {}
    for look in looks:
        for name, found in _of(look, "groups").items():
            if _number(found.get("accuracy")):
                lines.setdefault(name, []).append((look["step"], found["accuracy"]))
    return plot("Held-out accuracy in the course of training", "accuracy", lines, percent=True)


# -- learning ----------------------------------------------------------------------------------------------------


def loss_plot(curve: Sequence[Mapping[str, Any]]) -> Plot | None:
    """The loss by data entry, the learning rate as a second line."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for point in curve:
        for name, loss in (point.get("entries") or {"loss": point.get("loss")}).items():
            if _number(loss):
                lines.setdefault(name, []).append((point["step"], loss))
    rates = [(point["step"], point["lr"]) for point in curve if _number(point.get("lr"))]
    return plot("Loss in the course of training", "loss", lines, ("learning rate", rates) if rates else None)


def learning(curve: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """First, last, smallest, median and largest of what is logged at each step."""
    names = {"loss": "Loss", "accuracy": "Accuracy in the batch", "gradient_norm": "Gradient norm", "lr": "Learning rate"}
    columns = {title: [p[name] for p in curve if _number(p.get(name))] for name, title in names.items()}
    entries = {name for point in curve for name in point.get("entries") or ()}
    for name in sorted(entries) if len(entries) > 1 else ():
        columns[f"Loss of {name}"] = [p["entries"][name] for p in curve if name in (p.get("entries") or {})]
    return [_spread(title, values) for title, values in columns.items() if values]


def _spread(title: str, values: list[float]) -> dict[str, str]:
    told = {"first": values[0], "last": values[-1], "low": min(values), "median": median(values), "high": max(values)}
    return {"title": title, **{name: show.value(value) for name, value in told.items()}}


# -- data, batches, model ----------------------------------------------------------------------------------------


def entry_row(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry's counts; `packed`: what became of its texts, where they were joined to sequences."""
    dropped = _of(entry, "dropped")
    packed = entry.get("sequences")
    return {
        "name": name,
        "counts": [entry.get(key) or 0 for key in ("rows_in", "used", "held_out")],
        "dropped": sum(dropped.values()),
        "reasons": _reasons(dropped),
        "difference": _balance([entry]).difference,
        "packed": packed and [packed.get(key) or 0 for key in ("made", "used", "held_out")],
        "packed_dropped": sum(_of(packed or {}, "dropped").values()),
        "packed_reasons": _reasons(_of(packed or {}, "dropped")),
    }


def _reasons(dropped: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(dropped.items(), key=lambda item: (-item[1], item[0]))


def balance(entries: Mapping[str, Mapping[str, Any]]) -> Balance | None:
    """Rows in = used + held out + dropped, over all entries."""
    return _balance(list(entries.values())) if entries else None


def _balance(entries: Sequence[Mapping[str, Any]]) -> Balance:
    rows_in, used, held = (sum(entry.get(key) or 0 for entry in entries) for key in ("rows_in", "used", "held_out"))
    dropped = sum(sum(_of(entry, "dropped").values()) for entry in entries)
    return Balance(("rows in", rows_in), (("used", used), ("held out", held), ("dropped", dropped)))


def shares(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Steps by group, the largest first: what the batch plan gave each."""
    planned, groups = _of(summary, "shares"), summary.get("groups") or []
    total = sum(planned.values())
    ranked = sorted(groups, key=lambda group: (-planned.get(group.get("name"), 0), str(group.get("name"))))
    rows = []
    for group in ranked[:GROUPS_SHOWN]:
        steps = planned.get(group.get("name"), 0)
        lengths = ", ".join(f"{show.one_line(str(side))} {mean:.1f}" for side, mean in _of(group, "mean").items())
        told = {"name": group.get("name"), "entry": group.get("entry"), "rows": group.get("rows"), "lengths": lengths}
        width = 100 * steps / total if total else 0
        rows.append({**told, "steps": steps, "share": show.share(steps, total), "width": width})
    return {"rows": rows, "more": max(0, len(ranked) - GROUPS_SHOWN), "total": total}


def model_facts(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The exported model as (name, value)."""
    if not model:
        return []
    trained, parameters = model.get("trained"), model.get("parameters")
    part = f" ({show.share(trained, parameters)})" if _number(trained) and parameters else ""
    length = " tokens, special tokens included"
    return [
        ("place", show.fact(model.get("place"))),
        ("architecture", show.fact(model.get("type"))),
        ("parameters", show.value(parameters)),
        ("trained", f"{show.value(trained)}{part}"),
        ("dimension", show.value(model.get("dimension"))),
        ("vocabulary", show.value(model.get("vocabulary"))),
        ("pooling", show.fact(model.get("pooling"))),
        ("unit length", "yes" if model.get("normalize") else "no"),
        ("longest input", f"{show.value(model.get('max_length'))}{length}"),
    ]
