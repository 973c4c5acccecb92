"""From the summary of a train or pretrain run (its shape: `train/result.py`) to what its page shows.

Lists may be empty and values null. Sorted, bounded, formatted; pure functions over plain JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from pairmill.report import evaluations, show
from pairmill.report.card import CURVE
from pairmill.report.comparison import GROUPS_SHOWN, compared, course, gains
from pairmill.report.evaluations import Group, percent
from pairmill.report.frame import frame
from pairmill.report.funnel import Balance
from pairmill.report.lineage import licences
from pairmill.report.plot import Plot, plot

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
        "prompts": [
            (name, json.dumps(prompt, ensure_ascii=False))
            for name, prompt in _of(_of(summary, "model"), "prompts").items()
        ],
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
        f"{entries} took {show.duration(training.get('seconds'))}, at {show.value(training.get('rows_per_second'))} "
        f"rows and {show.value(training.get('tokens_per_second'))} tokens a second."
    ]
    told += ["Training stopped early: the figures on held-out rows no longer improved."] * bool(
        training.get("stopped_early")
    )
    told += gains(found)
    if not found:
        told.append("No rows were held out, so nothing tells what the model learned: give a data entry a `holdout`.")
    return told


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
    ends = evaluations.losses(curve)
    if ends:
        told.append(
            ("rejected", show.value(ends[1]), f"loss in the last tenth of steps, {show.value(ends[0])} in the first")
        )
    told.append(("in", show.value(training.get("steps")), f"steps, {show.value(training.get('rows'))} rows"))
    told.append(("in", show.value(training.get("rows_per_second")), "rows a second"))
    return told


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
    columns = {title: [p[name] for p in curve if _number(p.get(name))] for name, title in CURVE.items()}
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
    trained, parameters = model.get("trained") or 0, model.get("parameters") or 0
    return [
        ("place", show.fact(model.get("place"))),
        ("architecture", show.fact(model.get("type"))),
        ("parameters", show.whole(parameters)),
        ("trained", f"{show.whole(trained)} ({show.share(trained, parameters)})"),
        ("dimension", show.value(model.get("dimension"))),
        ("vocabulary", show.value(model.get("vocabulary"))),
        ("pooling", show.fact(model.get("pooling"))),
        ("unit length", "yes" if model.get("normalize") else "no"),
        ("longest input", f"{show.value(model.get('max_length'))} tokens, special tokens included"),
    ]
