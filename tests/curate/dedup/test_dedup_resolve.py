"""The walk in keep order against its definition in plain Python."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate.dedup import resolve as rs
from pairmill.curate.dedup.shingles import shingles

Sets = list[set[int]]


def ragged(sets: Sets) -> tuple[np.ndarray, np.ndarray]:
    values = np.array([v for s in sets for v in sorted(s)], np.uint64)
    return values, np.cumsum([0, *map(len, sets)], dtype=np.int64)


def plain(group: list[int], sets: Sets, bands: np.ndarray, threshold: float, huge: int) -> list[tuple[bool, int]]:
    kept: list[int] = []
    result = []
    for row, mine in enumerate(sets):
        partner = -1
        for other in kept:
            is_huge = group.count(group[row]) > huge
            if group[other] != group[row] or (is_huge and not (bands[other] == bands[row]).any()):
                continue
            union = mine | sets[other]
            if union and len(mine & sets[other]) / len(union) >= threshold:
                partner = other
                break
        if partner < 0:
            kept.append(row)
        result.append((partner < 0, partner))
    return result


row_sets = st.lists(st.sets(st.integers(0, 11), max_size=10), max_size=30)


@settings(max_examples=400, deadline=None)
@given(row_sets, st.data(), st.sampled_from([0.2, 0.5, 0.6, 2 / 3, 0.8, 1.0]), st.sampled_from([0, 3, 256]))
def test_resolve_equals_the_plain_loop(sets: Sets, data: st.DataObject, threshold: float, huge: int) -> None:
    group = data.draw(st.lists(st.integers(0, 3), min_size=len(sets), max_size=len(sets)))
    drawn = data.draw(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=len(sets), max_size=len(sets)))
    bands = np.array(drawn, np.uint64).reshape(-1, 3) + np.array([0, 10, 20], np.uint64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rs, "HUGE", huge)
        found = rs.resolve(np.array(group, np.int64), *ragged(sets), bands, threshold)
    decided = list(zip(found.kept.tolist(), found.partner.tolist(), strict=True))
    assert decided == plain(group, sets, bands, threshold, huge)
    assert set(group) == {group[row] for row in np.flatnonzero(found.kept)}
    for row in np.flatnonzero(~found.kept):
        mine, other = sets[row], sets[found.partner[row]]
        assert found.jaccard[row] == np.float32(len(mine & other) / len(mine | other))


def chain_of(count: int) -> Sets:
    return [set(range(i, i + 20)) for i in range(count)]


def test_a_chain_of_ten_thousand_rows_keeps_unlike_rows() -> None:
    sets = chain_of(10_000)
    # Neighbours share all bands but one, rows three apart none: J(i, i + 2) = 18 / 22 >= 0.8 > J(i, i + 3).
    bands = np.array([[(i + b) // 3 * 3 + b for b in range(3)] for i in range(len(sets))], np.uint64)
    found = rs.resolve(np.zeros(len(sets), np.int64), *ragged(sets), bands, 0.8)
    assert np.array_equal(np.flatnonzero(found.kept), np.arange(0, len(sets), 3))


def test_a_star_of_a_hundred_thousand_copies_keeps_one() -> None:
    sets = [set(range(20))] * 100_000
    found = rs.resolve(np.zeros(len(sets), np.int64), *ragged(sets), np.ones((len(sets), 16), np.uint64), 0.8)
    assert found.kept.sum() == 1 and found.kept[0]
    assert (found.partner[1:] == 0).all() and (found.jaccard[1:] == 1).all()


def test_rows_without_shingles_are_never_removed() -> None:
    found = rs.resolve(np.zeros(3, np.int64), *ragged([set(), set(), {1}]), np.zeros((3, 1), np.uint64), 0.5)
    assert found.kept.all()


def test_a_threshold_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"near.threshold: 1.3 is not in \(0, 1\]"):
        rs.resolve(np.zeros(0, np.int64), *ragged([]), np.zeros((0, 1), np.uint64), 1.3)


@settings(deadline=None)
@given(st.lists(st.text("ab é", max_size=20), max_size=6))
def test_sets_are_the_sorted_unique_shingles_of_each_row(texts: list[str]) -> None:
    values, offsets = rs.sets(pa.array(texts, pa.string()))
    flat, flat_offsets = shingles(pa.array(texts, pa.string()))
    for row in range(len(texts)):
        mine = flat[flat_offsets[row] : flat_offsets[row + 1]]
        assert values[offsets[row] : offsets[row + 1]].tolist() == sorted(set(mine.tolist()))
