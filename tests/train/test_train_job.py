"""Train jobs through real Ray: whatever dies, the model is that of an unbroken run; what cannot work says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pairmill.errors import PairmillError
from pairmill.jobs import run_job
from pairmill.runs.record import read_events
from pairmill.spec.load import loads
from reading import only_run
from tiny_training import SPEC, losses, write_inputs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("train"))


def write(folder: Path, place: Path) -> Path:
    place.write_text(SPEC.format(folder=folder))
    return place


def train(folder: Path, storage: Path, *sets: str) -> Any:
    loaded = loads(SPEC.format(folder=folder), "test.yaml", sets)
    return run_job(loaded, str(storage), None, False, "pairmill run test.yaml", lambda line: None).run


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
