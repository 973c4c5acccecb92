"""The loop: resumed is unbroken, the best evaluation counts, what cannot go on stops with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_models
from pairmill.errors import PairmillError
from pairmill.model.adapters import add_lora
from pairmill.model.encoder import Encoder
from pairmill.runs.record import Run
from pairmill.runs.storage import open_storage
from pairmill.spec.model import Lora
from pairmill.train.checkpoints import Checkpoints
from pairmill.train.loop import Loop
from pairmill.train.trackers import Tracker


class Killed(Exception):
    """Stands for the death of the process: nothing of the loop is used behind it."""


def made(folder: Path, log: Any = None, kind: str = "bert", **more: Any) -> Loop:
    spec = tiny_models.spec(**{"resources": {"micro_batch": 60}, "checkpoints": {"steps": 2}, **more})
    checkpoints = Checkpoints(open_storage(str(folder)), "c", "a", spec.checkpoints.keep)
    return tiny_models.loop(spec, tiny_models.encoder(kind, dropout=0.2), checkpoints=checkpoints, log=log)


def die_after(loop: Loop, steps: int) -> None:
    after = loop._after

    def dying(step: int) -> None:
        after(step)
        if step == steps:
            assert loop.checkpoints
            loop.checkpoints.wait()
            raise Killed

    loop._after = dying  # type: ignore[method-assign]
    with pytest.raises(Killed):
        loop.run()


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("steps", [1, 3, 4])
def test_killed_and_resumed_is_bit_equal_to_unbroken_with_dropout(tmp_path: Path, accumulate: int, steps: int) -> None:
    more = {"accumulate": accumulate, "steps": 6, "evaluate": {"steps": 2}}
    whole, log = made(tmp_path / "whole", tiny_models.Log(), **more), tiny_models.Log()
    facts = whole.run()
    die_after(made(tmp_path / "broken", tiny_models.Log(), **more), steps)
    resumed = made(tmp_path / "broken", log, **more)
    assert resumed.run() == facts
    expected = whole.log.losses()  # type: ignore[union-attr]
    assert log.losses() == {step: loss for step, loss in expected.items() if step > steps // 2 * 2}
    weights = whole.tensors()
    assert all(torch.equal(value, weights[name]) for name, value in resumed.tensors().items())


def test_a_damaged_newest_checkpoint_is_told_and_the_one_before_gives_the_same_weights(tmp_path: Path) -> None:
    whole = made(tmp_path / "whole", steps=6)
    whole.run()
    die_after(made(tmp_path / "broken", steps=6), 4)
    next(tmp_path.glob("broken/c/000002-*/model.safetensors")).write_bytes(b"cut")
    log = tiny_models.Log()
    resumed = made(tmp_path / "broken", log, steps=6)
    resumed.run()
    assert [event["event"] for event in log.events[:2]] == ["warning", "resumed"]
    assert "checkpoint 2 is damaged" in log.events[0]["text"] and log.events[1]["step"] == 2
    assert all(torch.equal(value, resumed.tensors()[name]) for name, value in whole.tensors().items())


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    facts = made(tmp_path).run()
    log = tiny_models.Log()
    assert made(tmp_path, log).run()["steps"] == facts["steps"] == 4
    assert not log.losses()


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    made(tmp_path).run()
    with pytest.raises(PairmillError, match="of another model.*--fresh"):
        made(tmp_path, kind="electra").run()


def scripted(loop: Loop, values: list[float]) -> list[dict[str, torch.Tensor]]:
    """Evaluations find these accuracies; returns the weights that each of them saw."""
    seen: list[dict[str, torch.Tensor]] = []

    def evaluate() -> dict[str, dict[str, Any]]:
        seen.append({name: value.clone() for name, value in loop.tensors().items()})
        return {"a": {"accuracy": values[len(seen) - 1]}}

    loop.task.evaluate = evaluate  # type: ignore[method-assign]
    return seen


@pytest.mark.parametrize(
    ("values", "best", "steps"),
    [
        ([0.1, 0.5, 0.3, 0.4, 0.9], 1, 3),  # two without a better one: stops
        ([0.9, 0.5, 0.3], 0, 2),  # the model as it was is best
        ([0.1, 0.2, 0.3, 0.2, 0.5], 4, 4),  # the last is best
    ],
)
def test_early_stopping_takes_the_weights_of_the_best_evaluation(
    tmp_path: Path, values: list[float], best: int, steps: int
) -> None:
    loop = made(tmp_path, evaluate={"steps": 1, "early_stopping": {"patience": 2}}, checkpoints={"keep": 1})
    seen = scripted(loop, values)
    facts = loop.run()
    assert (facts["steps"], facts["stopped"]) == (steps, steps < 4)
    loop.use_best()
    assert all(torch.equal(value, seen[best][name]) for name, value in loop.tensors().items())


def test_early_stopping_by_a_figure_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PairmillError, match=r"no 'spearman' to look at.*accuracy"):
        made(tmp_path, evaluate={"early_stopping": {"metric": "spearman"}}).run()


def test_evaluations_are_as_often_as_asked_and_at_both_ends(tmp_path: Path) -> None:
    found = made(tmp_path, steps=5, evaluate={"steps": 2}).run()["evaluations"]
    assert [evaluation["step"] for evaluation in found] == [0, 2, 4, 5]


def test_checkpoints_by_minutes_are_written_when_due(tmp_path: Path) -> None:
    made(tmp_path / "soon", checkpoints={"minutes": 1e-9, "keep": 9}).run()
    made(tmp_path / "late", checkpoints={"minutes": 60, "keep": 9}).run()
    assert len(list(tmp_path.glob("soon/c/*.json"))) == 4
    assert not list(tmp_path.glob("late/c/*.json"))


def test_a_loss_that_is_no_number_stops_with_step_batch_and_last_good_checkpoint(tmp_path: Path) -> None:
    loop = made(tmp_path, steps=6)
    step = loop._step

    def poisoned(number: int, *rest: Any) -> None:
        if number == 3:
            with torch.no_grad():
                loop.trained[0][10:20] = float("nan")
        step(number, *rest)

    loop._step = poisoned  # type: ignore[method-assign]
    with pytest.raises(
        PairmillError, match=r"^step 4: the loss is nan.*Batch: [ab] rows \d.*checkpoint is that of step 2"
    ):
        loop.run()


def test_fewer_batches_than_accumulate_are_refused() -> None:
    spec = tiny_models.spec()
    loop = tiny_models.loop(spec, tiny_models.encoder())
    loop.spec = spec.model_copy(update={"accumulate": 9})
    with pytest.raises(PairmillError, match="fewer than accumulate: 9"):
        loop.__post_init__()


@pytest.mark.parametrize("kind", ["mt5", "bert"])
def test_lora_trains_its_adapters_only(tmp_path: Path, kind: str) -> None:
    encoder = Encoder(add_lora(tiny_models.transformer(kind), Lora(rank=2)).double(), "mean", 0)
    before = {name: p.clone() for name, p in encoder.named_parameters()}
    loop = tiny_models.loop(tiny_models.spec(steps=2), encoder)
    loop.run()
    moved = {name for name, p in encoder.named_parameters() if not torch.equal(p, before[name])}
    assert moved and all("lora_" in name for name in moved)
    assert {n for n in loop.tensors() if n.startswith("encoder.")} == {f"encoder.{n}" for n in before if "lora_" in n}


def test_figures_go_to_tensorboard(tmp_path: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import RecordWriter  # noqa: F401  (the package that wrote the file)

    run = Run(open_storage(str(tmp_path)), "tiny-1", "a", 0)
    tracker, log = Tracker(run, "tiny"), tiny_models.Log()
    tiny_models.loop(tiny_models.spec(), tiny_models.encoder(), log=log, tracker=tracker).run()
    tracker.close()
    (file,) = tmp_path.glob("runs/tiny-1/tensorboard/events.*")
    values: dict[str, dict[int, float]] = {}
    data = file.read_bytes()
    while data:
        size = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + size])
        for value in event.summary.value:
            values.setdefault(value.tag, {})[event.step] = value.simple_value
        data = data[16 + size :]
    assert values["train/loss"] == pytest.approx(log.losses())
    assert sorted(values["held_out/a/accuracy"]) == [0, 4]
    assert set(values["loss/a"]) | set(values["loss/b"]) == {1, 2, 3, 4}
