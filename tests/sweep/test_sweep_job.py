"""Sweeps of real trainings: what is pruned, what fails, what goes on, and what trials share."""

from __future__ import annotations

import math
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("optuna", reason="needs the extra pairmill[sweep]")
pytest.importorskip("torch", reason="needs the extra pairmill[train]")

from sweepkit import attempts, ended_runs, run, spec, summary_of, table, told, training

import services
from catalogue_job import SPEC as CURATE
from corpus import catalogue_rows, write_jsonl
from pairmill.errors import PairmillError, SpecError
from pairmill.jobs import run_job
from pairmill.report.text import summarise
from pairmill.runs import browse, retention
from pairmill.runs.record import Run, read_events
from pairmill.runs.storage import open_storage
from pairmill.spec.load import loads
from pairmill.sweep.job import Sweep

RATES = {"optimizer.lr": {"choice": [1e-3, 1e30, 1e-6, 1e-2, 1e-7]}}
ASHA = {"by": "asha", "grace": 50, "reduction": 2}


@pytest.mark.long
@pytest.mark.usefixtures("local_ray")
def test_poor_trials_are_stopped_failed_ones_recorded_and_best_yaml_is_the_best_trial(tmp_path: Path) -> None:
    given = spec(tmp_path, space=RATES, search="grid", prune=ASHA)
    made = run(given, tmp_path / "store")
    rows = table(made)
    assert [row["number"] for row in rows] == list(range(5))
    assert rows[0]["state"] == "done" and rows[0]["steps"] == 600
    assert rows[1]["state"] == "failed" and "the loss is" in rows[1]["message"]
    assert rows[4]["state"] == "pruned" and rows[4]["steps"] < 600
    states = {row["number"]: browse.find(str(tmp_path / "store"), row["runs"][0]).record()["state"] for row in rows}
    assert states == {row["number"]: {"pruned": "stopped"}.get(row["state"], row["state"]) for row in rows}
    best = max((row for row in rows if row["state"] == "done"), key=lambda row: row["objective"])
    assert made.summary["best"] == best["number"] and made.exit_code == 0
    text = made.run.storage.get(made.run.path("best.yaml")).decode()
    for storage, known in ((tmp_path / "store", True), (tmp_path / "other", False)):
        alone = run_job(loads(text, "best.yaml"), str(storage), None, False, "", lambda line: None)
        (held_out,) = alone.summary["evaluations"][-1]["groups"].values()
        assert alone.already_done == known and alone.run.id == best["runs"][0]
        assert held_out["cosine"] == best["objective"]
    with pytest.raises(SpecError, match=f"{made.run.id} needs {best['runs'][0]}"):
        retention.planned(str(tmp_path / "store"), [best["runs"][0]])
    assert summarise(made.summary).splitlines()[1].startswith("  trials      5 trials: ")
    stopped = next(row for row in rows if row["state"] == "pruned")
    path = made.run.storage.get(Run(made.run.storage, stopped["runs"][0]).path("spec.yaml")).decode()
    resumed = run_job(loads(path, "spec.yaml"), str(tmp_path / "store"), None, False, "", lambda line: None)
    assert resumed.run.id == stopped["runs"][0] and resumed.summary["training"]["steps"] == 600


@pytest.mark.long
def test_a_sweep_whose_driver_is_killed_and_then_stopped_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    """SIGKILL while a trial trains; SIGTERM while a later one does; then to the end. No trial that ended runs again."""
    given = spec(tmp_path, space={"optimizer.lr": {"log_uniform": [1e-6, 1e-2]}}, trials=6, search="optuna", prune=ASHA)
    file, log = tmp_path / "sweep.yaml", tmp_path / "log"
    file.write_text(yaml.safe_dump(given))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert services.run_pairmill("run", str(file), "--storage", str(whole), timeout=900).code == 0
    ended: dict[str, int] = {}
    for outcomes, sent in ((2, signal.SIGKILL), (4, signal.SIGTERM)):
        driver = services.start_pairmill("run", str(file), "--storage", str(broken), log=log)
        wait_for(broken, outcomes, lambda driver=driver: driver.poll() is None, log)  # type: ignore[misc]
        ended = ended_runs(broken)
        os.kill(driver.pid, sent)
        assert driver.wait(200) == (-9 if sent == signal.SIGKILL else 130), log.read_text()
    last = services.run_pairmill("run", str(file), "--storage", str(broken), timeout=900)
    assert last.code == 0, last.output
    first, second = (summary_of(storage) for storage in (whole, broken))
    assert told(first) == told(second) and first["best"] == second["best"]
    now = attempts(broken)
    assert len(ended) >= 4 and {name: now[name] for name in ended} == ended


@pytest.mark.long
@pytest.mark.usefixtures("local_ray")
def test_a_trial_whose_actor_dies_before_it_takes_over_from_another_is_done(tmp_path: Path) -> None:
    """Ray Tune gives such a trial up, without trying it again."""
    given = spec(tmp_path, space={"optimizer.lr": {"choice": [1e-3, 1e-2, 1e-4]}}, search="grid")
    given["trial"]["steps"] = 20

    class Said(list[str]):
        def append(self, line: str) -> None:
            super().append(line)
            if line.startswith("trial 0:"):
                [actor] = services.processes(os.getpid(), "ray::Trial")
                actor.kill()

    made = run(given, tmp_path / "broken", said := Said())
    assert [line.split(":")[0] for line in said if "goes on" in line] == ["trial 1 goes on, its process or node died"]
    assert told(made.summary) == told(run(given, tmp_path / "whole").summary)
    assert [trial["state"] for trial in made.summary["trials"]] == ["done"] * 3


def wait_for(storage: Path, outcomes: int, alive: Any, log: Path) -> None:
    deadline = time.monotonic() + 600
    while not training(storage, outcomes):
        assert alive() and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@pytest.mark.long
@pytest.mark.usefixtures("local_ray")
def test_thresholds_share_annotations_and_duplicates_and_select_anew(tmp_path: Path) -> None:
    rows = write_jsonl(tmp_path / "rows.jsonl", catalogue_rows(("de",)))
    given = {
        "kind": "sweep",
        "name": "thresholds",
        "trial": yaml.safe_load(CURATE.format(path=rows)),
        "space": {"filters.rules.length_ratio": {"choice": [{"max": 1.2}, {"max": 2.0}, {"max": 3.0}]}},
        "search": "grid",
        "objective": {"metric": "ledger.total.kept"},
        "resources": {"cpus": 2},
    }
    made = run(given, tmp_path / "store")
    kept = [row["objective"] for row in table(made)]
    assert kept == sorted(kept) and kept[0] < kept[2]
    shared = []
    for number, row in enumerate(table(made)):
        events = read_events(Run(made.run.storage, row["runs"][0]))
        again = {event["stage"] for event in events if event["event"] == "unit committed"}
        assert ("select" in again) and (number == 0 or not again & {"annotate", "groups", "dedup"}), again
        shared.append(again)
    assert "annotate" in shared[0]


@pytest.mark.long
@pytest.mark.usefixtures("local_ray")
def test_variants_run_once_with_each_seed_and_claims_are_judged(tmp_path: Path) -> None:
    variants = {"plain": {}, "still": {"optimizer.lr": 1e-12}}
    claims = [
        {"text": "Training moves the pairs.", "better": "plain", "than": "still"},
        {"text": "By a lot.", "better": "plain", "than": "still", "by": 5.0},
    ]
    given = spec(tmp_path, variants=variants, seeds=[1, 2, 3], claims=claims)
    given["trial"]["steps"] = 20
    made = run(given, tmp_path / "store")
    rows = table(made)
    assert [row["name"] for row in rows] == ["plain", "still"]
    for row in rows:
        assert [one["seed"] for one in row["seeds"]] == [1, 2, 3] and len(set(row["runs"])) == 3
        assert row["objective"] == pytest.approx(sum(one["objective"] for one in row["seeds"]) / 3)
    first, second = made.summary["claims"]
    assert second["verdict"] == "not held" and len(first["seeds"]) == 3
    assert first["verdict"] in ("held", "open", "not held") and all(math.isfinite(end) for end in first["interval"])
    again = run(given, tmp_path / "store")
    assert again.already_done and again.summary["trials"] == made.summary["trials"]


@pytest.mark.long
@pytest.mark.usefixtures("local_ray")
def test_the_median_rule_stops_poor_trials_whatever_failed_before(tmp_path: Path) -> None:
    """The first trial fails before it has evaluated anything; three later ones are enough for a median."""
    given = spec(tmp_path, search="grid", prune={"by": "median", "grace": 50})
    given["space"] = {
        "model.path": {"choice": [str(tmp_path / "nowhere"), given["trial"]["model"]["path"]]},
        "optimizer.lr": {"choice": [1e-3, 1e-2, 1e-3 / 2, 1e-7]},
    }
    rows = table(run(given, tmp_path / "store"))
    assert [row["state"] for row in rows] == ["failed"] * 4 + ["done"] * 3 + ["pruned"]
    assert "nowhere" in rows[0]["message"] and 50 <= rows[7]["steps"] < 600


@pytest.mark.long
@pytest.mark.usefixtures("local_ray")
def test_two_trials_at_once_have_the_figures_of_one_after_the_other(tmp_path: Path) -> None:
    given = spec(tmp_path, space={"optimizer.lr": {"choice": [1e-3, 1e-2]}}, search="grid")
    given["trial"]["steps"] = 100
    found = {n: run(given | {"concurrency": n}, tmp_path / f"store-{n}") for n in (2, 1)}
    assert told(found[2].summary) == told(found[1].summary) and found[2].run.id == found[1].run.id
    runs = [browse.find(str(tmp_path / "store-2"), row["runs"][0]).record() for row in table(found[2])]
    assert all(one["started"] < other["finished"] for one, other in (runs, runs[::-1])), runs


@pytest.mark.long
@pytest.mark.usefixtures("local_ray")
def test_a_sweep_of_failed_trials_has_a_page_and_a_table_and_says_why(tmp_path: Path) -> None:
    given = spec(tmp_path, space={"model.path": {"choice": [str(tmp_path / "nowhere")]}}, search="grid")
    with pytest.raises(PairmillError, match="no trial was done. trial 0: model.path .*: failed: .*nowhere"):
        run(given, tmp_path / "store")
    (folder,) = (tmp_path / "store").glob("runs/rates-*")
    assert "no trial was done" in (folder / "report.html").read_text() and (folder / "trials.parquet").exists()


@pytest.mark.usefixtures("local_ray")
def test_a_sweep_is_another_one_when_a_file_that_only_a_variant_reads_has_changed(tmp_path: Path) -> None:
    given = spec(tmp_path, variants={"plain": {}, "other": {}})
    other = tmp_path / "other.parquet"
    other.write_bytes((tmp_path / "rows.parquet").read_bytes())
    given["variants"]["other"] = {"data.words.input.path": str(other)}

    def name() -> str:
        found = loads(yaml.safe_dump(given, sort_keys=False), "sweep.yaml")
        return Sweep(found, open_storage(str(tmp_path / "store")), "", lambda line: None).id

    before = name()
    assert name() == before
    os.utime(other, (1, 1))
    changed = name()
    given["variants"] = dict(reversed(given["variants"].items()))
    assert len({before, changed, name()}) == 3  # trials are numbered in the order of the variants


def test_gpu_hours_are_refused_where_no_training_reserves_a_gpu(tmp_path: Path) -> None:
    given = spec(tmp_path, space=RATES, budget={"gpu_hours": 1})
    with pytest.raises(SpecError, match="sweep.yaml:.*budget.gpu_hours: no training of the trial reserves a GPU"):
        run(given, tmp_path / "store")


@pytest.mark.long
@pytest.mark.usefixtures("local_ray")
def test_more_trials_at_once_than_have_room_are_refused_with_the_arithmetic(tmp_path: Path) -> None:
    given = spec(tmp_path, space=RATES, search="grid", concurrency=3)
    with pytest.raises(PairmillError, match="3 trials at once want 3 x 1 workers of 1 CPUs.*room for 2"):
        run(given, tmp_path / "store")
