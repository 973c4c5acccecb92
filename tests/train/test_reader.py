"""The reader gives the rows asked for, of a disk or an object store; the prefetcher loses neither steps nor errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pairmill.errors import StorageError
from pairmill.runs.storage import Storage, open_storage
from pairmill.train.plan import Group, Plan
from pairmill.train.prepared.bucket import ROWS
from pairmill.train.prepared.manifest import Manifest
from pairmill.train.reader import Batch, Prefetcher, Ragged, Reader, batch

SIZES = [[ROWS + 50, 3], [1, 2 * ROWS]]  # rows of two groups in two files


def row(group: int, number: int) -> dict[str, object]:
    """What stands in a row of the test's files."""
    tokens = list(range(number % 5 + 1))
    return {
        "anchor": [group, number, *tokens],
        "positive": [number],
        "negatives": [[number, 1], [2] * (number % 3)],
        "anchor_id": group << 32 | number,
        "negative_ids": [number, -number],
        "score": number / 2,
    }


SCHEMA = pa.schema(
    [
        ("anchor", pa.list_(pa.int32())),
        ("positive", pa.list_(pa.int32())),
        ("negatives", pa.list_(pa.list_(pa.int32()), 2)),
        ("anchor_id", pa.int64()),
        ("negative_ids", pa.list_(pa.int64(), 2)),
        ("score", pa.float32()),
    ]
)


def store(uri: str) -> tuple[Storage, Manifest]:
    """Prepared files in the form that `bucket` writes: two groups, one after the other, in each of two files."""
    storage, groups = open_storage(uri), [{"name": name, "files": [], "rows": 0} for name in ("a", "b")]
    for file in range(2):
        first = 0
        with storage.arrow_writer(f"file-{file}.arrow", SCHEMA) as writer:
            for number, group in enumerate(groups):
                count = SIZES[number][file]
                rows = [row(number, group["rows"] + i) for i in range(count)]
                writer.write_table(pa.Table.from_pylist(rows, SCHEMA), max_chunksize=ROWS)
                group["files"].append({"path": f"file-{file}.arrow", "first_batch": first, "rows": count})
                group["rows"] += count
                first += -(-count // ROWS)
    return storage, {"groups": groups, "holdout": []}


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> tuple[Storage, Manifest]:
    return store(str(tmp_path_factory.mktemp("prepared")))


def check(found: dict[str, object], group: int, numbers: list[int]) -> None:
    expected = [row(group, number) for number in numbers]
    for name in ("anchor", "positive"):
        ragged = found[name]
        assert isinstance(ragged, Ragged) and ragged.values.dtype == np.int32 and ragged.offsets.dtype == np.int64
        assert [part.tolist() for part in np.split(ragged.values, ragged.offsets[1:-1])] == [e[name] for e in expected]
    flat = found["negatives"]
    assert isinstance(flat, Ragged)
    bounds = zip(flat.offsets[:-1], flat.offsets[1:], strict=True)
    assert [flat.values[a:b].tolist() for a, b in bounds] == [part for e in expected for part in e["negatives"]]
    assert found["anchor_id"].tolist() == [e["anchor_id"] for e in expected]
    assert found["negative_ids"].tolist() == [e["negative_ids"] for e in expected]
    assert found["score"].tolist() == [e["score"] for e in expected]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1), st.lists(st.integers(0, 10**6), min_size=1, max_size=40))
def test_any_rows_come_in_the_order_asked_for(stored, group, numbers):
    numbers = [number % sum(SIZES[group]) for number in numbers]
    check(Reader(*stored).read("ab"[group], np.array(numbers)), group, numbers)


@pytest.mark.parametrize("start", [0, ROWS - 3, ROWS + 45])
def test_consecutive_rows_cross_batches_and_files(stored, start):
    numbers = list(range(start, start + 8))
    check(Reader(*stored).read("a", np.array(numbers)), 0, numbers)


def test_only_the_columns_asked_for_are_read_and_rows_beyond_the_end_are_refused(stored):
    reader = Reader(*stored)
    assert list(reader.read("b", np.arange(3), ["score"])) == ["score"]
    with pytest.raises(IndexError, match=rf"group a has rows 0 to {ROWS + 52}"):
        reader.read("a", np.array([ROWS + 53]))


def test_rows_of_an_object_store_are_those_of_the_disk(s3_env):
    numbers = [3, ROWS + 51, 0, 4000]
    check(Reader(*store(s3_env.bucket("prepared"))).read("a", np.array(numbers)), 0, numbers)


def plan_of(manifest: Manifest, steps: int = 60) -> Plan:
    return Plan([Group(group["name"], "e", group["rows"]) for group in manifest["groups"]], 64, steps=steps, alpha=0)


def same(one: Batch, other: Batch) -> bool:
    tokens = all(
        np.array_equal(a, b) for name in one.tokens for a, b in zip(one.tokens[name], other.tokens[name], strict=True)
    )
    return (
        tokens
        and one.step.number == other.step.number
        and all(np.array_equal(one.meta[n], other.meta[n]) for n in one.meta)
    )


def test_the_prefetcher_gives_every_step_in_order_from_any_start(stored):
    plan, reader = plan_of(stored[1]), Reader(*stored)
    for start in (0, 41, 60):
        with Prefetcher(plan, reader, start) as prefetcher:
            found = list(prefetcher)
        assert [item.step.number for item in found] == list(range(start, 60))
        assert all(same(item, batch(reader, plan.step(item.step.number))) for item in found)


def test_ranks_share_a_global_batch_and_all_know_its_meta(stored):
    plan, reader = plan_of(stored[1], 5), Reader(*stored)
    for number in range(5):
        whole = batch(reader, plan.step(number))
        parts = [batch(reader, plan.step(number), rank, 3) for rank in range(3)]
        for name, ragged in whole.tokens.items():
            assert np.array_equal(np.concatenate([part.tokens[name].values for part in parts]), ragged.values)
        assert [part.part for part in parts] == [slice(0, 21), slice(21, 42), slice(42, 64)]
        assert all(np.array_equal(part.meta["anchor_id"], whole.meta["anchor_id"]) for part in parts)
        assert parts[0].meta["negative_ids"].shape == (64, 2)


def test_an_error_of_the_thread_is_raised_where_the_batch_was_expected(tmp_path):
    storage, manifest = store(str(tmp_path))
    reader = Reader(storage, manifest)
    Path(tmp_path / "file-1.arrow").write_bytes(b"damaged")
    with Prefetcher(plan_of(manifest), reader) as prefetcher, pytest.raises(StorageError, match=r"file-1\.arrow"):
        list(prefetcher)


def test_a_consumer_that_leaves_early_ends_the_thread(stored):
    with Prefetcher(plan_of(stored[1]), Reader(*stored)) as prefetcher:
        next(iter(prefetcher))
    assert not prefetcher._thread.is_alive()
