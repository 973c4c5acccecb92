"""What the page and the command line tell of a mine run.

The summary: {run, spec, command, section, of, vectors, index: {name: {choice, texts, shards, indexes, exact, recall, k,
queries}}, mined: figures of the section, and `columns` [{name, direction, describe}] of a side-table, or `ledger` and
`languages` of a kept dataset}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pairmill.pairs.ledger import Counts
from pairmill.report import show


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """The run in words."""
    section, mined = str(summary.get("section") or ""), summary.get("mined") or {}
    told = _SECTIONS.get(section, lambda mined: [])(mined)
    if total := ((summary.get("ledger") or {}).get("total")):
        told.append(_kept(Counts.from_json(total)))
    return told or ["Nothing was mined."]


def _kept(total: Counts) -> str:
    reasons = ", ".join(f"{rows:,} {reason.replace('_', ' ')}" for reason, rows in total.rejected.most_common())
    share = show.share(total.kept, total.rows_in)
    return f"{show.whole(total.kept)} of {show.plural(total.rows_in, 'row')} kept ({share})" + (
        f"; {reasons}." if reasons else "."
    )


def _margin(mined: Mapping[str, Any]) -> list[str]:
    return [f"Margin scores of {show.plural(mined.get('rows') or 0, 'pair')}, for selection by a curate job."]


def _consistency(mined: Mapping[str, Any]) -> list[str]:
    rows, consistent = mined.get("rows") or 0, mined.get("consistent") or 0
    return [
        f"Ranks of {show.plural(rows, 'pair')} among random passages; {show.whole(consistent)} "
        f"({show.share(consistent, rows)}) are consistent."
    ]


def _groups(mined: Mapping[str, Any]) -> list[str]:
    rows, duplicates = mined.get("rows") or 0, mined.get("duplicates") or 0
    return [
        f"{show.whole(duplicates)} of {show.plural(rows, 'row')} ({show.share(duplicates, rows)}) say the same as an "
        f"earlier one; compared within {show.plural(mined.get('clusters') or 0, 'cluster')}."
    ]


def _negatives(mined: Mapping[str, Any]) -> list[str]:
    seen = mined.get("candidates") or 0
    return [
        f"Of {show.plural(seen, 'candidate')} {show.share(mined.get('related') or 0, seen)} were related to the row, "
        f"{show.share(mined.get('near') or 0, seen)} as near as its positive."
    ]


def _bitext(mined: Mapping[str, Any]) -> list[str]:
    told = [
        f"{show.plural(mined.get('mined') or 0, 'pair')} found among {show.whole(mined.get('left_texts') or 0)} and "
        f"{show.whole(mined.get('right_texts') or 0)} distinct texts."
    ]
    if dev := mined.get("dev"):
        told.append(
            f"Threshold {show.value(dev['threshold'])}: on {show.plural(dev['gold'], 'gold pair')} precision "
            f"{show.value(dev['precision'])}, recall {show.value(dev['recall'])}, F1 {show.value(dev['f1'])}."
        )
    return told


def _rerank(mined: Mapping[str, Any]) -> list[str]:
    return [f"A cross-encoder's scores of {show.plural(mined['rows'], 'pair')}."] if "rows" in mined else []


_SECTIONS = {
    "bitext": _bitext,
    "consistency": _consistency,
    "groups": _groups,
    "margin": _margin,
    "negatives": _negatives,
    "rerank": _rerank,
}


def indexes(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, what it is and what it finds) of each index."""
    told = []
    for name, about in (summary.get("index") or {}).items():
        text = f"{about['choice']} ({show.plural(about['texts'], 'text')}, {show.plural(about['shards'], 'shard')})"
        if about.get("recall") is not None:
            text += f"; recall@{about['k']} {about['recall']:.4f} on {show.plural(about['queries'], 'query')}"
        told.append((name, text))
    return told


def scores(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each score's quantiles, and its histogram; `width` is a bar's percentage of the longest."""
    figures = (summary.get("mined") or {}).get("figures") or {}
    return [{"name": name, **about, "bars": _bars(about.get("bars") or [])} for name, about in figures.items()]


def _bars(bars: list[dict[str, Any]]) -> list[dict[str, Any]]:
    most = max((bar["rows"] for bar in bars), default=0) or 1
    return [{**bar, "width": round(100 * bar["rows"] / most, 1)} for bar in bars]


def ranks(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The histogram of consistency ranks: `rank`, `rows`, `share`."""
    mined = summary.get("mined") or {}
    classes, counts = mined.get("classes") or [], mined.get("ranks") or []
    total, low, found = sum(counts), 1, []
    for number, rows in enumerate(counts):
        high = classes[number] if number < len(classes) else None
        name = f"{low:,} and more" if high is None else f"{low:,}" if low == high else f"{low:,}–{high:,}"
        found.append({"rank": name, "rows": rows, "share": show.share(rows, total)})
        low = (high or 0) + 1
    return found


def lines(summary: Mapping[str, Any]) -> list[str]:
    """What the command line prints."""
    told = [("mined", sentence) for sentence in sentences(summary)]
    told += [("index", f"{name}: {text}") for name, text in indexes(summary)]
    if columns := summary.get("columns"):
        told.append(("scores", ", ".join(show.one_line(column["name"]) for column in columns)))
    for about in scores(summary):
        quantiles = ", ".join(f"{share} {show.value(value)}" for share, value in about["quantiles"].items())
        told.append((show.one_line(about["name"], 12), quantiles))
    found, before = [], ""
    for label, text in told:
        found.append(f"  {'' if label == before else label:<12}{text}")
        before = label
    return found
