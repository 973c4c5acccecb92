"""What the next trial is: drawn by Optuna or listed, journalled, and replayed as if nothing had happened."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna", reason="needs the extra pairmill[sweep]")

from pairmill.runs.storage import open_storage
from pairmill.runs.units import Units
from pairmill.spec.load import loads
from pairmill.sweep import importance
from pairmill.sweep.journal import Journal
from pairmill.sweep.search import Replaying

SPEC = """kind: sweep
name: x
trial: {kind: train, model: {package: m}, data: [{name: a, run: r, holdout: 9}], steps: 100, evaluate: {steps: 20}}
space:
  optimizer.lr: {log_uniform: [1e-5, 1e-2]}
  model.lora: {choice: [null, {rank: 8}]}
  model.lora.alpha: {int: [8, 32], step: 8, when: {model.lora: [{rank: 8}]}}
objective: {held_out: accuracy}
trials: 12
"""


def opened(folder: Path, *sets: str) -> tuple[Journal, Replaying]:
    journal = Journal(Units(open_storage(str(folder)), "journal"))
    return journal, Replaying(loads(SPEC, "x", sets), journal, lambda: None, lambda entry: None, print)


def score(values: dict[str, Any]) -> float:
    return 1 - abs(math.log10(values["optimizer.lr"]) + 3) + 0.01 * values.get("model.lora.alpha", 0)


def search(folder: Path, *sets: str, killed_in: int | None = None, trials: int = 12) -> list[dict[str, Any]]:
    """Trials as Tune has them done, one after the other; of every three one is stopped and one fails."""
    journal, searcher = opened(folder, *sets)
    for number in range(trials):
        trial = f"tune-{number}"
        suggested = searcher.suggest(trial)
        assert suggested == {"number": number}
        value = score(journal.values(number))
        searcher.on_trial_result(trial, {"step": 20, "held_out": value / 2})
        if number == killed_in:
            break
        if number % 3 == 1:
            searcher.on_trial_complete(trial, {"step": 40, "held_out": 0.7 * value, "done": True})
        elif number % 3 == 2:
            failed = {"state": "failed", "message": "nan", "runs": [], "done": True}
            searcher.on_trial_complete(trial, failed)
        else:
            done = {"state": "done", "step": 80, "held_out": value, "objective": value, "runs": [], "done": True}
            searcher.on_trial_complete(trial, done)
    return [entry["values"] for entry in journal.all("suggestion")]


@pytest.mark.parametrize("sampler", ["random", "optuna"])
def test_a_search_that_is_killed_twice_draws_what_an_unbroken_one_draws(tmp_path: Path, sampler: str) -> None:
    whole = search(tmp_path / "whole", f"search={sampler}")
    search(tmp_path / "broken", f"search={sampler}", killed_in=4)
    search(tmp_path / "broken", f"search={sampler}", killed_in=7)
    assert search(tmp_path / "broken", f"search={sampler}") == whole
    assert len(whole) == 12 and len({str(values) for values in whole}) == 12
    first, second = (Journal(Units(open_storage(str(tmp_path / name)), "journal")) for name in ("whole", "broken"))
    told = [[{**entry, "seconds": 0} for entry in journal.entries] for journal in (first, second)]
    assert told[0] == told[1]


def test_a_value_with_a_condition_is_drawn_only_beside_it(tmp_path: Path) -> None:
    drawn = search(tmp_path)
    assert {("model.lora.alpha" in values) == (values["model.lora"] is not None) for values in drawn} == {True}
    assert {values["model.lora.alpha"] for values in drawn if values["model.lora"]} <= {8, 16, 24, 32}
    assert {str(values["model.lora"]) for values in drawn} == {"None", "{'rank': 8}"}


def test_the_optuna_search_learns_from_outcomes_and_the_random_one_does_not(tmp_path: Path) -> None:
    def mean(name: str) -> float:
        drawn = search(tmp_path / name, f"search={name}", "trials=60", trials=60)[30:]
        return sum(map(score, drawn)) / len(drawn)

    assert mean("optuna") > mean("random") + 0.3


def test_what_is_journalled_counts_whatever_is_said_later(tmp_path: Path) -> None:
    search(tmp_path, trials=3)
    journal, searcher = opened(tmp_path)
    for number in range(3):
        assert searcher.suggest(f"again-{number}") == {"number": number}
        searcher.on_trial_result(f"again-{number}", {"step": 60, "held_out": 9.0})
        searcher.on_trial_complete(f"again-{number}", {"step": 60, "held_out": 9.0})
    assert [entry["state"] for entry in journal.all("outcome")] == ["done", "pruned", "failed"]
    assert max(entry["held_out"] for entry in journal.all("report")) < 9


def test_an_interrupted_trial_has_no_outcome_and_an_actor_that_died_too_often_has(tmp_path: Path) -> None:
    journal, searcher = opened(tmp_path)
    searcher.suggest("a"), searcher.suggest("b")
    searcher.on_trial_complete("a", error=True)
    assert journal.outcome(0) is None
    searcher.died("a", 4, True, "it ran out of memory")
    searcher.stopping = True
    searcher.on_trial_complete("b", {"step": 20, "held_out": 0.1})
    assert journal.outcome(1) is None and searcher.suggest("c") == "FINISHED"
    failed = journal.outcome(0)
    assert failed is not None and failed["state"] == "failed"
    assert failed["result"]["message"] == "its process or node died 4 times, at last so: it ran out of memory"


def test_after_a_trial_that_was_given_up_too_early_there_are_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that the next one is suggested knowing its outcome, as if nothing had happened."""
    journal, searcher = opened(tmp_path)
    searcher.suggest("a"), searcher.suggest("b")
    searcher.died("a", 1, False, "its node is gone")
    assert not searcher.again
    searcher.on_trial_complete("b", error=True)
    searcher.died("b", 1, True, "its node is gone")
    assert searcher.again and searcher.suggest("c") == "FINISHED"
    assert journal.outcome(0) is None and journal.outcome(1) is None
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"trial {number} goes on, its process or node died: its node is gone" for number in (0, 1)]


def test_the_journal_keeps_references_to_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "/secret/place")
    journal, searcher = opened(tmp_path, "space={model.path: {choice: ['${env:PLACE}']}}", "trial.model={path: x}")
    assert searcher.suggest("a") == {"number": 0} and journal.values(0) == {"model.path": "${env:PLACE}"}


def test_no_trial_begins_when_the_budget_is_spent_and_attempts_add_up(tmp_path: Path) -> None:
    journal = Journal(Units(open_storage(str(tmp_path)), "journal"))
    journal.started -= 100
    spent = [None, "budget.hours"]
    searcher = Replaying(loads(SPEC, "x"), journal, lambda: spent.pop(0), lambda entry: None, print)
    assert [searcher.suggest("a"), searcher.suggest("b")] == [{"number": 0}, "FINISHED"]
    assert searcher.ended == "budget.hours"
    assert 100 <= Journal(Units(open_storage(str(tmp_path)), "journal")).seconds < 130


def test_importance_finds_the_value_that_matters(tmp_path: Path) -> None:
    spec = loads(SPEC, "x").spec
    drawn = search(tmp_path, "trials=40", trials=40)
    trials = [{"values": values, "state": "done", "objective": score(values)} for values in drawn]
    found = importance.of(spec, trials)
    assert found is not None and next(iter(found)) == "optimizer.lr" and found["optimizer.lr"] > 0.8
    assert sum(found.values()) == pytest.approx(1, abs=0.01) and "model.lora.alpha" not in found
    assert importance.of(spec, trials[:5]) is None
