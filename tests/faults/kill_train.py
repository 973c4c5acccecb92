"""Kill a training at random: workers and drivers, again and again; weights and losses must be those of an unbroken run.

    python tests/faults/kill_train.py [--spec SPEC] [--kills 6] [--seed 0] [--set KEY=VALUE ...] [--json FILE]

A kill comes at a random moment after a new checkpoint; drivers and workers take turns. Losses and weights are compared
bit by bit, with the model's dropout on.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kill import finish, start  # beside this file

from pairmill.runs.record import read_events
from pairmill.train.progress import curve, metrics
from reading import only_run
from services import train_workers


def manifests(storage: Path) -> int:
    return len(list(storage.glob("runs/*/g0/checkpoints/*.json")))


def broken(spec: str, storage: Path, kills: int, chance: random.Random, sets: list[str]) -> dict[str, int]:
    """Run to the end through so many kills."""
    killed = {"workers": 0, "drivers": 0}
    process = start(spec, storage, *sets)
    while sum(killed.values()) < kills and process.poll() is None:
        seen = manifests(storage)
        while manifests(storage) == seen and process.poll() is None:
            time.sleep(0.05)
        time.sleep(chance.random() * 2)
        if process.poll() is not None:
            break
        if killed["drivers"] <= killed["workers"]:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed["drivers"] += 1
            process = start(spec, storage, *sets)
        elif found := train_workers(process.pid):
            chance.choice(found).kill()
            killed["workers"] += 1
    finish(process)
    return killed


def weights(run: Any) -> bytes:
    return (Path(run.storage.where(run.manifest()["model"]["prefix"])) / "model.safetensors").read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", required=True)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], dest="sets")
    parser.add_argument("--json", help="write the result to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pairmill-kill-train-") as folder:
        whole, torn = Path(folder, "whole"), Path(folder, "torn")
        finish(start(options.spec, whole, *options.sets))
        killed = broken(options.spec, torn, options.kills, random.Random(options.seed), options.sets)
        runs = [only_run(str(place)) for place in (whole, torn)]
        curves = [[step["loss"] for step in curve(run)] for run in runs]
        resumed = [event["step"] for event in read_events(runs[1], metrics(runs[1])) if event["event"] == "resumed"]
        result = {
            "steps": len(curves[0]),
            **killed,
            "resumed at": resumed,
            "same losses": curves[0] == curves[1],
            "same weights": weights(runs[0]) == weights(runs[1]),
        }
    print(json.dumps(result))
    if options.json:
        Path(options.json).write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(not (result["same losses"] and result["same weights"]))


if __name__ == "__main__":
    main()
