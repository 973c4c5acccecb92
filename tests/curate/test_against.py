"""`dedup.against`: new rows against an earlier run's kept ones."""

from __future__ import annotations

import random

import pytest

from catalogue_job import curate
from corpus import catalogue_rows, write_jsonl
from pairmill.curate.explain import explain_id
from pairmill.errors import SpecError
from reading import content, table

SHARDS = "resources.shard_size=60KB"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """`a-*`: nine tenths of real rows; `b`: the rest, with copies and near copies of those."""
    rows, rng = catalogue_rows(), random.Random(11)
    rng.shuffle(rows)
    cut = len(rows) * 9 // 10
    old, new = rows[:cut], rows[cut:]
    long = [row for row in old if len(row[0]) > 60]
    new += rng.sample(long, 50)
    new += [(source.replace(" ", " very ", 1), target, language) for source, target, language in rng.sample(long, 50)]
    rng.shuffle(new)
    folder = tmp_path_factory.mktemp("corpus")
    write_jsonl(folder / "a-1.jsonl", old[::2])
    write_jsonl(folder / "a-2.jsonl", old[1::2])
    write_jsonl(folder / "b.jsonl", new)
    return folder


@pytest.fixture(scope="module")
def store(corpus, local_ray, tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def earlier(corpus, store):
    return curate(corpus / "a-*.jsonl", store, SHARDS)


@pytest.fixture(scope="module")
def whole(corpus, store):
    return curate(corpus / "*.jsonl", store, SHARDS)


@pytest.mark.usefixtures("local_ray")
class TestAgainst:
    @pytest.mark.parametrize("path", ["single", "distributed"])
    def test_the_union_is_what_one_run_keeps(self, path, corpus, store, earlier, whole, tmp_path):
        named = f"{store}/runs/{earlier.run.id}"
        sets = f"dedup.against=[{named}]", f"resources.dedup={path}", "resources.partitions=3"
        added = curate(corpus / "b.jsonl", tmp_path, SHARDS, *sets)
        assert sorted(content(earlier.run) + content(added.run), key=repr) == content(whole.run)
        rejected = added.summary["ledger"]["total"]["rejected"]
        assert rejected["exact_duplicate"] >= 50 and rejected["near_duplicate"] >= 40

    def test_rows_removed_by_an_earlier_run_name_it(self, corpus, store, earlier):
        run = curate(corpus / "b.jsonl", store, SHARDS, f"dedup.against=[{earlier.run.id}]").run
        kept = {row["pair_id"]: row for row in table(earlier.run, "kept").to_pylist()}
        named = [row for row in table(run, "rejected").to_pylist() if row["duplicate_run"] is not None]
        assert len(named) >= 90
        for row in named:
            assert row["duplicate_run"] == earlier.run.id
            if row["reason"] == "exact_duplicate":
                assert kept[row["duplicate_of"]]["anchor"] == row["anchor"]
        assert f"of run {earlier.run.id}" in explain_id(run, named[0]["pair_id"])
        assert run.record()["parents"] == [earlier.run.id]

    def test_an_index_with_other_parameters_is_refused_with_both(self, corpus, store, earlier):
        with pytest.raises(SpecError, match=r"bands: \[16, 8\] there, \[8, 16\] here"):
            curate(
                corpus / "b.jsonl",
                store,
                SHARDS,
                f"dedup.against=[{earlier.run.id}]",
                "dedup.near={bands: 8, rows: 16}",
            )

    def test_a_run_that_is_not_there_is_named(self, corpus, store, earlier):
        with pytest.raises(SpecError, match="is no run here"):
            curate(corpus / "b.jsonl", store, SHARDS, "dedup.against=[nosuch-123]")
