"""Statistics of a run: parts merge into exactly those of the whole; quantiles and distinct counts are within bounds."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import catalogue_rows
from pairmill.curate.sketches.distinct import ERROR, Distinct
from pairmill.curate.sketches.histogram import EDGES, MOST_BINS, Histogram
from pairmill.curate.sketches.sample import QUANTILES, SIZE, quantiles, taken
from pairmill.curate.statistics import Statistics
from pairmill.runs.storage import open_storage

MILLION = 1_000_000


@cache
def spreads() -> dict[str, np.ndarray]:
    """Scores as they are: smooth, skewed, mostly one value, few values, far from zero and close together."""
    rng = np.random.default_rng(3)
    return {
        "normal": rng.normal(0, 1, MILLION),
        "lengths": np.floor(rng.lognormal(4, 1.2, MILLION)),
        "shares": np.where(rng.random(MILLION) < 0.9, 0, rng.beta(2, 9, MILLION)),
        "marks": rng.integers(0, 4, MILLION),
        "margins": 1.06 + rng.normal(0, 1e-4, MILLION),
    }


def of(values, kept=None) -> Histogram:
    found = Histogram()
    found.add(np.asarray(values, float), np.ones(len(values), bool) if kept is None else kept)
    return found


class TestHistogram:
    @settings(deadline=None)  # the first call compiles
    @given(
        values=st.lists(st.floats(width=32) | st.integers(-3, 300).map(float), max_size=60),
        cuts=st.lists(st.integers(0, 60), max_size=3),
    )
    def test_parts_merge_into_the_whole_whatever_the_parts(self, values, cuts):
        kept = np.arange(len(values)) % 3 > 0
        parts = np.split(np.arange(len(values)), sorted(min(cut, len(values)) for cut in cuts))
        merged = Histogram()
        for part in reversed(parts):
            merged.merge(json.loads(json.dumps(of(np.array(values)[part], kept[part]).to_json())))
        assert merged.to_json() == of(values, kept).to_json()

    @pytest.mark.parametrize("name", spreads())
    def test_the_bins_that_people_see_hold_exactly_the_values_between_their_edges(self, name):
        values = spreads()[name]
        kept = values > np.median(values)
        integers = bool(np.all(values == np.floor(values)))
        seen = of(values, kept).seen(integers)
        edges = np.array(seen["edges"])
        assert 2 <= len(edges) <= MOST_BINS + 1 and set(edges) <= set(EDGES.tolist())
        assert edges[0] <= values.min() and values.max() <= edges[-1]
        for what, chosen in (("all", values), ("kept", values[kept])):
            assert seen["counts"][what] == np.histogram(chosen, edges)[0].tolist()
        assert seen["values"] == MILLION and (seen["min"], seen["max"]) == pytest.approx(
            (values.min(), values.max()), rel=1e-5
        )

    def test_missing_values_are_counted_apart_and_an_empty_one_has_no_bins(self):
        seen = of([np.nan, 1, np.nan]).seen(True)
        assert (seen["values"], seen["nulls"], seen["counts"]["all"]) == (1, 2, [1])
        assert of([np.nan]).seen(True)["edges"] == []


class TestQuantiles:
    def test_they_are_within_one_percent_in_rank_on_a_million_rows(self):
        ranks = np.random.default_rng(1).integers(0, 1 << 63, MILLION)
        chosen = taken(ranks, np.zeros(MILLION, np.int64), MILLION)
        assert abs(chosen.sum() - SIZE) < 5 * SIZE**0.5
        for name, values in spreads().items():
            ordered = np.sort(values)
            for share, value in zip(QUANTILES, quantiles(values[chosen]).values(), strict=True):
                slack = abs(value) * 1e-5  # six digits are shown
                low = np.searchsorted(ordered, value - slack, "left") / MILLION
                high = np.searchsorted(ordered, value + slack, "right") / MILLION
                assert low - 0.01 <= share <= high + 0.01, (name, share)

    def test_neighbouring_rows_of_one_file_are_taken_independently(self):
        """What `ranks` gives for consecutive rows is no random number; the sample must be uniform all the same."""
        from pairmill.curate.samples import ranks

        table = pa.table({"origin_file": pa.array(["file:///a"] * MILLION), "origin_row": np.arange(MILLION)})
        chosen = taken(ranks(table), np.full(MILLION, 7 << 32 | 9), MILLION)
        blocks = chosen.reshape(100, -1).sum(axis=1)
        assert abs(chosen.sum() - SIZE) < 5 * SIZE**0.5
        assert abs(blocks - SIZE / 100).max() < 5 * (SIZE / 100) ** 0.5
        neighbours = np.count_nonzero(chosen[1:] & chosen[:-1])
        assert neighbours == pytest.approx(SIZE**2 / MILLION, rel=0.1)

    def test_a_small_run_is_its_own_sample(self):
        assert taken(np.arange(SIZE), np.zeros(SIZE, np.int64), SIZE).all()
        assert quantiles(np.array([1.0, np.nan, 3.0, 2.0]))["0.5"] == 2.0


class TestDistinct:
    @pytest.mark.parametrize("count", [0, 1, 100, 5_000, 40_000, 400_000])
    def test_estimates_are_within_four_standard_errors(self, count):
        counted = Distinct()
        hashes = np.random.default_rng(count).integers(0, 1 << 64, count, np.uint64)
        counted.add(np.concatenate([hashes, hashes[: count // 2]]))
        assert counted.estimate() == pytest.approx(count, rel=4 * ERROR, abs=1)

    def test_parts_merge_into_the_whole(self):
        hashes = np.random.default_rng(5).integers(0, 1 << 64, 9_000, np.uint64)
        whole, merged = Distinct(), Distinct()
        whole.add(hashes)
        for part in (hashes[5_000:], hashes[:6_000]):
            counted = Distinct()
            counted.add(part)
            merged.merge(counted.to_json())
        assert merged.to_json() == whole.to_json()


def rows() -> pa.Table:
    """Real translations with scores of their own."""
    source, target, language = zip(*catalogue_rows(("de", "ja")), strict=True)
    lengths = np.array([len(text) for text in target])
    columns = {"anchor": source, "positive": target, "origin_file": language, "origin_row": np.arange(len(source))}
    scores = {"length": lengths.astype(np.float32), "share": np.where(lengths % 5, 1 / (1 + lengths), np.nan)}
    confidence = {"anchor_confidence": pa.array(lengths % 7 / 7, pa.float32())}
    return pa.table({**columns, **scores, **confidence})


def test_statistics_of_parts_merge_into_those_of_a_single_pass(tmp_path):
    table, storage = rows(), open_storage(str(tmp_path))
    kept = np.asarray(table["length"]) > 12
    facts = {name: {"rule": name} for name in ("length", "share")}

    def told(parts) -> dict:
        """Of parts, each a list of batches of rows."""
        merged = Statistics(["length", "share"], 0)
        for number, batches in enumerate(parts):
            one = Statistics(["length", "share"], 40 * SIZE)  # as a part of a large run: a sample of it
            for batch in batches:
                one.add(table.take(batch), kept[batch])
            one.write(storage, f"{number}.parquet")
            merged.merge(storage, f"{number}.parquet")
        return merged.summary(facts)

    order = np.arange(len(table))
    whole = told([[order]])
    assert told([np.array_split(part, 3) for part in np.array_split(order[::-1], 4)]) == whole
    assert whole["distinct"]["anchor"] == pytest.approx(len(set(table.filter(kept)["anchor"].to_pylist())), rel=0.03)
    assert [score["name"] for score in whole["scores"]] == ["length", "share"]
    assert whole["lengths"]["positive"]["counts"] == whole["scores"][0]["counts"]
    assert whole["confidence"].keys() == {"anchor"}
