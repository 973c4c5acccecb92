"""Storage on an S3 server that fails, loses answers, and is gone for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest

import services
from faultproxy import BadS3, Faults, between
from pairmill import objects
from pairmill.errors import StorageError
from pairmill.runs.storage import Storage

SECONDS = 1.5


@pytest.fixture(scope="module")
def bad(s3: services.S3) -> Iterator[tuple[BadS3, Storage]]:
    """The server behind a proxy without faults yet, and a storage there."""
    with between(s3, Faults()) as proxy, pytest.MonkeyPatch.context() as patch:
        for name, value in proxy.env.items():
            patch.setenv(name, value)
        objects.bucket.cache_clear()
        yield proxy, Storage(s3.bucket("bad") + "/runs")
    objects.bucket.cache_clear()


def test_failed_and_lost_requests_are_tried_again_and_nothing_is_written_twice(bad: tuple[BadS3, Storage]) -> None:
    proxy, storage = bad
    proxy.faults.errors, proxy.faults.lost = 0.3, 0.1
    try:
        for number in range(10):
            storage.put_if_absent(f"a/{number}", b"%d" % number)
            assert not storage.put_if_absent(f"a/{number}", b"other")
            assert storage.get(f"a/{number}") == b"%d" % number
    finally:
        proxy.faults.errors = proxy.faults.lost = 0.0
    assert proxy.faults.seen["error"] and proxy.faults.seen["lost"]


@pytest.mark.parametrize("kind", ["read", "write", "create", "upload"])
def test_a_store_that_is_gone_for_a_while_is_waited_for(bad: tuple[BadS3, Storage], kind: str) -> None:
    proxy, storage = bad
    storage.put("there", b"1")

    def upload() -> bool:
        table = pa.table({"a": [1, 2]})
        with storage.parquet_writer("upload.parquet", table.schema) as writer:
            writer.write_table(table)
        return storage.modified("upload.parquet") is not None

    calls: dict[str, Callable[[], bool]] = {
        "read": lambda: storage.get("there") == b"1",
        "write": lambda: storage.put("written", b"2") is None and storage.get("written") == b"2",
        "create": lambda: storage.put_if_absent("created", b"3"),
        "upload": upload,
    }
    proxy.faults.gone, before = True, proxy.faults.seen["gone"]
    back = threading.Timer(SECONDS, lambda: setattr(proxy.faults, "gone", False))
    back.start()
    assert calls[kind]()
    back.join()
    assert proxy.faults.seen["gone"] > before + 3


def test_a_command_that_meets_a_store_which_is_gone_says_so_at_once(bad: tuple[BadS3, Storage]) -> None:
    proxy, storage = bad
    proxy.faults.gone = True
    try:
        with pytest.raises(StorageError, match="cannot be reached"):
            storage.check()
    finally:
        proxy.faults.gone = False
