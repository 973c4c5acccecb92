"""What the page and the command line tell of an evaluate run.

The summary: {run, spec, command, model: {place, checksum, width, precision, pooling, max_length}, encoding: {texts,
reused, seconds}, map: null or {method, language, to, pairs, cosine: [before, behind], ...}, tasks: [{name,
task, type, main_score, languages: {subset: codes}, prompts, left_out: {reason: n},
dims: {label: {mean: {metric: {value, interval}}, subsets: {name: {rows, scores: {metric: {value, interval}},
without_leaks: {rows, value}}}, slices: {length, script: [{name, rows, value, interval}]}}}}], inference: {characters,
latency_ms, texts_per_second, memory, ...}, leaks: {runs, rows, not_looked_in, tasks: [{task, texts, too_short, found,
kinds, samples}]}}. `task` is what the spec calls it, `name` what its result is called. Scores are from 0 to 1 (or -1 to
1) and shown x 100.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pairmill.report import show

TASKS_NAMED, SUBSETS_NAMED = 20, 4
TINT = 70  # percent of colour of the best possible score
SAMPLE = 300
Json = Mapping[str, Any]


def score(value: Any) -> str:
    """A score x 100; `–` where there is none."""
    return f"{100 * value:.1f}".replace("-", "−") if isinstance(value, (int, float)) else "–"


def interval(bounds: Any) -> str:
    return f"{score(bounds[0])} to {score(bounds[1])}" if bounds else ""


def sentences(summary: Json) -> list[str]:
    """The run in words."""
    tasks, model, encoding = summary.get("tasks") or [], summary.get("model") or {}, summary.get("encoding") or {}
    if not tasks:
        return ["Nothing was evaluated."]
    subsets = sum(len(task.get("languages") or {}) for task in tasks)
    told = [
        f"{show.fact(model.get('place'))} ({show.value(model.get('width'))} dimensions, "
        f"{show.fact(model.get('precision'))}) on {show.plural(len(tasks), 'task')} with "
        f"{show.plural(subsets, 'subset')}."
    ]
    if encoding.get("texts") or encoding.get("reused"):
        reused = f", {show.whole(encoding['reused'])} came from the cache" if encoding.get("reused") else ""
        told.append(
            f"{show.plural(encoding['texts'], 'text')} encoded in {show.duration(encoding['seconds'])}{reused}."
        )
    if fitted := summary.get("map"):
        told.append(
            f"Texts in {show.fact(fitted['language'])} go through a map ({fitted['method']}) fitted on "
            f"{show.plural(fitted['pairs'], 'pair')}; their cosine to the {show.fact(fitted['to'])} side: "
            f"{show.value(fitted['cosine'][0])} before, {show.value(fitted['cosine'][1])} behind it."
        )
    found = sum(one["found"] for one in (summary.get("leaks") or {}).get("tasks") or [])
    if summary.get("leaks"):
        told.append(f"{show.plural(found, 'evaluation text')} found in what the model learnt from.")
    return told


def left_out(summary: Json) -> str:
    """The records that were not evaluated, by task and reason; "" for none."""
    counts = {task["task"]: task["left_out"] for task in summary.get("tasks") or []}
    return ", ".join(
        f"{name}: {show.whole(count)} ({reason})" for name, found in counts.items() for reason, count in found.items()
    )


def by_width(task: Json) -> list[tuple[str, Json]]:
    """Labels and results of a task's dimensions, the widest first."""
    found = (task.get("dims") or {}).items()
    return sorted(found, key=lambda one: -int(one[0]) if one[0].isdigit() else -math.inf)


def widest(task: Json) -> Json:
    """The results of the widest vectors."""
    return next((found for _, found in by_width(task)), {"subsets": {}, "mean": {}, "slices": {}})


def means(summary: Json) -> dict[str, tuple[str, str]]:
    """By task: the main score of the widest vectors, and its interval."""
    found: dict[str, tuple[str, str]] = {}
    for row in tasks(summary):  # the widest first
        found.setdefault(str(row["name"]), (row["value"], row["interval"]))
    return found


def tasks(summary: Json) -> list[dict[str, Any]]:
    """By task and dimension: the main score, its interval, and the other scores."""
    rows = []
    for task in summary.get("tasks") or []:
        for label, found in by_width(task):
            means = found["mean"]
            main = means.get(task["main_score"]) or {}
            others = [(name, score(one["value"])) for name, one in means.items() if name != task["main_score"]]
            rows.append(
                {
                    "name": task["name"],
                    "type": task["type"],
                    "metric": task["main_score"],
                    "dims": label,
                    "subsets": len(found["subsets"]),
                    "rows": sum(one["rows"] for one in found["subsets"].values()),
                    "value": score(main.get("value")),
                    "interval": interval(main.get("interval")),
                    "mark": mark(main.get("interval")),
                    "others": others,
                }
            )
    return rows


def mark(bounds: Any) -> tuple[float, float] | None:
    """Where an interval lies on a scale from 0 to 1: (left, width) in percent."""
    if not bounds:
        return None
    low, high = (min(max(bound, 0.0), 1.0) for bound in bounds)
    return round(100 * low, 2), round(100 * (high - low), 2)


def heat(summary: Json) -> dict[str, Any]:
    """The main scores by subset (rows) and task (columns), of the widest vectors."""
    columns = [(task, widest(task)) for task in summary.get("tasks") or []]
    names = sorted({name for _, found in columns for name in found["subsets"]})
    rows = []
    for name in names:
        cells = []
        for task, found in columns:
            one = found["subsets"].get(name)
            main = (one or {"scores": {}})["scores"].get(task["main_score"]) or {}
            value = main.get("value")
            tint = round(TINT * min(max(value, 0.0), 1.0)) if isinstance(value, (int, float)) else 0
            cells.append({"value": score(value), "interval": interval(main.get("interval")), "tint": tint, "has": one})
        rows.append({"name": name, "cells": cells})
    heads = [(task["name"], task["main_score"]) for task, _ in columns]
    return {"columns": heads, "rows": rows}


def slices(summary: Json) -> list[dict[str, Any]]:
    """By task with slices: its scores by length and by script."""
    told = []
    for task in summary.get("tasks") or []:
        found = widest(task)["slices"]
        if found:
            parts = {
                kind: [
                    {
                        "name": row["name"],
                        "rows": row["rows"],
                        "value": score(row["value"]),
                        "interval": interval(row["interval"]),
                        "mark": mark(row["interval"]),
                    }
                    for row in found[kind]
                ]
                for kind in ("length", "script")
            }
            told.append({"name": task["name"], "metric": task["main_score"], "parts": parts})
    return told


def costs(summary: Json) -> list[tuple[str, str]]:
    """What inference costs, as (name, value)."""
    found = summary.get("inference")
    if not found:
        return []
    latency, memory = found["latency_ms"], found["memory"]
    return [
        ("texts timed", f"{show.whole(found['rows'])}, {show.value(found['characters'])} characters on the average"),
        ("one text", f"{show.value(latency['p50'])} ms (median), {show.value(latency['p95'])} ms (95 % are faster)"),
        ("all together", f"{show.value(found['texts_per_second'])} texts a second"),
        ("memory", f"{show.size(memory['open'])} with the model open, {show.size(memory['peak'])} at most"),
    ]


def leaks(summary: Json) -> dict[str, Any] | None:
    """The leak check: by task how many of its texts were found, the score without them, samples."""
    found = summary.get("leaks")
    if not found:
        return None
    rows, samples = [], []
    for one in found["tasks"]:
        rows.append(
            {
                "name": one["task"],
                "texts": one["texts"],
                "too_short": one["too_short"],
                "found": one["found"],
                "share": show.share(one["found"], one["texts"]),
                "kinds": ", ".join(f"{kind} {count:,}" for kind, count in one["kinds"].items()),
                "without": _without(summary, one["task"]),
            }
        )
        samples += [
            {
                "task": one["task"],
                "kind": hit["kind"],
                "place": f"{hit['side']} of id {hit['pair_id']} of run {hit['run']}",
                "evaluation": show.one_line(hit["evaluation"], SAMPLE),
                "text": show.one_line(hit["text"], SAMPLE),
            }
            for hit in one["samples"]
        ]
    return {
        "rows": rows,
        "samples": samples,
        "kept": found["rows"],
        "runs": ", ".join(found["runs"]),
        "not_looked_in": "; ".join(found["not_looked_in"]),
    }


def _without(summary: Json, name: str) -> str:
    """The main scores of subsets with leaks, with and without them."""
    told = []
    for task in summary.get("tasks") or []:
        if task["task"] == name:
            for subset, one in widest(task)["subsets"].items():
                if "without_leaks" in one:
                    before = score(one["scores"][task["main_score"]]["value"])
                    told.append(f"{subset} {before} → {score(one['without_leaks']['value'])}")
    return ", ".join(told[:SUBSETS_NAMED]) + (
        f" and {len(told) - SUBSETS_NAMED} more" if len(told) > SUBSETS_NAMED else ""
    )


def lines(summary: Json) -> list[str]:
    """What the command line prints: a line per task and dimension."""
    found = tasks(summary)
    shown = found[:TASKS_NAMED]
    names = [
        show.one_line(f"{row['name']} ({row['dims']})" if row["dims"] != "full" else row["name"], 60) for row in shown
    ]
    wide = max(map(len, names), default=0)
    told = [
        f"{name:<{wide}}  {row['metric']} {row['value']}"
        + (f" ({row['interval']})" if row["interval"] else "")
        + f", {show.plural(row['subsets'], 'subset')}, {show.plural(row['rows'], 'row')}"
        for name, row in zip(names, shown, strict=True)
    ]
    told += [f"and {show.plural(len(found) - len(shown), 'more line')}"] if len(found) > len(shown) else []
    leaked = leaks(summary)
    hits = [f"{row['name']} {row['found']:,} of {row['texts']:,}" for row in (leaked or {"rows": []})["rows"]]
    return [
        *(f"  {'' if number else 'evaluated':<12}{sentence}" for number, sentence in enumerate(sentences(summary))),
        *(f"  {'' if number else 'scores':<12}{line}" for number, line in enumerate(told)),
        *([f"  {'leaks':<12}{show.one_line(', '.join(hits), 400)}"] if hits else []),
        *(
            [f"  {'inference':<12}{', '.join(told for _, told in costs(summary)[1:3])}"]
            if summary.get("inference")
            else []
        ),
    ]
