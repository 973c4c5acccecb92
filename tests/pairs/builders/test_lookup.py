"""The table on the temporary disk: what is put in comes out, in bounded memory, and nothing stays behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from pairmill.pairs.builders.lookup import CACHE_BYTES, Lookup


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_first_value_of_a_key_wins_and_all_come_in_order(folder):
    with Lookup() as table:
        table.add([("a", "1"), ("b", b"\x00\xff"), ("a", "2")])
        assert table.get(["a", "b", "c"]) == {"a": "1", "b": b"\x00\xff"}
        table.add([("a", "3"), ("c", "")])  # after the index was made
        assert table.get_all(["c", "a"]) == {"a": ["1", "2", "3"], "c": [""]}
        assert table.known(["a", "c", "d"]) == {"a", "c"}
        assert table.get([]) == {}


def test_numbers_and_their_digits_are_different_keys(folder):
    with Lookup() as table:
        table.add([(5, "number"), ("5", "text"), ("", "empty"), ("a\0b", "zero"), ("\ud800", "lone")])
        assert table.get([5, "5", "", "a\0b", "a", "\ud800"]) == {5: "number", "5": "text", "": "empty", "a\0b": "zero"}


def test_table_agrees_with_a_dictionary_on_random_rows(folder):
    rng = random.Random(5)
    rows = [(rng.randrange(5000) if rng.random() < 0.5 else f"k{rng.randrange(5000)}", str(n)) for n in range(20_000)]
    expected: dict = {}
    for key, value in rows:
        expected.setdefault(key, []).append(value)
    with Lookup() as table:
        for at in range(0, len(rows), 700):
            table.add(rows[at : at + 700])
        keys = [*expected, *range(5000, 6000)]
        assert table.get_all(keys) == expected
        assert table.get(keys) == {key: values[0] for key, values in expected.items()}


def test_nothing_stays_on_the_disk_while_open_or_after_an_error(folder):
    with pytest.raises(ZeroDivisionError), Lookup() as table:
        table.add((str(n), "x" * 1000) for n in range(80_000))
        assert os.listdir(folder) == []
        _ = 1 / 0
    assert os.listdir(folder) == []


FILL = """
import sys
from pairmill.pairs.builders.lookup import Lookup
with Lookup() as table:
    while True:
        table.add((str(n), "x" * 1000) for n in range(10_000))
        print("added", flush=True)
"""


def test_killed_process_leaves_nothing_behind(folder):
    process = subprocess.Popen([sys.executable, "-c", FILL], stdout=subprocess.PIPE)
    assert process.stdout is not None
    for _ in range(3):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert os.listdir(folder) == []


def test_full_temporary_disk_is_an_error_that_names_the_remedy(folder):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (80_000_000, 80_000_000))"
    done = subprocess.run([sys.executable, "-c", limit + FILL], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("pairmill.errors.PairmillError: the temporary folder")
    assert str(folder) in last
    assert "TMPDIR" in last


def test_missing_temporary_folder_is_an_error_that_names_the_remedy(folder, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "gone"))
    from pairmill.errors import PairmillError

    with pytest.raises(PairmillError, match="TMPDIR"), Lookup():
        pass


MEASURE = """
import resource, sys
from pairmill.pairs.builders.lookup import Lookup
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with Lookup() as table:
    for at in range(0, 152_000, 4000):
        table.add([(n * 7919 % 152_000, "x" * 1000) for n in range(at, at + 4000)])
    for at in range(0, 152_000, 4000):
        assert len(table.get(range(at, at + 4000))) == 4000
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10)
"""


def test_memory_is_the_cache_whatever_the_number_of_rows(folder):
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1.5 * CACHE_BYTES, "152 MB of rows"


@pytest.mark.parametrize("count", [100_000])
def test_rows_go_in_and_out_fast_enough_for_dumps(folder, count):
    keys = [f"t1_{n * 7919 % count:x}" for n in range(count)]
    with Lookup() as table:
        start = time.process_time()
        for at in range(0, count, 4000):
            table.add([(key, "a comment of a usual length, as most are " + key) for key in keys[at : at + 4000]])
        added = time.process_time()
        table.get(keys[:1])
        indexed = time.process_time()
        for at in range(0, count, 4000):
            table.get(keys[at : at + 4000])
        got = time.process_time()
    slow = 4  # machines and their neighbours differ: a quarter of the promise
    assert count / (added - start) > 150_000 / slow
    assert count / (got - indexed) > 150_000 / slow
