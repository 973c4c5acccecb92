"""Summaries of sweeps for the report's tests: a search, claims, and names that would act if they could."""

from __future__ import annotations

import math
import random
from typing import Any

from report_summaries import HOSTILE

Json = dict[str, Any]
SPACE: Json = {
    "objective.temperature": {"log_uniform": [0.01, 0.2]},
    "optimizer.lr": {"log_uniform": [1e-5, 1e-2]},
    "batch_size": {"choice": [16, 32, 64]},
    "model.lora": {"choice": [None, {"rank": 8}]},
    "model.lora.alpha": {"int": [8, 32], "step": 8, "when": {"model.lora": [{"rank": 8}]}},
}


def trial(number: int, values: Json, state: str, objective: float | None, **more: Any) -> Json:
    run = {"seed": None, "run": f"tiny-{number:012x}", "training": f"tiny-{number:012x}"}
    if objective is not None:
        run["figures"] = {"objective": objective}
    told = {"number": number, "name": str(number), "values": values, "state": state, "objective": objective}
    rest = {"held_out": objective, "message": None, "runs": [run], "reports": [], "steps": 400, "cpu_seconds": 12.5}
    return {**told, **rest, "trainings": {}, "ended": 30.0 * number, **more}


def search() -> Json:
    """24 trials: some stopped early, two failed; the last value is drawn only beside another."""
    draw, trials = random.Random(0), []
    for number in range(24):
        lora = draw.choice(SPACE["model.lora"]["choice"])
        values = {
            "objective.temperature": 0.01 * 20 ** draw.random(),
            "optimizer.lr": 1e-5 * 1000 ** draw.random(),
            "batch_size": draw.choice([16, 32, 64]),
            "model.lora": lora,
            **({"model.lora.alpha": draw.randrange(8, 40, 8)} if lora else {}),
        }
        score = 0.8 - 0.05 * abs(math.log10(values["optimizer.lr"]) + 3) + 0.01 * draw.random()
        reports = [[step, score * (1 - 0.5 ** (step / 40))] for step in range(40, 400, 40)]
        if number in (3, 11):
            failed = {"message": "step 41: the loss is nan: training cannot go on.", "steps": 41, "held_out": None}
            trials.append(trial(number, values, "failed", None, **failed))
        elif number % 3 == 1:
            seen = {"reports": reports[:3], "held_out": reports[2][1], "steps": 131}
            trials.append(trial(number, values, "pruned", None, **seen))
        else:
            trials.append(trial(number, values, "done", score, reports=reports))
    done = [one for one in trials if one["state"] == "done"]
    return {
        "run": {
            "id": "lr-000000000000",
            "name": "lr",
            "kind": "sweep",
            "state": "done",
            "seconds": 700,
            "storage": "s",
        },
        "spec": "kind: sweep\n",
        "command": "pairmill run lr.yaml",
        "objective": {"metric": None, "held_out": "accuracy", "step": None, "mode": "max"},
        "search": "random",
        "space": SPACE,
        "prune": {"by": "asha", "grace": 40, "reduction": 3},
        "trials": trials,
        "best": max(done, key=lambda one: one["objective"])["number"],
        "best_spec": "kind: train\noptimizer: {lr: 1.0e-3}\n",
        "importance": {"optimizer.lr": 0.7, "objective.temperature": 0.2, "batch_size": 0.1},
        "cost": {"steps": 7000, "cpu_seconds": 250.5, "seconds": 300.0},
        "spent": None,
        "claims": [],
        "expectations": [],
    }


def claims(better: str = "pearson", than: str = "mse") -> Json:
    """Two variants with three seeds and three claims, one of each verdict."""
    rows = {"difference": 0.02, "interval": [0.01, 0.03], "p": 0.001}
    seeds = [{"seed": n, "better": 0.8, "than": 0.78, "difference": 0.02, "rows": rows} for n in (1, 2, 3)]
    about = {"better": better, "than": than, "metric": "tasks.stsb.main_score", "step": "evaluate", "mode": "max"}
    one = {**about, "text": f"{better} beats {than}", "by": 0.0, "seeds": seeds, "mean": 0.02, "interval": [0.01, 0.03]}
    told = [
        {**one, "verdict": "held"},
        {**one, "text": "by a lot", "by": 0.1, "mean": 0.02, "interval": [0.01, 0.03], "verdict": "not held"},
        {**one, "text": "in training", "by": -0.01, "seeds": [], "mean": None, "interval": None, "verdict": "open"},
    ]
    runs = [{"seed": n, "run": f"p-{n:012x}", "figures": {"objective": 0.8}} for n in (1, 2, 3)]
    trials = [trial(n, {}, "done", 0.8 - n / 50, name=name, runs=runs) for n, name in enumerate((better, than))]
    return {
        **search(),
        "search": "variants",
        "space": {},
        "trials": trials,
        "claims": told,
        "best": 0,
        "importance": None,
    }


def hostile() -> Json:
    made = search()
    names = {path: f"{HOSTILE[number]}{number}" for number, path in enumerate(SPACE)}
    made["space"] = {names[path]: draw for path, draw in SPACE.items()}
    for one in made["trials"]:
        one["values"] = {names[path]: value for path, value in one["values"].items()}
        one["message"] = HOSTILE[one["number"] % len(HOSTILE)]
    shares = {names[path]: share for path, share in made["importance"].items()}
    told = [{**one, "text": HOSTILE[0]} for one in claims(*HOSTILE[1:3])["claims"]]
    spec = "\n".join(HOSTILE)
    return {**made, "importance": shares, "claims": told, "best_spec": spec, "objective": {"metric": HOSTILE[3]}}
