"""Histograms and curves of what would be kept."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pairmill.report.charts import Axis, brief, curve, histogram
from pairmill.report.plot import HIGH, WIDE
from pairmill.report.show import signed

LOG = (0.0, 1.0, 10.0, 100.0, 1000.0)


def spread(every: list[int], kept: list[int], edges: tuple[float, ...] = LOG) -> dict[str, Any]:
    return {"edges": list(edges), "counts": {"all": every, "kept": kept}}


def bars(path: str) -> list[tuple[float, float, float]]:
    """(left, height, width) of each bar of a path."""
    found = re.findall(r"M([\d.]+) 300v-([\d.]+)h([\d.]+)v[\d.]+z", path)
    return [(float(left), float(high), float(wide)) for left, high, wide in found]


@pytest.mark.parametrize(
    ("value", "place"), [(-5, 0), (0, 0), (0.5, 12.5), (1, 25), (55, 62.5), (999.999, 100), (1000, 100), (5000, 100)]
)
def test_a_value_stands_within_its_bin_and_all_bins_are_equally_wide(value: float, place: float) -> None:
    assert Axis(LOG).at(value) == pytest.approx(place, abs=0.01)


def test_bars_grow_with_the_root_of_their_rows_and_empty_bins_have_none() -> None:
    drawn = histogram("x", spread([400, 0, 100, 1], [100, 0, 0, 1]))
    assert drawn is not None
    every = bars(drawn.all)
    assert [round(high) for _, high, _ in every] == [HIGH, HIGH // 2, HIGH // 20]
    assert [round(left // (WIDE / 4)) for left, _, _ in every] == [0, 2, 3]
    assert [round(high) for _, high, _ in bars(drawn.kept)] == [HIGH // 2, HIGH // 20]
    assert drawn.bins == [("0", "1", 400, 100), ("1", "10", 0, 0), ("10", "100", 100, 0), ("100", "1,000", 1, 1)]


def test_ticks_stand_where_bars_of_their_rows_end() -> None:
    drawn = histogram("x", spread([400, 0, 100, 1], [0, 0, 0, 0]))
    assert drawn is not None
    assert [label for _, label in drawn.up] == ["0", "20", "200"]
    assert all(place == pytest.approx(100 * (int(label) / 400) ** 0.5, abs=0.01) for place, label in drawn.up)


@pytest.mark.parametrize(
    ("value", "mark"), [(10, (50, "≤ t")), (5000, (100, "≤ t →")), (-1, (0, "← ≤ t")), (1000, (100, "≤ t"))]
)
def test_a_threshold_beyond_all_values_points_outwards(value: float, mark: tuple[float, str]) -> None:
    drawn = histogram("x", spread([1, 1, 1, 1], [1, 1, 1, 1]), [(value, "≤ t")])
    assert drawn is not None and drawn.marks == [mark]


@pytest.mark.parametrize("facts", [{}, {"edges": [], "counts": []}, spread([0, 0, 0, 0], [0, 0, 0, 0])])
def test_nothing_counted_is_no_drawing(facts: dict[str, Any]) -> None:
    assert histogram("x", facts) is None


def test_a_drawing_is_told_in_words() -> None:
    facts = {**spread([400, 0, 100, 0], [300, 0, 0, 0]), "quantiles": {"0.05": 0.1, "0.5": 2, "0.95": 40}, "nulls": 7}
    drawn = histogram("x", facts)
    assert drawn is not None
    told = "500 values, 60.0% of them of kept rows; median 2; nine in ten from 0.1 to 40; 7 rows without a value."
    assert drawn.told == told
    assert drawn.quantiles == [("5%", "0.1"), ("50%", "2"), ("95%", "40")]


def moved(bound: str = "min") -> dict[str, Any]:
    kept = [(0.1, 900, {"de-en": 700, "fr-en": 200}), (0.5, 600, {"de-en": 590, "fr-en": 10}), (0.9, 0, {})]
    points = [{"threshold": t, "kept": rows, "by_pair": pairs} for t, rows, pairs in kept]
    return {"rule": "r", "bound": bound, "at": 0.5, "points": points}


def test_a_curve_has_each_threshold_with_its_change_against_the_one_in_force() -> None:
    drawn = curve(moved(), 1000)
    assert drawn is not None and drawn.now == 1
    assert [(p.threshold, p.kept, p.change, p.share) for p in drawn.points] == [
        ("≥ 0.1", 900, "+300", "90.0%"),
        ("≥ 0.5", 600, "0", "60.0%"),
        ("≥ 0.9", 0, "−600", "0%"),
    ]
    assert (drawn.pairs, [p.pairs for p in drawn.points]) == (["de-en", "fr-en"], [[700, 200], [590, 10], [0, 0]])
    assert "keeps 600 rows; it would keep at ≥ 0.1 900 (+300) and at ≥ 0.9 0 (−600)" in drawn.told
    places = [tuple(map(float, point.split())) for point in drawn.path[1:].split("L")]
    assert [x for x, _ in places] == [0, WIDE / 2, WIDE]
    assert places[0][1] < places[1][1] < places[2][1] <= HIGH


def test_a_curve_of_an_upper_bound_says_so_and_one_point_is_no_curve() -> None:
    drawn = curve(moved("max"), 1000)
    assert drawn is not None and drawn.points[0].threshold == "≤ 0.1"
    assert curve({**moved(), "points": moved()["points"][:1]}, 1000) is None and curve({}, 0) is None


def test_a_flat_curve_is_drawn() -> None:
    points = [{"threshold": t, "kept": 7} for t in (1, 2, 3)]
    drawn = curve({"bound": "max", "at": 3, "points": points}, 10)
    assert drawn is not None and len({point.y for point in drawn.points}) == 1 and drawn.pairs == []


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (0.125, "0.125"),
        (3, "3"),
        (1240, "1,240"),
        (35_400, "35.4k"),
        (1_234_567, "1.23M"),
        (-0.5, "-0.5"),
        (1e9, "1G"),
        (999_600, "1,000k"),
    ],
)
def test_numbers_on_axes_are_short(number: float, told: str) -> None:
    assert brief(number) == told


def test_changes_have_signs() -> None:
    assert [signed(n) for n in (1200, 0, -1200)] == ["+1,200", "0", "−1,200"]
