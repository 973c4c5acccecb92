"""Lines over training steps as SVG paths, without a script and without text inside the drawing.

The drawing is WIDE by HIGH units and is stretched to the page's width; strokes keep theirs (`non-scaling-stroke`).
Ticks are percentages of the drawing, so that labels are ordinary text beside it, as large on a phone as on a screen.
A line of many points is drawn twice: as it is, faint, and as the mean over a window of 1/WINDOWS of its points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pairmill.report import show

WIDE, HIGH = 1000, 300
WINDOWS, SMOOTHED_FROM = 25, 50
LINES = 6  # colours that the style has
Points = Sequence[tuple[float, float]]
Frame = tuple[float, float, float, float]  # first and last step, lowest and highest value


@dataclass(frozen=True)
class Line:
    """`path` is the line, `faint` the points it is the mean of ("" where they are few)."""

    name: str
    path: Markup
    faint: Markup


@dataclass(frozen=True)
class Plot:
    """Lines on common axes; `second` has an axis of its own, from 0 to its largest value `top`."""

    title: str
    description: str
    lines: list[Line]
    more: int
    second: Line | None
    top: str
    across: list[tuple[float, str]]  # (percent from the left, label)
    up: list[tuple[float, str]]  # (percent from below, label)


def plot(
    title: str,
    values: str,
    lines: Mapping[str, Points],
    second: tuple[str, Points] | None = None,
    percent: bool = False,
) -> Plot | None:
    """The first LINES lines of (step, value) points; None where no line has a finite point.

    `values` names what is drawn, for those who do not see it; `percent`: values are shares.
    """
    finite = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in lines.items()}
    drawn = {name: points for name, points in finite.items() if points}
    shown = dict(list(drawn.items())[:LINES])
    if not shown:
        return None
    steps = [x for points in shown.values() for x, _ in points]
    heights = [y for points in shown.values() for _, y in points]
    left, right = min(steps), max(steps)
    up = ticks(min(heights), max(heights))
    low, high = min(up[0], *heights), max(up[-1], *heights)
    top = max((y for _, y in second[1]), default=0) if second else 0
    frame = (left, right, low, high)

    def label(value: float) -> str:
        return f"{100 * value:.3g}%" if percent else show.value(value)

    return Plot(
        title=title,
        description="; ".join(_told(name, values, points, label) for name, points in shown.items()) + ".",
        lines=[_line(name, points, frame) for name, points in shown.items()],
        more=len(drawn) - len(shown),
        second=Line(second[0], _path(second[1], (left, right, 0, top * 1.02)), Markup())
        if second and top > 0
        else None,
        top=show.value(top),
        across=[(_part(x, left, right), show.whole(int(x))) for x in _steps(left, right)],
        up=[(_part(y, low, high), label(y)) for y in up],
    )


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers, about `count`, that enclose low to high."""
    span = high - low or abs(high) or 1.0
    rough = span / count
    unit = 10.0 ** math.floor(math.log10(rough))
    size = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough * 0.999)
    first, last = math.floor(low / size + 1e-9), math.ceil(high / size - 1e-9)
    return [number * size for number in range(first, max(last, first + 1) + 1)]


def smoothed(points: Points) -> list[tuple[float, float]]:
    """Each point's mean with those around it; at the ends the window is cut."""
    reach = len(points) // WINDOWS // 2
    around = [points[max(0, i - reach) : i + reach + 1] for i in range(len(points))]
    return [(x, sum(y for _, y in part) / len(part)) for (x, _), part in zip(points, around, strict=True)]


def _steps(left: float, right: float) -> list[float]:
    """Round steps between the first and the last one, which stand at the ends themselves."""
    if left == right:
        return [left]
    gap = (right - left) / 10
    return [left, *(x for x in ticks(left, right, 4) if left + gap < x < right - gap and x == int(x)), right]


def _line(name: str, points: Points, frame: Frame) -> Line:
    if len(points) < SMOOTHED_FROM:
        return Line(name, _path(points, frame), Markup())
    return Line(name, _path(smoothed(points), frame), _path(points, frame))


def _path(points: Points, frame: Frame) -> Markup:
    left, right, low, high = frame
    across = [WIDE * _part(x, left, right) / 100 for x, _ in points]
    down = [HIGH * (1 - _part(y, low, high) / 100) for _, y in points]
    places = [f"{x:.1f} {y:.1f}" for x, y in zip(across, down, strict=True)]
    return Markup(f"M{'L'.join(places)}" + ("h0" if len(places) == 1 else ""))


def _part(value: float, low: float, high: float) -> float:
    """Percent of the way from low to high; the middle where they are one."""
    return round(100 * (value - low) / (high - low), 3) if high > low else 50.0


def _told(name: str, values: str, points: Points, label: Callable[[float], str]) -> str:
    (first, start), (last, end) = points[0], points[-1]
    return f"{show.one_line(name, 60)}: {values} {label(start)} at step {first:,.0f}, {label(end)} at step {last:,.0f}"
