"""A training that is asked to stop ends behind its step with a checkpoint, and goes on as if it had not."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

import tiny_models
from pairmill.runs.record import Run
from pairmill.runs.storage import open_storage
from pairmill.train import stopping
from pairmill.train.checkpoints import Checkpoints
from pairmill.train.loop import Loop

RULES = {"resources": {"micro_batch": 60}, "checkpoints": {"steps": None, "minutes": None}, "steps": 5}


def made(folder: Path, log: tiny_models.Log | None = None) -> Loop:
    checkpoints = Checkpoints(open_storage(str(folder)), "c", "a", 2)
    encoder = tiny_models.encoder("bert", dropout=0.2)
    return tiny_models.loop(tiny_models.spec(**RULES), encoder, checkpoints=checkpoints, log=log)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(open_storage(str(tmp_path / "store")), "tiny-000000000000")


def test_a_stopped_and_resumed_training_is_bit_equal_to_an_unbroken_one(tmp_path: Path) -> None:
    whole = made(tmp_path / "whole")
    whole.run()
    broken = made(tmp_path / "broken")
    asked = iter([False, False, True])
    broken.stop_asked = lambda: next(asked)
    with pytest.raises(stopping.Stopped) as stopped:
        broken.run()
    assert stopped.value.step == 3
    log = tiny_models.Log()
    resumed = made(tmp_path / "broken", log)
    resumed.run()
    assert log.events[0]["event"] == "resumed" and log.events[0]["step"] == 3
    assert all(torch.equal(value, resumed.tensors()[name]) for name, value in whole.tensors().items())


def test_the_driver_learns_of_the_checkpoint_that_rank_0_wrote(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "POLL_SECONDS", 0.02)
    asked = stopping.Asked(run)
    assert not asked()

    def rank_0() -> None:
        while not asked():
            pass
        stopping.answer(run, stopping.Stopped(7))

    thread = threading.Thread(target=rank_0)
    thread.start()
    assert stopping.ask(run, lambda: False) == 7
    thread.join()
    asked.close()


def test_the_driver_waits_for_nobody_who_is_not_there_or_is_done_and_not_beyond_its_time(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stopping.ask(run, lambda: False) is None
    stopping.Asked(run).close()
    assert stopping.ask(run, lambda: True) is None
    monkeypatch.setenv(stopping.STOP_VARIABLE, str(stopping.LEAVING_SECONDS))
    assert stopping.ask(run, lambda: False) is None
