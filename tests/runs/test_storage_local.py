"""Storage, units and lease on a local disk."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pyarrow as pa
import pytest

from pairmill.errors import StorageError
from pairmill.runs import lease as lease_module
from pairmill.runs.lease import Lease
from pairmill.runs.record import Events, Run, read_events
from pairmill.runs.storage import Storage
from pairmill.runs.units import Units, digest


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path / "store"))


def test_what_exists_is_never_replaced_by_put_if_absent(storage):
    assert storage.put_if_absent("a/b", b"first")
    assert not storage.put_if_absent("a/b", b"second")
    assert storage.get("a/b") == b"first"


def test_of_many_writers_exactly_one_commits_a_unit(storage):
    units = Units(storage, "stages/x")
    barrier, winners = threading.Barrier(8), []

    def commit(number: int) -> None:
        barrier.wait()
        winners.append(units.commit("unit", {"by": number})["by"])

    threads = [threading.Thread(target=commit, args=(number,)) for number in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(winners) == 8 and len(set(winners)) == 1
    assert units.get("unit") == {"by": winners[0]}


def test_a_parquet_file_whose_writer_fails_does_not_exist(storage, tmp_path):
    table = pa.table({"a": list(range(1000))})
    with pytest.raises(ZeroDivisionError), storage.parquet_writer("data/x.parquet", table.schema) as writer:
        writer.write_table(table)
        raise ZeroDivisionError
    assert not (tmp_path / "store/data/x.parquet").exists()
    with storage.parquet_writer("data/y.parquet", table.schema) as writer:
        writer.write_table(table)
    with storage.open_parquet("data/y.parquet") as file:
        assert file.read() == table


def test_a_good_store_passes_the_check_and_keeps_no_probe(storage, tmp_path):
    storage.check()
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_a_file_in_place_of_the_storage_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file.*directory"):
        Storage(str(tmp_path / "file"))


def test_a_missing_object_is_none_and_a_damaged_place_an_error(storage):
    assert storage.get("nothing/here") is None
    assert storage.modified("nothing/here") is None
    with pytest.raises(StorageError, match=r"runs/x\.parquet.*does not exist"):
        storage.open_parquet("runs/x.parquet")


def test_digest_depends_on_content_not_on_key_order():
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_a_held_lease_is_refused_and_a_released_one_taken(storage):
    first, second = Lease(storage, "lease", "one"), Lease(storage, "lease", "two")
    assert first.acquire() is None
    assert second.acquire()["attempt"] == "one"
    first.release()
    assert second.acquire() is None
    second.release()


def test_the_lease_of_a_dead_process_is_taken_over_at_once(storage, tmp_path):
    code = (
        "import os, signal; from pairmill.runs.storage import Storage; from pairmill.runs.lease import Lease\n"
        f"assert Lease(Storage({str(tmp_path / 'store')!r}), 'lease', 'dead').acquire() is None\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    lease = Lease(storage, "lease", "alive")
    assert lease.acquire() is None
    lease.release()


def test_a_silent_lease_of_another_host_is_taken_over_and_its_holder_notices(storage, monkeypatch, tmp_path):
    monkeypatch.setattr(lease_module, "HEARTBEAT_SECONDS", 0.05)
    other = Lease(storage, "lease", "other")
    with monkeypatch.context() as there:
        there.setattr(lease_module, "_boot_id", lambda: "another host")
        assert other.acquire() is None
    mine = Lease(storage, "lease", "mine")
    assert mine.acquire()["attempt"] == "other"
    monkeypatch.setattr(lease_module, "TIMEOUT_SECONDS", -1)
    assert mine.acquire() is None
    other._thread.join(5)
    assert other.lost and not mine.lost
    mine.release()


def test_events_come_back_in_order_from_numbered_segments(storage, tmp_path):
    run = Run(storage, "x-1")
    for number in range(3):
        events = Events(run)
        events.add("step", number=number)
        events.flush()
    assert [event["number"] for event in read_events(run)] == [0, 1, 2]
    assert len(os.listdir(tmp_path / "store/runs/x-1/events")) == 3


def test_each_fresh_attempt_has_a_generation_of_its_own(storage):
    first, second, alone = Run(storage, "x-1"), Run(storage, "x-1"), Run(storage, "x-2")
    first.begin(fresh=False)
    second.begin(fresh=True)
    alone.begin(fresh=True)
    assert (first.generation, second.generation, alone.generation) == (0, 1, 0)
    assert first.units("select").prefix != second.units("select").prefix
    assert not first.salt and second.salt and alone.salt


def test_a_resumed_fresh_generation_stays_fresh(storage):
    killed, resumed = Run(storage, "x-1"), Run(storage, "x-1")
    killed.begin(fresh=True)
    resumed.begin(fresh=False)
    assert resumed.salt == killed.salt != ""
    resumed.begin(fresh=True)
    assert resumed.salt == killed.salt
    storage.put_json("runs/x-1/manifests/0-summary.json", {})
    resumed.begin(fresh=True)
    assert resumed.generation == 1 and resumed.salt not in ("", killed.salt)
