"""What other thresholds would keep: the curves equal what runs at these thresholds do keep, to the row."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.curate import decide
from pairmill.curate.dedup import minhash
from pairmill.curate.job import run_curate
from pairmill.curate.sensitivity import groups, job
from pairmill.curate.sensitivity.groups import Rows, removals
from pairmill.curate.sensitivity.levers import MOST_POINTS, NEVER, levers, points, rules_of
from pairmill.curate.sensitivity.rows import blank
from pairmill.spec.dedup import Dedup
from pairmill.spec.load import loads
from unitkit import units_here

SPEC = """
kind: curate
name: moved
inputs:
  - name: help
    format: parquet
    path: "{folder}/help.parquet"
    columns: {{anchor: src, positive: tgt, anchor_lang: src_lang, positive_lang: tgt_lang}}
    language: trust
  - name: messy
    format: jsonl
    path: "{shared}/messy/messy_dev.jsonl.gz"
    columns: {{anchor: src, positive: tgt, anchor_lang: src_lang, positive_lang: tgt_lang}}
    language: require
filters:
  rules: {{length_ratio: {{max: 2.5}}, numbers: {{min: 0.5}}, letters: {{min: 0.5}}, word_length: {{max: 18}}}}
  per_language: {{ja: {{letters: {{min: 0.2}}}}}}
  per_pair: {{de-en: {{length_ratio: {{max: 2}}}}}}
dedup: {{near: {{threshold: 0.7, keep: longest}}}}
resources: {{shard_size: 400KB}}
"""


@pytest.fixture(scope="module")
def curate(local_ray, shared_data, tmp_path_factory):
    """Runs the job on a part of the software help, where paragraphs come again and again, and on damaged rows."""
    folder = tmp_path_factory.mktemp("sensitivity")
    table = pq.read_table(shared_data / "bitext/libreoffice_help.parquet")
    chosen = pc.is_in(table["tgt_lang"], pa.array(["en"])), pc.is_in(table["src_lang"], pa.array(["de", "ja"]))
    help_rows = table.filter(pc.and_(*chosen)).to_pandas().groupby("src_lang").head(700)
    pq.write_table(pa.Table.from_pandas(help_rows, preserve_index=False), folder / "help.parquet")
    text = SPEC.format(folder=folder, shared=shared_data)

    def run(*sets: str):
        with units_here():
            loaded = loads(text, "moved.yaml", sets)
            return run_curate(loaded, str(folder / "store"), None, False, "pairmill run", lambda line: None)

    return run


@pytest.fixture(scope="module")
def base(curate):
    return curate().summary


def curve(summary, rule):
    (found,) = [line for line in summary["sensitivity"] if line["rule"] == rule]
    return found


def by_pair(summary) -> dict[str, int]:
    return {
        f"{row['anchor_lang'] or 'und'}-{row['positive_lang'] or 'und'}": row["kept"] for row in summary["languages"]
    }


class TestCurves:
    @pytest.mark.parametrize("rule", ["length_ratio", "letters"])
    def test_they_equal_running_again_at_other_thresholds_to_the_row(self, curate, base, rule):
        line = curve(base, rule)
        others = [point for point in line["points"] if point["threshold"] != line["at"]]
        for place in (0, len(others) // 2, len(others) - 1):
            point = others[place]
            moved = f"filters.rules.{rule}={{{line['bound']}: {point['threshold']!r}}}"
            again = curate(moved, "report.sensitivity=false").summary
            assert point["kept"] == again["ledger"]["total"]["kept"], point["threshold"]
            kept = by_pair(again)
            assert point["by_pair"] == {pair: kept.get(pair, 0) for pair in point["by_pair"]}

    def test_at_the_runs_own_threshold_they_are_what_it_kept(self, base):
        assert len(base["sensitivity"]) > 30
        for line in base["sensitivity"]:
            (now,) = [point for point in line["points"] if point["threshold"] == line["at"]]
            assert now["kept"] == base["ledger"]["total"]["kept"] and line["exact"], line["rule"]
            assert now["by_pair"] == {pair: by_pair(base)[pair] for pair in now["by_pair"]}
            assert len(line["points"]) <= MOST_POINTS
            assert all(a["threshold"] < b["threshold"] for a, b in pairwise(line["points"]))

    def test_some_rows_stay_only_because_a_threshold_removed_the_row_they_repeat(self, base):
        """So counting rows that pass would not do: the walk matters on this data."""
        duplicates = base["duplicates"]
        assert duplicates["near"]["groups"] > 20 and duplicates["exact"]["groups"] > 20
        reasons = base["ledger"]["total"]["rejected"]
        assert reasons["exact_duplicate"] > 50 and reasons["near_duplicate"] > 50

    def test_they_can_be_switched_off(self, curate):
        summary = curate("report.sensitivity=false", "filters.rules.letters=0.55").summary
        assert "sensitivity" not in summary and summary["duplicates"]["largest"]

    def test_walked_in_parts_they_are_the_same_and_of_some_parts_they_are_estimates(self, curate, base, monkeypatch):
        whole = job._parts
        monkeypatch.setattr(job, "_parts", lambda *given: (5, whole(*given)[1]))
        assert curate("name=parted").summary["sensitivity"] == base["sensitivity"]
        monkeypatch.setattr(job, "MOST_PARTS", 2)
        summary = curate("name=estimated").summary
        assert summary["duplicates"]["share"] == 0.4
        for line, exact in zip(summary["sensitivity"], base["sensitivity"], strict=True):
            assert not line["exact"]
            for point, true in zip(line["points"], exact["points"], strict=True):
                error = abs(point["kept"] - true["kept"])
                assert error <= (0 if point["threshold"] == line["at"] else 0.02 * summary["ledger"]["total"]["kept"])


class TestDuplicates:
    def test_groups_are_counted_and_shown_with_the_row_that_stays(self, base):
        found, reasons = base["duplicates"], base["ledger"]["total"]["rejected"]
        assert found["within"] + found["across"] == reasons["exact_duplicate"] + reasons["near_duplicate"]
        assert sum(rows for *_, rows in found["pairs"]) == found["within"] + found["across"]
        assert all(low <= high for low, high, _ in found["sizes"])
        largest = found["largest"]
        assert [group["size"] for group in largest] == sorted((g["size"] for g in largest), reverse=True)
        assert all({one["source"] for one in group["members"]} <= {"help", "messy"} for group in largest)
        assert any(group["kept_text"] for group in largest)

    def test_every_input_has_its_pairs(self, base):
        for name, counts in base["ledger"]["by_input"].items():
            rows = [row for row in base["by_pair"] if row["input"] == name]
            assert sum(row["kept"] for row in rows) == counts["kept"]
            assert sum(sum(row["rejected"].values()) for row in rows) == sum(counts["rejected"].values())


_WORDS = st.lists(st.sampled_from(["mill", "pair", "stone", "water", "grain", "wheel", "!"]), max_size=8)
_ROWS = st.lists(
    st.tuples(_WORDS, st.integers(0, 2), st.sampled_from([0, 0, 1, 2, 3, NEVER]), st.integers(0, 1), st.floats(0, 1)),
    min_size=1,
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(
    rows=_ROWS,
    earlier=st.integers(0, 4),
    keep=st.sampled_from(["first", "longest"]),
    exact=st.sampled_from(["pair", "anchor", "off"]),
    verify=st.sampled_from(["exact", "estimate"]),
    huge=st.sampled_from([2, 256]),
)
def test_at_each_point_as_much_is_removed_as_the_walk_removes(rows, earlier, keep, exact, verify, huge):
    """Whatever is in the groups, whoever joins them when, and whether they are called huge."""
    dedup = Dedup.model_validate(
        {"exact": exact if exact == "off" else {"key": exact}, "near": {"keep": keep, "verify": verify}}
    )
    said = pa.array([" ".join(words) for words, *_ in rows], pa.large_string())
    ids = np.arange(len(rows)) - min(earlier, len(rows))
    near = np.array([group for _, group, *_ in rows]) * 1000
    same = [
        f"{group} {text if exact != 'anchor' else text[:6]}" for group, text in zip(near, said.to_pylist(), strict=True)
    ]
    labels = np.arange(len(rows)) if exact == "off" else np.unique(same, return_inverse=True)[1]
    signature = pa.array([row.tobytes() for row in minhash.signatures(said)], pa.large_binary())
    priority = np.where(ids < 0, np.inf, [p for *_, p in rows])
    columns = [pa.array(column) for column in (ids, labels, near, priority)] + [said, signature]
    table = pa.table(columns, schema=decide.rows_schema(dedup.near))
    cell = np.array([[0 if i < 0 else c for i, (_, _, c, *_) in zip(ids, rows, strict=True)]], np.uint8)
    pair = np.array([p for *_, p, _ in rows], np.int64)
    counts = blank(1, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "HUGE", huge)
        known = removals(Rows(table, cell, pair), dedup, [4], [1], counts)
    assert known == [[True] * 4]
    for point, found in enumerate(counts[0].cumsum(axis=0)[:4]):
        taken = np.flatnonzero(cell[0] <= point)
        gone = decide.walk(table.take(pa.array(taken)), dedup)["pair_id"].to_pylist()
        assert found.tolist() == np.bincount(pair[taken][np.isin(ids[taken], gone)], minlength=2).tolist()


def test_where_huge_groups_are_too_much_points_are_left_out_and_the_own_one_stays(monkeypatch):
    dedup = Dedup.model_validate({"near": {}})
    rows = 40
    said = pa.array(
        [f"the same long sentence about mills and grain {number // 4}" for number in range(rows)], pa.large_string()
    )
    signature = pa.array([row.tobytes() for row in minhash.signatures(said)], pa.large_binary())
    ids = np.arange(rows)
    columns = [pa.array(column) for column in (ids, ids // 4, np.zeros(rows, np.int64), np.zeros(rows))] + [
        said,
        signature,
    ]
    table = pa.table(columns, schema=decide.rows_schema(dedup.near))
    cell = (ids % 10).astype(np.uint8)[None]
    monkeypatch.setattr(groups, "HUGE", 4)
    monkeypatch.setattr(groups, "MOST_WALKED", rows * 3)
    (known,) = removals(Rows(table, cell, np.zeros(rows, np.int64)), dedup, [10], [6], blank(1, 0))
    assert known[6] and 0 < sum(known) == 3


def test_points_are_spread_over_the_scores_and_hold_the_runs_threshold():
    spec = loads(
        "kind: curate\nname: a\ninputs: [{name: a, format: jsonl, path: a}]\nfilters: {rules: {letters: {min: 0.41}}}",
        "a.yaml",
    ).spec
    rules = rules_of(spec)
    (lever,) = [one for one in levers(rules, ["letters_anchor", "letters_positive"]) if one.name == "letters"]
    values = np.random.default_rng(0).beta(9, 1, 9_000)
    found = points(lever, values)
    assert len(found) <= MOST_POINTS and 0.41 in found and found == sorted(found, reverse=True)
    below = np.searchsorted(np.sort(values), found) / len(values)
    assert np.diff(np.sort(below)).max() < 0.15
    assert points(lever, np.array([np.nan])) == [0.41]
