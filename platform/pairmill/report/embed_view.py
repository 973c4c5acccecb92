"""What the page and the command line tell of an embed run.

The summary: {run, spec, command, model: {name, checksum, precision}, dims, normalized, sets: {name: {sides: {side:
prompt}, run}}, counts: [{set, side, vectors, distinct, units, lost: {reason: n}}]}.
`distinct` texts of each unit were encoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pairmill.report import show

REASONS = {"empty": "empty", "unreadable": "unreadable", "filtered": "left out by the filters"}
ROWS_NAMED = 12


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """The run in words."""
    counts, model, run = summary.get("counts") or [], summary.get("model") or {}, summary.get("run") or {}
    total = sum(row["vectors"] for row in counts)
    if not total:
        return ["No vector was made."]
    told = [
        f"{show.plural(total, 'vector')} of {summary.get('dims')} numbers, by {show.fact(model.get('name'))} in "
        f"{show.fact(model.get('precision'))}."
    ]
    distinct = sum(row["distinct"] for row in counts)
    if distinct < total:
        told.append(f"{show.plural(distinct, 'text')} encoded: equal texts of a unit are encoded once.")
    if run.get("seconds"):
        told.append(f"{show.value(total / run['seconds'])} vectors a second, all in all.")
    return told


def rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """By set and side: vectors, distinct texts, the prompt, and what had no vector."""
    sets = summary.get("sets") or {}
    return [
        {
            "name": f"{row['set']}, {row['side']}",
            "vectors": row["vectors"],
            "distinct": row["distinct"],
            "units": row["units"],
            "prompt": sets.get(row["set"], {}).get("sides", {}).get(row["side"], ""),
            "lost": ", ".join(f"{count:,} {REASONS.get(reason, reason)}" for reason, count in row["lost"].items()),
        }
        for row in summary.get("counts") or []
    ]


def lines(summary: Mapping[str, Any]) -> list[str]:
    """What the command line prints: a line per set and side."""
    found = rows(summary)
    shown = found[:ROWS_NAMED]
    wide = max((len(show.one_line(row["name"], 80)) for row in shown), default=0)
    told = [
        f"{show.one_line(row['name'], 80):<{wide}}  {row['vectors']:,}" + (f" ({row['lost']})" if row["lost"] else "")
        for row in shown
    ]
    told += [f"and {show.plural(len(found) - len(shown), 'more side')}"] if len(found) > len(shown) else []
    return [
        *(f"  {'' if number else 'made':<12}{sentence}" for number, sentence in enumerate(sentences(summary))),
        *(f"  {'' if number else 'vectors':<12}{line}" for number, line in enumerate(told)),
    ]
