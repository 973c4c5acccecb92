"""Running units on Ray: what a task's death or error becomes."""

from __future__ import annotations

import os

import pytest

from pairmill.errors import PairmillError
from pairmill.runs import engine
from pairmill.runs.engine import Resources, WorkerError, run_units

SMALL = Resources(1, 100_000_000)


@pytest.mark.usefixtures("local_ray")
class TestUnits:
    def test_a_task_whose_worker_always_dies_ends_with_the_remedy(self, monkeypatch):
        monkeypatch.setattr(engine, "RETRIES", 1)

        def die(item):
            os._exit(1)

        with pytest.raises(PairmillError, match=r"worker of a task died 2 times.*memory_per_task"):
            list(run_units(die, [{"number": 1}], SMALL))

    def test_an_error_for_users_arrives_as_it_was_raised(self):
        def refuse(item):
            raise PairmillError(f"item {item['number']} is not right: write 3")

        with pytest.raises(PairmillError, match=r"^item 2 is not right: write 3$"):
            list(run_units(refuse, [{"number": 2}], SMALL))

    def test_a_defect_arrives_with_the_workers_traceback(self):
        def fail(item):
            raise ZeroDivisionError

        with pytest.raises(WorkerError, match=r"(?s)Traceback.*in fail.*ZeroDivisionError"):
            list(run_units(fail, [{"number": 1}], SMALL))

    def test_relative_paths_mean_the_drivers_directory(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

        def directory(item):
            return {"cwd": os.getcwd(), "number": item["number"]}

        found = sorted(run_units(directory, [{"number": n} for n in range(3)], SMALL), key=lambda row: row["number"])
        assert [row["cwd"] for row in found] == [str(tmp_path)] * 3

    def test_no_items_are_no_work(self):
        assert list(run_units(dict, [], SMALL)) == []


def test_a_cluster_that_cannot_be_reached_is_named(monkeypatch):
    with pytest.raises(PairmillError, match=r"--address 127\.0\.0\.1:1: cannot connect"):
        engine._connect("127.0.0.1:1", {})
