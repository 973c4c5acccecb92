"""Checkpoints that were written whole are found; damaged ones are told of and passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pairmill.errors import StorageError
from pairmill.runs.storage import open_storage
from pairmill.train.checkpoints import Checkpoints, State, load_optimizer, optimizer_tensors


def checkpoints(folder: Path, keep: int = 2) -> Checkpoints:
    return Checkpoints(open_storage(str(folder)), "c", "attempt", keep)


def state(step: int, best: bool = False) -> State:
    weights = {"w": torch.full((3, 4), float(step)), "t": torch.tensor(step / 7)}
    return State(step, weights, {"0.step": torch.tensor(float(step))}, {"best": step, "evaluations": []}, best)


def fill(folder: Path, steps: int, keep: int = 9) -> Checkpoints:
    made = checkpoints(folder, keep)
    for step in range(1, steps + 1):
        made.save(state(step))
    made.wait()
    return made


def newest(folder: Path, best: bool = False) -> tuple[int | None, list[str]]:
    said: list[str] = []
    found = checkpoints(folder).newest(said.append, best)
    return found.step if found else None, said


def test_what_was_saved_comes_back_bit_by_bit(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    found = checkpoints(tmp_path).newest(pytest.fail)
    assert found is not None and (found.step, found.facts) == (2, {"best": 2, "evaluations": []})
    assert all(torch.equal(found.model[name], value) for name, value in state(2).model.items())


def test_there_is_none_at_first(tmp_path: Path) -> None:
    assert newest(tmp_path) == (None, [])


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])


def change(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("damage", [Path.unlink, cut, change])
@pytest.mark.parametrize("name", ["model", "optimizer"])
def test_a_missing_cut_or_changed_file_takes_the_checkpoint_before_and_says_so(
    tmp_path: Path, damage: Any, name: str
) -> None:
    fill(tmp_path, 3)
    damage(tmp_path / f"c/000003-attempt/{name}.safetensors")
    step, said = newest(tmp_path)
    assert step == 2
    assert len(said) == 1 and "checkpoint 3 is damaged" in said[0] and f"{name}.safetensors" in said[0]


def test_a_damaged_manifest_takes_the_checkpoint_before(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    cut(tmp_path / "c/000003.json")
    step, said = newest(tmp_path)
    assert step == 2 and "checkpoint 3 is damaged" in said[0]
    fill(tmp_path, 1)
    assert newest(tmp_path) == (1, []), "the next one is written behind it"


def test_half_written_files_without_a_manifest_are_no_checkpoint(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    (tmp_path / "c/000003-attempt").mkdir()
    (tmp_path / "c/000003-attempt/model.safetensors").write_bytes(b"half")
    assert newest(tmp_path) == (2, [])


def test_files_of_all_but_the_newest_and_the_best_are_deleted(tmp_path: Path) -> None:
    made = checkpoints(tmp_path, keep=2)
    for step in range(1, 7):
        made.save(state(step, best=step in (1, 3)))
    made.wait()
    assert sorted(path.parent.name[:6] for path in tmp_path.glob("c/*/model.safetensors")) == [
        "000003",
        "000005",
        "000006",
    ]
    assert newest(tmp_path) == (6, []) and newest(tmp_path, best=True) == (3, [])


def test_tensors_are_those_of_the_moment_of_saving(tmp_path: Path) -> None:
    made, weights = checkpoints(tmp_path), torch.ones(1000, 100)
    made.save(State(1, {"w": weights}, {}, {}))
    weights.zero_()
    made.wait()
    found = made.newest(pytest.fail)
    assert found is not None and found.model["w"].min() == 1


def test_an_error_of_the_writing_thread_is_raised_by_the_next_call(tmp_path: Path) -> None:
    made = fill(tmp_path, 1)
    other = checkpoints(tmp_path)
    other._last()
    made.save(state(2))
    made.wait()
    (tmp_path / "c/000003.json").mkdir()
    made.save(state(3))
    with pytest.raises(StorageError):
        made.wait()


def test_an_optimizers_state_goes_on_where_it_was() -> None:
    def made() -> tuple[torch.nn.Linear, torch.optim.AdamW]:
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 2)
        return layer, torch.optim.AdamW(
            [{"params": [layer.weight]}, {"params": [layer.bias], "weight_decay": 0.0}], lr=0.1
        )

    def step(layer: torch.nn.Linear, optimizer: torch.optim.AdamW) -> None:
        optimizer.zero_grad()
        layer(torch.ones(1, 3)).square().sum().backward()
        optimizer.step()

    layer, first = made()
    step(layer, first)
    resumed, second = made()
    resumed.load_state_dict(layer.state_dict())
    load_optimizer(second, {name: value.clone() for name, value in optimizer_tensors(first).items()})
    for pair in ((layer, first), (resumed, second)):
        step(*pair)
    assert torch.equal(layer.weight, resumed.weight) and torch.equal(layer.bias, resumed.bias)
