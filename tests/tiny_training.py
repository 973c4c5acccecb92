"""A tiny training job, and what tests ask of its run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.torch import load_file

import tiny_models
from pairmill.train.progress import curve

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


def write_inputs(folder: Path) -> Path:
    """A tiny model with dropout, and rows of random letters, some longer than the model takes."""
    tiny_models.save(folder / "model", dropout=0.1)
    random = np.random.default_rng(0)

    def texts() -> list[str]:
        return ["".join(random.choice(list("abcdefghij"), size)) for size in random.integers(5, 80, 200)]

    pq.write_table(pa.table({"src": texts(), "tgt": texts()}), folder / "rows.parquet")
    return folder


def weights(run: Any) -> dict[str, Any]:
    model = run.manifest()["model"]
    return load_file(Path(run.storage.where(model["prefix"])) / "model.safetensors")


def same(first: Any, second: Any) -> bool:
    one, other = weights(first), weights(second)
    return one.keys() == other.keys() and all(bool((one[name] == other[name]).all()) for name in one)


def losses(run: Any) -> list[float]:
    return [step["loss"] for step in curve(run)]
