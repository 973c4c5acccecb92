"""Histograms and curves of what could be kept, as SVG paths without a script and without text inside the drawing.

1. A histogram's bins are drawn equally wide whatever their edges, so that a logarithmic score reads as well as a linear
   one. `Axis.at` is a value's place among them, linear within its bin.
2. Heights of bars grow with the square root of their rows, so that a bin of a thousandth of the rows is still seen. The
   ticks have the rows' numbers.
3. A curve's thresholds stand at equal distances: they are spread over the quantiles of the score, so that distances
   in rows are seen and long empty stretches are not.

Coordinates and labels are as in `plot.py`: a drawing of WIDE by HIGH units that the page stretches, places in percent.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from pairmill.report import show
from pairmill.report.plot import HIGH, WIDE, ticks

LABELS = 5
PAIRS_SHOWN = 20
GAP = 0.12  # of a bar's width


@dataclass(frozen=True)
class Axis:
    """Bins of equal width on the page between increasing `edges`, at least two of them."""

    edges: tuple[float, ...]

    def at(self, value: float) -> float:
        """Percent from the left; values outside stand at the ends."""
        edges = self.edges
        if value <= edges[0] or value >= edges[-1]:
            return 0.0 if value <= edges[0] else 100.0
        number = bisect_right(edges, value) - 1
        low, high = edges[number], edges[number + 1]
        return round(100 * (number + (value - low) / (high - low)) / (len(edges) - 1), 2)

    def labels(self) -> list[tuple[float, str]]:
        """(percent, edge) of about LABELS edges, both ends among them."""
        last = len(self.edges) - 1
        count = min(LABELS, last)
        chosen = [round(last * number / count) for number in range(count + 1)]
        return [(round(100 * number / last, 2), brief(self.edges[number])) for number in chosen]


@dataclass(frozen=True)
class Histogram:
    """`marks`: (percent, label) of thresholds; `bins`: (from, to, rows, kept) for the table behind the drawing."""

    name: str
    told: str
    axis: Axis
    all: Markup
    kept: Markup
    up: list[tuple[float, str]]
    across: list[tuple[float, str]]
    marks: list[tuple[float, str]]
    bins: list[tuple[str, str, int, int]]
    quantiles: list[tuple[str, str]]


@dataclass(frozen=True)
class Point:
    """What a run would keep at a threshold; `x`, `y` in percent, `pairs` by the curve's language pairs."""

    threshold: str
    x: float
    y: float
    kept: int
    change: str
    share: str
    pairs: list[int]


@dataclass(frozen=True)
class Curve:
    """Rows kept by threshold; `now` is the number of the point in force, `exact` False where groups were sampled."""

    bound: str
    told: str
    exact: bool
    places: list[float]
    path: Markup
    up: list[tuple[float, str]]
    across: list[tuple[float, str]]
    points: list[Point]
    now: int
    pairs: list[str]


def brief(number: float) -> str:
    """At most three significant digits: `0.125`, `1,240`, `35k`, `1.2M`."""
    for unit, from_, size in (("G", 1e9, 1e9), ("M", 1e6, 1e6), ("k", 1e4, 1e3)):
        if abs(number) >= from_:
            scaled = number / size
            return f"{scaled:,.0f}{unit}" if abs(scaled) >= 100 else f"{scaled:.3g}{unit}"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def histogram(name: str, facts: Mapping[str, Any], marks: Sequence[tuple[float, str]] = ()) -> Histogram | None:
    """The drawing of a score's `edges` and `counts`, with thresholds as (value, label); None where nothing counted."""
    counts, edges = facts.get("counts") or {}, tuple(facts.get("edges") or ())
    everything = list(counts.get("all") or [])
    kept = list(counts.get("kept") or [0] * len(everything))
    if len(edges) < 2 or not any(everything):
        return None
    axis, top = Axis(edges), max(everything)
    return Histogram(
        name=name,
        told=_told(facts, sum(everything), sum(kept)),
        axis=axis,
        all=_bars(everything, top),
        kept=_bars(kept, top),
        up=_heights(top),
        across=axis.labels(),
        marks=[(axis.at(value), _pointing(value, edges, label)) for value, label in marks],
        bins=[
            (brief(low), brief(high), *rows)
            for low, high, *rows in zip(edges[:-1], edges[1:], everything, kept, strict=True)
        ],
        quantiles=[(_percent(part), show.value(value)) for part, value in (facts.get("quantiles") or {}).items()],
    )


def _pointing(value: float, edges: Sequence[float], label: str) -> str:
    """The label of a threshold, with an arrow where no value lies beyond it."""
    return f"← {label}" if value < edges[0] else f"{label} →" if value > edges[-1] else label


def curve(facts: Mapping[str, Any], rows_in: int) -> Curve | None:
    """The drawing of one bound's `points`; None for fewer than two."""
    found = sorted(facts.get("points") or [], key=lambda point: point["threshold"])
    if len(found) < 2:
        return None
    places = [point["threshold"] for point in found]
    axis = Axis(tuple(places))
    kept = [int(point["kept"]) for point in found]
    up = ticks(min(kept), max(kept), 4)
    now = min(range(len(found)), key=lambda number: abs(places[number] - facts.get("at", places[0])))
    total = {name: rows for point in found for name, rows in (point.get("by_pair") or {}).items()}
    pairs = sorted(total, key=lambda name: (-_of(found[now], name), name))[:PAIRS_SHOWN]
    sign = "≥" if facts.get("bound") == "min" else "≤"
    points = [
        Point(
            threshold=f"{sign} {show.value(point['threshold'])}",
            x=round(100 * number / (len(found) - 1), 2),
            y=round(100 * (rows - up[0]) / (up[-1] - up[0]), 2),
            kept=rows,
            change=show.signed(rows - kept[now]),
            share=show.share(rows, rows_in),
            pairs=[_of(point, name) for name in pairs],
        )
        for number, (point, rows) in enumerate(zip(found, kept, strict=True))
    ]
    ends = [f"at {point.threshold} {point.kept:,} ({point.change})" for point in (points[0], points[-1])]
    return Curve(
        bound=sign,
        exact=facts.get("exact") is not False,
        places=places,
        told=f"At {points[now].threshold} the run keeps {points[now].kept:,} rows; it would keep {' and '.join(ends)}.",
        path=Markup("M" + "L".join(f"{WIDE * p.x / 100:.1f} {HIGH * (1 - p.y / 100):.1f}" for p in points)),
        up=[(round(100 * (y - up[0]) / (up[-1] - up[0]), 2), show.whole(round(y))) for y in up if y == round(y)],
        across=axis.labels(),
        points=points,
        now=now,
        pairs=pairs,
    )


def _of(point: Mapping[str, Any], pair: str) -> int:
    return int((point.get("by_pair") or {}).get(pair) or 0)


def _bars(counts: Sequence[int], top: int) -> Markup:
    wide = WIDE / len(counts)
    drawn = []
    for number, rows in enumerate(counts):
        if rows:
            high = max(HIGH * math.sqrt(rows / top), 2)
            left, width = wide * (number + GAP / 2), wide * (1 - GAP)
            drawn.append(f"M{left:.1f} {HIGH}v-{high:.1f}h{width:.1f}v{high:.1f}z")
    return Markup("".join(drawn))


def _heights(top: int) -> list[tuple[float, str]]:
    """(percent from below, rows) of round numbers, each a tenth of the one above, as far as their labels have room."""
    round_top = 10 ** math.floor(math.log10(top))
    round_top *= max(factor for factor in (1, 2, 5) if factor * round_top <= top)
    found = [round_top // part for part in (1, 10) if round_top >= part]
    return [(round(100 * math.sqrt(rows / top), 2), brief(rows)) for rows in [0, *reversed(found)]]


def _told(facts: Mapping[str, Any], rows: int, kept: int) -> str:
    quantiles = facts.get("quantiles") or {}
    told = [f"{rows:,} values, {show.share(kept, rows)} of them of kept rows"]
    if (middle := quantiles.get("0.5")) is not None:
        told.append(f"median {show.value(middle)}")
    if (low := quantiles.get("0.05")) is not None and (high := quantiles.get("0.95")) is not None:
        told.append(f"nine in ten from {show.value(low)} to {show.value(high)}")
    if facts.get("nulls"):
        told.append(f"{show.plural(int(facts['nulls']), 'row')} without a value")
    return "; ".join(told) + "."


def _percent(part: Any) -> str:
    try:
        return f"{100 * float(part):g}%"
    except ValueError:
        return show.one_line(str(part), 20)
