"""Distributed deduplication: whatever the path and the layout, the same rows are kept for the same reasons."""

from __future__ import annotations

import random

import pytest

from catalogue_job import curate
from corpus import catalogue_rows, write_jsonl
from pairmill.curate import decide
from pairmill.curate.distributed.layout import check_disk
from pairmill.curate.job import Outcome
from pairmill.errors import PairmillError
from pairmill.runs.storage import open_storage
from reading import committed, table

SHARDS = "resources.shard_size=60KB"


def decisions(outcome: Outcome) -> set[tuple[object, ...]]:
    """Every row with what became of it and because of which row, by content."""
    kept, rejected = table(outcome.run, "kept").to_pylist(), table(outcome.run, "rejected").to_pylist()
    places = {row["pair_id"]: (row["origin_file"], row["origin_row"]) for row in [*kept, *rejected]}
    return {
        (*places[row["pair_id"]], row.get("reason"), places.get(row.get("duplicate_of")), row.get("value"))
        for row in [*kept, *rejected]
    }


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Real rows in five files, with exact copies, copies with one word changed, and a text with 300 variants."""
    rows, rng = catalogue_rows(), random.Random(3)
    long = [row for row in rows if len(row[0]) > 60]
    rows += rng.sample(long, 60)
    rows += [(source.replace(" ", " very ", 1), target, language) for source, target, language in rng.sample(long, 60)]
    source, target, language = long[0]
    rows += [(f"{source} {number % 150}", target, language) for number in range(300)]
    rng.shuffle(rows)
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(5):
        write_jsonl(folder / f"part-{number}.jsonl", rows[number::5])
    return folder


@pytest.fixture(scope="module")
def single(corpus, local_ray, tmp_path_factory):
    return curate(corpus / "*.jsonl", tmp_path_factory.mktemp("single"), SHARDS, "resources.dedup=single")


LAYOUTS = {
    "one partition": ["resources.partitions=1"],
    "many partitions": ["resources.partitions=13"],
    "rounds of stars": ["resources.partitions=3", "resources.components=stars"],
    "several passes": ["resources.partitions=2", "resources.spill=600KB"],
    "many ranges, partitions read in pieces": ["resources.partitions=2", "resources.memory_per_task=50KB"],
    "other shards": ["resources.partitions=4", "resources.shard_size=1MB"],
}


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_keeps_the_rows_of_the_single_task(layout, corpus, single, tmp_path):
    found = curate(corpus / "*.jsonl", tmp_path, SHARDS, "resources.dedup=distributed", *layout)
    assert decisions(found) == decisions(single)
    assert found.run.id == single.run.id
    assert all(found.summary[key] == single.summary[key] for key in ("sensitivity", "duplicates", "scores", "distinct"))
    rejected = found.summary["ledger"]["total"]["rejected"]
    assert rejected["exact_duplicate"] >= 60 and rejected["near_duplicate"] >= 50


@pytest.mark.usefixtures("local_ray")
def test_groups_of_one_task_may_be_walked_by_many(corpus, single, tmp_path, monkeypatch):
    monkeypatch.setattr(decide, "memory", lambda spec, rows, text: 1 << 60)  # as of rows that no node can hold
    found = curate(corpus / "*.jsonl", tmp_path, SHARDS, "resources.partitions=3")
    assert decisions(found) == decisions(single)
    assert [stage for stage in committed(found.run) if stage.startswith(("groups", "dedup"))] == [
        "groups",
        "dedup: candidates",
        "dedup: walk",
        "dedup: decisions",
    ]


def test_a_disk_that_is_too_small_is_refused_with_the_bytes_it_takes(tmp_path):
    storage = open_storage(str(tmp_path))
    check_disk(storage, 1)
    with pytest.raises(PairmillError, match=r"about 1152921504.6 GB .* are free. Free some and run the same command"):
        check_disk(storage, 1 << 60)


@pytest.mark.usefixtures("local_ray")
def test_a_spill_that_holds_not_one_band_is_refused_with_the_least(corpus, tmp_path):
    with pytest.raises(PairmillError, match=r"resources.spill: .* Set it to at least \d+\.\d GB"):
        curate(corpus / "*.jsonl", tmp_path, SHARDS, "resources.dedup=distributed", "resources.spill=1KB")
