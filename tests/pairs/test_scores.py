"""Score side-tables: what is written is what a lookup finds, whatever is asked for in whatever order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pairmill.errors import SpecError
from pairmill.pairs import scores
from pairmill.pairs.scores import NONE, Column, ScoreTables
from pairmill.runs.record import Run
from pairmill.runs.storage import Storage
from scorekit import publish

MARGIN = Column("margin", "float32", "high", "ratio margin")
GROUP = Column("semantic_group", "int64", None, "cluster")


def written(folder, rows, per_file):
    """A run with the scores of `rows`, {pair_id: (margin, group)}."""
    storage = Storage(str(folder))
    ids = np.array(sorted(rows), np.int64)
    values = {
        "margin": np.array([rows[i][0] for i in ids.tolist()], np.float32),
        "semantic_group": np.array([rows[i][1] for i in ids.tolist()], np.int64),
    }
    return ScoreTables.open(
        storage.uri, publish(storage, "scored", ("texts-1", 0), [MARGIN, GROUP], ids, values, per_file)
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.integers(0, 1 << 40),
        st.tuples(st.floats(0, 2, width=32) | st.just(float("nan")), st.integers(NONE, 9)),
        max_size=40,
    ),
    st.lists(st.integers(0, 1 << 40), max_size=20),
    st.integers(1, 15),
    st.randoms(use_true_random=False),
)
def test_a_lookup_finds_what_was_written_in_any_order(tmp_path_factory, rows, others, per_file, rng):
    tables = written(tmp_path_factory.mktemp("scores"), rows, per_file)
    asked = [*rows, *others]
    rng.shuffle(asked)
    found = tables.lookup(np.array(asked, np.int64))
    nothing = (float("nan"), NONE)
    assert found.there.tolist() == [name in rows for name in asked]
    np.testing.assert_array_equal(found.columns["margin"], np.float32([rows.get(i, nothing)[0] for i in asked]))
    assert found.columns["semantic_group"].tolist() == [rows.get(i, nothing)[1] for i in asked]
    assert tables.rows == len(rows) and tables.columns == (MARGIN, GROUP)


def test_a_lookup_reads_only_row_groups_that_may_hold_the_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(scores, "GROUP_ROWS", 100)
    tables = written(tmp_path, {number: (number / 7, number) for number in range(1000)}, 500)
    read = list(tables._between(250, 310))
    assert [table["pair_id"][0].as_py() for table in read] == [200, 300]
    assert tables.lookup(np.array([250, 310, 5000])).columns["semantic_group"].tolist() == [250, 310, NONE]


def test_ids_that_do_not_ascend_or_overlap_are_refused(tmp_path):
    storage, values = Storage(str(tmp_path)), {"margin": np.zeros(2, np.float32)}
    with pytest.raises(ValueError, match="must ascend"):
        scores.write(storage, "a", [MARGIN], np.array([2, 1]), values)
    files = [
        scores.write(storage, name, [MARGIN], np.array(ids), values) for name, ids in (("a", [1, 5]), ("b", [5, 9]))
    ]
    with pytest.raises(ValueError, match="both have scores of row 5"):
        scores.manifest("texts-1", 0, [MARGIN], files)


@pytest.mark.parametrize("name", ["anchor", "length_ratio", "letters_anchor", "reason", "no_score", "Margin", ""])
def test_a_column_takes_no_name_that_rows_or_rules_have(name):
    with pytest.raises(ValueError, match="cannot be a score column"):
        Column(name, "float32", "high", "")


def test_a_run_without_scores_or_unfinished_is_refused_by_name(tmp_path):
    storage = Storage(str(tmp_path))
    Run(storage, "started-1").write_record({"id": "started-1", "kind": "mine", "state": "running"})
    with pytest.raises(SpecError, match=r"started-1 is not finished \(its state: running\)"):
        ScoreTables.open(storage.uri, "started-1")
    run = Run(storage, "kept-1")
    run.write_record({"id": "kept-1", "kind": "curate", "state": "done", **run.publish({"files": {"kept": []}}, {})})
    with pytest.raises(SpecError, match="kept-1 is a curate run without scores"):
        ScoreTables.open(storage.uri, "kept-1")
