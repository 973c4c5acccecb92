"""Trains on several processes and writes what comes out: `python ranks.py OUT.pt`; see `test_ranks.py`."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as mp

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "platform"), str(ROOT / "tests")]

import tiny_models  # noqa: E402
from pairmill.runs.storage import open_storage  # noqa: E402
from pairmill.train.checkpoints import Checkpoints  # noqa: E402
from pairmill.train.gradient_cache import World  # noqa: E402
from pairmill.train.sharding import shard  # noqa: E402


def spec(steps: int, settings: dict[str, Any]) -> Any:
    resources = {"micro_batch": 40, "workers": 1, **settings}
    return tiny_models.spec(
        accumulate=2,
        steps=steps,
        optimizer={"lr": 1e-3, "schedule": "constant", "warmup": 0},
        resources=resources,
        checkpoints={"steps": 2},
    )


def train(rank: int, size: int, port: int, sharded: bool, steps: int, until: int, place: str, out: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    world = World(rank, size, sharded)
    if size > 1:
        torch.distributed.init_process_group("gloo", rank=rank, world_size=size)
    model = tiny_models.encoder()
    if sharded:
        shard(model.model, torch.device("cpu"))
    checkpoints = Checkpoints(open_storage(place), "c", f"{size}-{sharded}", 3)
    log = tiny_models.Log()
    loop = tiny_models.loop(spec(steps, {"fsdp": sharded}), model, world, checkpoints, log=log)
    loop.steps = until
    facts = loop.run()
    weights = loop.tensors()
    if rank == 0:
        moments = checkpoints.newest(print).optimizer  # type: ignore[union-attr]
        torch.save({"weights": weights, "optimizer": moments, "losses": log.losses(), "facts": facts}, out)
    if size > 1:
        torch.distributed.destroy_process_group()


def run(size: int, sharded: bool, until: int, place: Path) -> Any:
    out = place / f"{size}-{sharded}-{until}.pt"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = (size, port, sharded, 4, until, str(place), str(out))
    mp.start_processes(train, arguments, size, start_method="fork")
    return torch.load(out)


def main() -> None:
    torch.set_num_threads(1)
    tiny_models.loop(spec(4, {}), tiny_models.encoder())  # what this imports, the ranks have already
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for size, sharded in ((1, False), (2, False), (4, False), (2, True)):
            found[f"{size}{' sharded' if sharded else ''}"] = run(size, sharded, 4, Path(folder, f"{size}-{sharded}"))
        changing = Path(folder, "changing")
        for size, sharded, until in ((2, False, 2), (2, True, 3), (1, False, 4)):
            found["changing"] = run(size, sharded, until, changing)
    torch.save(found, sys.argv[1])


if __name__ == "__main__":
    main()
