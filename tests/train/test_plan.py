"""The batch plan: exact shares, every row once an epoch, the same from any step and for any number of ranks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.errors import PairmillError
from pairmill.spec.data import DataEntry, Mixing, check_entries
from pairmill.train.plan import BLOCK_ROWS, WINDOW_BLOCKS, Group, Plan, Stage, apportion

THREE = [Group("a", "a", 9000), Group("b", "b", 900), Group("c", "c", 100)]


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [(0, {"a": 100, "b": 100, "c": 100}), (0.5, {"a": 211, "b": 67, "c": 22}), (1, {"a": 270, "b": 27, "c": 3})],
)
def test_alpha_gives_the_exact_planned_shares(alpha: float, expected: dict[str, int]) -> None:
    plan = Plan(THREE, 10, steps=300, alpha=alpha)
    assert plan.shares() == expected
    counted = [plan.step(number).group.name for number in range(len(plan))]
    assert {name: counted.count(name) for name in expected} == expected


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=12), st.integers(0, 5000))
def test_apportionment_is_whole_and_within_one_of_the_exact_share(weights: list[float], count: int) -> None:
    seats = apportion(np.array(weights), count)
    assert seats.sum() == count
    assert np.all(np.abs(seats - np.array(weights) / sum(weights) * count) < 1 + 1e-6)


def test_declared_weights_are_divided_among_an_entrys_language_pairs() -> None:
    groups = [Group("x/de", "x", 300, weight=3), Group("x/fr", "x", 100, weight=3), Group("y", "y", 50, weight=1)]
    assert Plan(groups, 10, steps=400).shares() == {"x/de": 225, "x/fr": 75, "y": 100}
    assert Plan(groups, 10, steps=400, alpha=0).shares() == {"x/de": 150, "x/fr": 150, "y": 100}


def test_a_schedule_changes_the_shares_at_its_step_and_its_last_weights_hold_to_the_end() -> None:
    schedule = [Stage(100, {"a": 1}), Stage(150, {"a": 1, "b": 4})]
    plan = Plan(THREE, 10, steps=300, schedule=schedule)
    names = [plan.step(number).group.name for number in range(300)]
    assert set(names[:100]) == {"a"}
    assert (names[100:].count("a"), names[100:].count("b")) == (40, 160)


def test_groups_mix_evenly_and_in_an_order_that_the_seed_decides() -> None:
    plans = [Plan(THREE[:2], 10, steps=1000, alpha=0, seed=seed) for seed in (1, 1, 2)]
    orders = ["".join(plan.step(number).group.name for number in range(1000)) for plan in plans]
    assert orders[0] == orders[1] != orders[2]
    assert max(map(len, orders[0].replace("b", " ").split())) <= 4
    for start in range(0, 1000, 50):
        assert abs(orders[0][start : start + 50].count("a") - 25) <= 2


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 3 * BLOCK_ROWS * WINDOW_BLOCKS), st.integers(1, 5000), st.integers(0, 99))
def test_each_epoch_reads_each_row_exactly_once(rows: int, batch: int, seed: int) -> None:
    batch = min(batch, rows)
    plan = Plan([Group("g", "g", rows)], batch, steps=-(-3 * rows // batch), seed=seed)
    sequence = np.concatenate([plan.step(number).rows for number in range(len(plan))])
    epochs = sequence[: 3 * rows].reshape(3, rows)
    assert np.array_equal(epochs[0], np.arange(rows))
    for epoch in epochs[1:]:
        assert np.array_equal(np.sort(epoch), np.arange(rows))
    if rows > 100:
        assert not np.array_equal(epochs[1], epochs[0]) and not np.array_equal(epochs[2], epochs[1])
    assert plan.step(len(plan) - 1).epoch == (len(plan) - 1) * batch // rows


def test_a_batch_of_a_later_epoch_lies_in_few_row_batches() -> None:
    rows = 100 * BLOCK_ROWS
    plan = Plan([Group("g", "g", rows)], 1024, steps=2 * rows // 1024)
    touched = [np.unique(plan.step(number).rows // BLOCK_ROWS) for number in range(rows // 1024, len(plan))]
    assert max(map(len, touched)) <= 2 * WINDOW_BLOCKS
    assert len({tuple(blocks) for blocks in touched}) > 1


@given(st.integers(1, 300), st.integers(1, 64))
def test_the_parts_of_all_ranks_are_the_global_batch(batch: int, world: int) -> None:
    step = Plan([Group("g", "g", 300)], batch, steps=3).step(2)
    parts = [step.rows[step.part(rank, world)] for rank in range(world)]
    assert np.array_equal(np.concatenate(parts), step.rows)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 199))
def test_a_plan_resumed_at_any_step_goes_on_as_the_unbroken_one(start: int) -> None:
    unbroken, resumed = (Plan(THREE, 64, steps=200, alpha=0.5, seed=5) for _ in range(2))
    for number in range(200):
        unbroken.step(number)
    for number in range(start, min(start + 20, 200)):
        one, other = unbroken.step(number), resumed.step(number)
        assert (one.group, one.epoch) == (other.group, other.epoch)
        assert np.array_equal(one.rows, other.rows)


def test_epochs_are_turned_into_steps_by_each_groups_own_batch() -> None:
    groups = [Group("a", "a", 1000), Group("b", "b", 300, batch=30)]
    assert len(Plan(groups, 100, epochs=2)) == 2 * (10 + 10)
    plan = Plan(groups, 100, epochs=2)
    assert {len(plan.step(n).rows) for n in range(20) if plan.step(n).group.name == "b"} == {30}


def test_a_group_smaller_than_a_batch_is_refused_with_the_remedy() -> None:
    with pytest.raises(
        PairmillError, match=r"group c has 100 rows, fewer than a batch of 128. .*batch_size of at most"
    ):
        Plan(THREE, 128, steps=5)
    with pytest.raises(PairmillError, match="no entry has rows"):
        Plan([], 8, steps=5)


def test_entries_and_mixing_that_do_not_go_together_are_refused() -> None:
    entries = [DataEntry(name="a", run="x", weight=1), DataEntry(name="b", run="y")]
    with pytest.raises(ValueError, match="a have a weight and b have none"):
        check_entries(entries, Mixing())
    with pytest.raises(ValueError, match=r"schedule\[0\].weights: no entry is called 'c'"):
        check_entries(entries[1:], Mixing.model_validate({"schedule": [{"weights": {"c": 1}}]}))
    with pytest.raises(ValueError, match="two entries are called 'b'"):
        check_entries(entries[1:] * 2, Mixing())
    with pytest.raises(ValueError, match="`until` must rise"):
        Mixing.model_validate({"schedule": [{"until": 9, "weights": {"b": 1}}, {"until": 5, "weights": {"b": 1}}]})
