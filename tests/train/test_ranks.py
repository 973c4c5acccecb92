"""Real processes over gloo: any number of ranks trains as one does (`ranks.py`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_models
from pairmill.errors import PairmillError
from pairmill.train.gradient_cache import World
from pairmill.train.trackers import flat

TOGETHER = ["2", "4", "2 sharded", "changing"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Weights, moments, losses and evaluations of one rank and of several."""
    out = tmp_path_factory.mktemp("ranks") / "found.pt"
    script = Path(__file__).with_name("ranks.py")
    done = subprocess.run(
        [sys.executable, script, out], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    return torch.load(out)


@pytest.mark.parametrize("ranks", TOGETHER)
def test_several_ranks_sharded_or_changed_on_the_way_end_with_the_weights_of_one(trained: Any, ranks: str) -> None:
    one, several = trained["1"], trained[ranks]
    for part in ("weights", "optimizer"):
        assert one[part].keys() == several[part].keys()
        for name, value in one[part].items():
            torch.testing.assert_close(several[part][name], value, rtol=0, atol=1e-8, msg=f"{part} {name}")


@pytest.mark.parametrize("ranks", TOGETHER)
def test_several_ranks_log_the_losses_and_evaluations_of_one(trained: Any, ranks: str) -> None:
    one, several = trained["1"], trained[ranks]
    for step, loss in several["losses"].items():
        assert loss == pytest.approx(one["losses"][step], abs=1e-8)
    for expected, found in zip(one["facts"]["evaluations"], several["facts"]["evaluations"], strict=True):
        assert found["step"] == expected["step"]
        figures = dict(flat("", expected["groups"]))
        assert len(figures) > 5
        assert dict(flat("", found["groups"])) == pytest.approx(figures, abs=1e-5)  # of float32 vectors


def test_a_batch_that_the_ranks_cannot_share_is_refused() -> None:
    with pytest.raises(PairmillError, match=r"batch of 8 rows cannot be shared by 3 workers.*multiple of 3"):
        tiny_models.loop(tiny_models.spec(), tiny_models.encoder(), World(0, 3))
