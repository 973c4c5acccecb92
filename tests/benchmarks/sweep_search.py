"""What a search finds, what pruning saves, and whether a killed sweep is the same sweep.

    python tests/benchmarks/sweep_search.py FOLDER [--trials 24] [--steps 1500] [--seeds 11 12 ...] [--json FILE]

A small BERT of letters (32 wide, two layers) learns German from Django's catalogues; the search draws temperature,
learning rate, batch size and weight decay, by the accuracy on held-out rows. Its parts, each in FOLDER, where a
second call finds it done:

1. `asha`: TPE with ASHA, unbroken.
2. `fresh`: the best values against the defaults on fresh seeds, on other rows than the search saw.
3. `killed`: the same sweep as 1, its driver killed (SIGKILL) when ten trials have ended and another one trains, then
   resumed; the trials must be those of 1, and no trial that had ended is worked on again.
4. `full`: the trials of 1 in full, in its storage, so that each goes on where it was stopped: what the search would
   have cost without pruning, in steps and in CPU-seconds of training.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / place) for place in ("platform", "tests", "tests/sweep")]

import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import sweepkit  # noqa: E402
import yaml  # noqa: E402

import tiny_models  # noqa: E402
from corpus import catalogue_rows  # noqa: E402
from pairmill.runs import browse  # noqa: E402
from pairmill.runs.record import Run  # noqa: E402
from pairmill.runs.units import digest  # noqa: E402
from pairmill.sweep import figures  # noqa: E402

Json = dict[str, Any]
KILLED_AFTER = 10
SPACE = {
    "objective.temperature": {"log_uniform": [0.005, 0.5]},
    "optimizer.lr": {"log_uniform": [1e-5, 3e-2]},
    "optimizer.weight_decay": {"choice": [0.0, 0.01, 0.1]},
    "batch_size": {"choice": [16, 32, 64]},
}


def inputs(folder: Path) -> None:
    """The model, and German catalogue pairs by the hash of their English side: for the search, and for the end."""
    if (folder / "test.parquet").exists():
        return
    tiny_models.save(folder / "model")
    parts: dict[str, list[tuple[str, str]]] = {"search": [], "test": []}
    for source, target in sorted({(source, target) for source, target, _ in catalogue_rows(("de",))}):
        if 4 <= len(source) <= 38 and 4 <= len(target) <= 38 and source != target:
            parts["test" if int(digest(source, 4), 16) % 4 == 0 else "search"].append((source, target))
    for name, rows in parts.items():
        table = pa.table({"src": [one for one, _ in rows], "tgt": [other for _, other in rows]})
        pq.write_table(table, folder / f"{name}.parquet")


def training(folder: Path, steps: int) -> Json:
    files = {
        "format": "parquet",
        "path": str(folder / "search.parquet"),
        "columns": {"anchor": "src", "positive": "tgt"},
    }
    return {
        "kind": "train",
        "name": "letters",
        "model": {"path": str(folder / "model"), "max_length": 40},
        "data": [{"name": "words", "input": files, "holdout": 200}],
        "objective": {"name": "contrastive", "directions": ["a2p", "p2a"], "partition": "per_direction"},
        "batch_size": 64,
        "steps": steps,
        "evaluate": {"steps": steps // 30},
        "checkpoints": {"minutes": None},
        "resources": {"threads": 1},
    }


def sweep(folder: Path, trials: int, steps: int, prune: bool) -> Json:
    pruning = {"prune": {"by": "asha", "grace": steps // 15, "reduction": 3}} if prune else {}
    given = {"kind": "sweep", "name": "letters-search", "trial": training(folder, steps), "space": SPACE}
    return {**given, "objective": {"held_out": "accuracy"}, "search": "optuna", "trials": trials, **pruning}


def started(given: Json, folder: Path, storage: Path) -> subprocess.Popen[bytes]:
    file = folder / f"{given['name']}-{digest(given, 6)}.yaml"
    file.write_text(yaml.safe_dump(given, sort_keys=False))
    command = [sys.executable, "-m", "pairmill", "run", str(file), "--storage", str(storage)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT / "platform")})


def done(given: Json, folder: Path, storage: Path) -> Json:
    """The summary of a sweep that is run to its end."""
    begun = time.monotonic()
    assert started(given, folder, storage).wait() == 0
    print(f"{given['name']} in {storage.name}: {time.monotonic() - begun:.0f} s", flush=True)
    return sweepkit.summary_of(storage, given["name"])


def killed(given: Json, folder: Path, storage: Path) -> Json:
    """Kill the driver in its eleventh trial, resume; what was worked on again."""
    driver = started(given, folder, storage)
    while not sweepkit.training(storage, KILLED_AFTER, given["name"]):
        assert driver.poll() is None, "the sweep ended before it could be killed"
        time.sleep(0.1)
    before = sweepkit.ended_runs(storage, given["name"])
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    summary = done(given, folder, storage)
    after = sweepkit.attempts(storage)
    return {"summary": summary, "ended": len(before), "again": [run for run in before if after[run] != before[run]]}


def full(given: Json, summary: Json, folder: Path, storage: Path) -> Json:
    """The costs of the same trials without pruning: each goes on to its end in the storage."""
    points = {str(trial["number"]): trial["values"] for trial in summary["trials"]}
    keys = {"kind": "sweep", "name": "letters-full", "trial": given["trial"], "variants": points}
    return done({**keys, "objective": given["objective"]}, folder, storage)


def fresh(given: Json, summary: Json, folder: Path, storage: Path, seeds: list[int]) -> Json:
    """The best values against the defaults, on rows of their own."""
    best = next(trial["values"] for trial in summary["trials"] if trial["number"] == summary["best"])
    train = {key: value for key, value in given["trial"].items() if key != "name"}
    task = {"name": "test", "type": "bitext", "path": str(folder / "test.parquet"), "metric": "accuracy"}
    columns = {"columns": {"sentence1": "src", "sentence2": "tgt"}, "languages": ["en", "de"]}
    evaluate = {"kind": "evaluate", "model": {"run": "${steps.train}"}, "tasks": [{**task, **columns}]}
    steps = [{"name": "train", "spec": train}, {"name": "evaluate", "spec": evaluate}]
    trial = {"kind": "pipeline", "name": "letters-fresh-trial", "steps": steps}
    variants = {"default": {}, "best": {f"steps.train.spec.{path}": value for path, value in best.items()}}
    claim = {"text": "The best of the search beats the defaults.", "better": "best", "than": "default"}
    keys = {"kind": "sweep", "name": "letters-fresh", "trial": trial, "variants": variants, "seeds": seeds}
    objective = {"metric": "tasks.test.main_score"}
    return done({**keys, "objective": objective, "claims": [claim]}, folder, storage)


def cost(storage: Path, runs: list[str]) -> Json:
    """Steps and CPU-seconds of trainings, all attempts."""
    opened = browse.find(str(storage), runs[0]).storage
    return figures.together(figures.cost(Run(opened, run)) for run in sorted(set(runs)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13, 14, 15])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    inputs(folder)
    told: Json = {"trials": options.trials, "steps": options.steps}

    def tell(**facts: Any) -> None:
        told.update(facts)
        print(json.dumps(facts), flush=True)
        if options.json:
            options.json.write_text(json.dumps(told, indent=1))

    given = sweep(folder, options.trials, options.steps, prune=True)
    first = done(given, folder, folder / "asha")
    runs = [run["run"] for trial in first["trials"] for run in trial["runs"] if run["run"]]
    pruned = cost(folder / "asha", runs)
    states = [trial["state"] for trial in first["trials"]]
    best = next(trial for trial in first["trials"] if trial["number"] == first["best"])
    about = {"number": best["number"], "objective": best["objective"], "values": best["values"]}
    tell(states={state: states.count(state) for state in sorted(set(states))}, best=about, asha=pruned)
    compared = fresh(given, first, folder, folder / "fresh", options.seeds)["claims"][0]
    tell(fresh={name: compared[name] for name in ("mean", "interval", "verdict", "seeds")})
    broken = killed(given, folder, folder / "killed")
    names = ("values", "state", "objective", "reports")
    pairs = zip(first["trials"], broken["summary"]["trials"], strict=True)
    same = [all(one[name] == other[name] for name in names) for one, other in pairs]
    equal = {"trials": sum(same), "best": broken["summary"]["best"] == first["best"]}
    tell(killed={"ended": broken["ended"], "worked_on_again": broken["again"], "equal": equal})
    full(given, first, folder, folder / "asha")
    whole = cost(folder / "asha", runs)
    tell(full=whole, share={name: round(pruned[name] / whole[name], 3) for name in ("steps_done", "cpu_seconds")})


if __name__ == "__main__":
    main()
