"""Lines and ticks of the drawings."""

from __future__ import annotations

import math

import pytest

from pairmill.report.plot import LINES, plot, smoothed, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0.31, 2.9, [0, 1, 2, 3]), (-3.4, -1.2, [-3.5, -3, -2.5, -2, -1.5, -1])],
)
def test_ticks_are_round_and_enclose_what_is_drawn(low: float, high: float, expected: list[float]) -> None:
    found = ticks(low, high)
    assert found[0] <= low and found[-1] >= high
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("value", [0.0, 3.0, -2.5, 1e-9, 1e12])
def test_a_constant_has_ticks_around_it(value: float) -> None:
    found = ticks(value, value)
    assert 2 <= len(found) <= 7 and found[0] <= value <= found[-1]


def test_points_that_are_not_finite_are_left_out_and_nothing_is_no_plot() -> None:
    found = plot("t", "loss", {"a": [(1, 2.0), (2, math.nan), (3, 1.0)], "b": [(1, math.inf)]})
    assert found is not None
    assert [line.name for line in found.lines] == ["a"]
    assert found.lines[0].path.count("L") == 1
    assert plot("t", "loss", {"a": [(1, math.nan)]}) is None and plot("t", "loss", {}) is None


def test_the_first_and_the_last_step_stand_at_the_ends_and_higher_values_are_higher() -> None:
    found = plot("t", "loss", {"a": [(10, 3.0), (20, 0.0)]})
    assert found is not None
    assert found.lines[0].path == "M0.0 0.0L1000.0 300.0"
    assert (found.across[0], found.across[-1]) == ((0, "10"), (100, "20"))


def test_one_point_is_a_dot() -> None:
    found = plot("t", "loss", {"a": [(7, 2.0)]})
    assert found is not None and found.lines[0].path.endswith("h0")


def test_a_smoothed_constant_is_itself_and_a_saw_is_flattened() -> None:
    assert smoothed([(i, 2.0) for i in range(100)]) == [(i, 2.0) for i in range(100)]
    saw = [value for _, value in smoothed([(i, float(i % 2)) for i in range(400)])]
    assert max(saw[20:-20]) - min(saw[20:-20]) < 0.1


def test_lines_beyond_the_colours_are_counted() -> None:
    found = plot("t", "loss", {f"e{number}": [(1, 1.0), (2, 2.0)] for number in range(LINES + 3)})
    assert found is not None and (len(found.lines), found.more) == (LINES, 3)
