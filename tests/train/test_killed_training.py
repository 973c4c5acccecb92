"""A training that is killed: whatever dies, the model is that of an unbroken run."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import services
from pairmill.jobs import run_job
from pairmill.runs.record import Run, read_events
from pairmill.spec.load import load
from pairmill.train.progress import metrics
from tiny_training import SPEC, losses, same, write_inputs


def wait_for_checkpoint(storage: Path, number: int, alive: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not list(storage.glob(f"runs/*/g0/checkpoints/{number:06d}.json")):
        assert alive() and time.monotonic() < deadline, "the run ended before its checkpoint"
        time.sleep(0.02)


@pytest.mark.long
@pytest.mark.usefixtures("local_ray")
def test_a_killed_worker_and_a_killed_driver_change_no_weight(tmp_path: Path) -> None:
    """Both in one run of the command: a worker first, then the driver; against a run that nothing happened to."""
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC.format(folder=write_inputs(tmp_path)))
    sets = ["steps=40", "checkpoints.steps=4"]

    def here(storage: Path) -> Run:
        return run_job(load(str(spec), sets), str(storage), None, False, "", lambda line: None).run

    storage = tmp_path / "broken"
    more = services.options_set(sets)
    driver = services.start_pairmill("run", str(spec), "--storage", str(storage), *more, log=tmp_path / "log")
    wait_for_checkpoint(storage, 2, lambda: driver.poll() is None)
    (worker,) = services.train_workers(driver.pid)
    worker.kill()
    seen = len(list(storage.glob("runs/*/g0/checkpoints/*.json")))
    wait_for_checkpoint(storage, seen + 2, lambda: driver.poll() is None)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    broken, unbroken = here(storage), here(tmp_path / "whole")
    resumed = [event["step"] for event in read_events(broken, metrics(broken)) if event["event"] == "resumed"]
    assert len(resumed) == 2 and 8 <= resumed[0] < resumed[1] < 40, resumed
    assert same(broken, unbroken)
    assert losses(broken) == losses(unbroken)
