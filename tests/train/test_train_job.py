"""Train jobs through real Ray: whatever dies, the model is that of an unbroken run; what cannot work says why."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

import services
import tiny_models
from pairmill.errors import PairmillError
from pairmill.jobs import run_job
from pairmill.runs.record import read_events
from pairmill.spec.load import loads
from pairmill.train.progress import curve, metrics
from reading import only_run

SPEC = """
kind: train
name: tiny
model: {{path: "{folder}/model", max_length: 32}}
data:
  - name: words
    input: {{format: parquet, path: "{folder}/rows.parquet", columns: {{anchor: src, positive: tgt}}}}
    holdout: 20
batch_size: 8
steps: 6
optimizer: {{lr: 1.0e-3}}
checkpoints: {{steps: 2, minutes: null}}
resources: {{micro_batch: 100, threads: 1, cpus: 2}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with dropout, and rows of random letters, some longer than the model takes."""
    made = tmp_path_factory.mktemp("train")
    tiny_models.save(made / "model", dropout=0.1)
    random = np.random.default_rng(0)

    def texts() -> list[str]:
        return ["".join(random.choice(list("abcdefghij"), size)) for size in random.integers(5, 80, 200)]

    pq.write_table(pa.table({"src": texts(), "tgt": texts()}), made / "rows.parquet")
    return made


def write(folder: Path, place: Path) -> Path:
    place.write_text(SPEC.format(folder=folder))
    return place


def train(folder: Path, storage: Path, *sets: str) -> Any:
    loaded = loads(SPEC.format(folder=folder), "test.yaml", sets)
    return run_job(loaded, str(storage), None, False, "pairmill run test.yaml", lambda line: None).run


def weights(run: Any) -> dict[str, Any]:
    model = run.manifest()["model"]
    return load_file(Path(run.storage.where(model["prefix"])) / "model.safetensors")


def same(first: Any, second: Any) -> bool:
    one, other = weights(first), weights(second)
    return one.keys() == other.keys() and all(bool((one[name] == other[name]).all()) for name in one)


def losses(run: Any) -> list[float]:
    return [step["loss"] for step in curve(run)]


def wait_for_checkpoint(storage: Path, number: int, alive: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not list(storage.glob(f"runs/*/g0/checkpoints/{number:06d}.json")):
        assert alive() and time.monotonic() < deadline, "the run ended before its checkpoint"
        time.sleep(0.02)


def training_workers(pid: int) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        try:
            if "RayTrainWorker" in child.name() or any("RayTrainWorker" in part for part in child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
class TestTraining:
    def test_the_result_is_what_sentence_transformers_encodes(self, folder: Path, tmp_path: Path) -> None:
        from sentence_transformers import SentenceTransformer

        from pairmill.model.encoder import evaluating
        from pairmill.model.loading import load

        run = train(folder, tmp_path)
        assert len(losses(run)) == 6
        place = run.storage.where(run.manifest()["model"]["prefix"])
        theirs = SentenceTransformer(place, device="cpu")
        loaded = load(place)
        texts = ["abc def", "j" * 100, "hij"]
        tokens = loaded.tokenizer(texts, truncation=True, max_length=loaded.settings.max_length)["input_ids"]
        with evaluating(loaded.encoder):
            ours = loaded.encoder([np.array(ids, np.int32) for ids in tokens]).numpy()
        ours /= np.linalg.norm(ours, axis=1, keepdims=True)
        np.testing.assert_allclose(theirs.encode(texts), ours, rtol=0, atol=1e-6)
        assert list(Path(tmp_path).glob("runs/*/tensorboard/events.*"))

    def test_a_rate_that_makes_the_loss_no_number_ends_at_once_with_the_step(
        self, folder: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(PairmillError, match=r"step [2-6]: the loss is nan.*Batch: words rows \d"):
            train(folder, tmp_path, "optimizer.lr=1e30", "optimizer.clip=null", "steps=6")
        assert not [e for e in read_events(only_run(str(tmp_path)), "events") if e["event"] == "done"]

    def test_more_workers_than_the_cluster_has_room_for_are_refused_with_the_arithmetic(
        self, folder: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(PairmillError, match=r"4 workers of 1 CPUs each; .*2 CPUs and 0 GPUs: room for 2"):
            train(folder, tmp_path, "resources.workers=4")
        with pytest.raises(PairmillError, match=r"1 workers of 1 CPUs and 1 GPUs each; .*room for 0"):
            train(folder, tmp_path, "resources.gpus_per_worker=1")


@pytest.mark.slow
def test_a_killed_worker_and_a_killed_driver_change_no_weight(folder: Path, tmp_path: Path) -> None:
    """Both in one run of the command: a worker first, then the driver; against a run that nothing happened to."""
    spec = write(folder, tmp_path / "spec.yaml")
    more = ["--set", "steps=60", "--set", "checkpoints.steps=5"]
    whole = services.run_pairmill("run", str(spec), "--storage", str(tmp_path / "whole"), *more)
    assert whole.code == 0, whole.stderr
    storage = tmp_path / "broken"
    command = ["run", str(spec), "--storage", str(storage), *more]
    driver = services.start_pairmill(*command, log=tmp_path / "log")
    wait_for_checkpoint(storage, 2, lambda: driver.poll() is None)
    (worker,) = training_workers(driver.pid)
    worker.kill()
    seen = len(list(storage.glob("runs/*/g0/checkpoints/*.json")))
    wait_for_checkpoint(storage, seen + 2, lambda: driver.poll() is None)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    again = services.run_pairmill(*command)
    assert again.code == 0, again.stderr
    broken, unbroken = only_run(str(storage)), only_run(str(tmp_path / "whole"))
    resumed = [event["step"] for event in read_events(broken, metrics(broken)) if event["event"] == "resumed"]
    assert len(resumed) == 2 and 10 <= resumed[0] < resumed[1] < 60, resumed
    assert same(broken, unbroken)
    assert losses(broken) == losses(unbroken)
