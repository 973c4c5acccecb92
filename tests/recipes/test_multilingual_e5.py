"""The recipe `multilingual-e5`; its first stage is jobs/scale/multilingual-e5.yaml."""

from __future__ import annotations

import json

import pytest
import recipekit

from pairmill.jobs import run_job
from pairmill.spec.load import load
from reading import table
from services import ROOT

RECIPE = recipekit.RECIPES / "multilingual-e5"
PRETRAIN = ROOT / "jobs/scale/multilingual-e5.yaml"
FULL = [PRETRAIN, *recipekit.full("multilingual-e5")]
TASK = "Given a search query, retrieve the passage that answers it"
GOOD = [
    ("Wie lange haltbar ist geöffnete Milch?", "Geöffnete Milch bleibt im Kühlschrank drei bis vier Tage frisch, wenn "
     "sie gut verschlossen ist und kalt genug steht. Danach sollte man vor dem Trinken an ihr riechen.", "de"),
    ("Why does bread rise in the oven?", "Yeast makes gas from the sugar of the dough, and the gas expands with the "
     "heat, so the loaf grows until the crust is firm and the yeast has died.", "en"),
    ("¿Cuándo se podan los rosales?", "Los rosales se podan al final del invierno, cuando ya no hay heladas fuertes, "
     "justo antes de que empiecen a brotar las yemas nuevas.", "es"),
]  # fmt: skip
TRAININGS = ("first", "pretrain", "finetune")
TASKS = ["tatoeba", "xquad", "stsb"]


@pytest.mark.parametrize("path", FULL, ids=lambda path: path.stem)
def test_a_full_spec_validates_and_plans(path, tmp_path):
    plan = recipekit.planned(path, tmp_path)
    assert plan.stages or plan.steps


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("path", [PRETRAIN, RECIPE / "full/finetune.yaml"], ids=lambda path: path.stem)
def test_the_first_step_of_a_full_pipeline_curates_a_sample_of_every_source(path, tmp_path):
    # of a page the preset `web` asks for 50 words, which no message of a catalogue has; samples are alike
    changes = {"filters": {"preset": "none"}, "dedup": {"near": "off"}, "resources": {}}
    sets = [recipekit.set_to(f"steps.curate.spec.{key}", value) for key, value in changes.items()]
    by_input = recipekit.begun(path, tmp_path, sets)["ledger"]["by_input"]
    assert min(ledger["kept"] for ledger in by_input.values()) > 10


def written(query: str, document: str, lang: str, **more: str) -> dict[str, str]:
    return {"task": TASK, "user_query": query, "positive_document": document, "language": lang, **more}


@pytest.mark.usefixtures("local_ray")
def test_synthetic_examples_are_kept_with_their_instruction_and_the_usual_faults_of_generators_are_not(tmp_path):
    refusal = "I am sorry, but as a language model I cannot help you with this request today."
    query, document, lang = GOOD[0]
    faults = [
        written(query, document, lang),  # the same again
        written("What is the tallest tree in the park?", refusal, "en"),
        written("echo echo echo echo echo", "again and again " * 40, "en"),
        written("Was ist das?", "Yes.", "de"),
        {"user_query": "no task", "positive_document": GOOD[1][1], "language": "en"},
    ]
    records = [written(*row, hard_negative_document="Something else entirely.") for row in GOOD] + faults
    (tmp_path / "synthetic.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records), "utf-8")
    (tmp_path / "refusals.txt").write_text(refusal + "\n", "utf-8")
    sets = [
        recipekit.set_to("steps.synthetic.spec.inputs.synthetic.path", str(tmp_path / "synthetic.jsonl")),
        recipekit.set_to("steps.synthetic.spec.exclude", [str(tmp_path / "refusals.txt")]),
        "steps.synthetic.spec.decontaminate=null",
        "steps.synthetic.spec.expect={}",
    ]
    found = recipekit.first(load(str(RECIPE / "full/instruct.yaml"), sets))
    made = run_job(found, str(tmp_path / "store"), None, False, "pairmill run", lambda line: None)
    total = made.summary["ledger"]["total"]
    assert total["no_pair"] == {"no_instruction": 1}
    assert total["rejected"] == {"exact_duplicate": 1, "excluded": 1, "repetition": 1, "min_chars": 1}
    kept = table(made.run, "kept").to_pylist()
    assert sorted(row["anchor"] for row in kept) == sorted(f"Instruct: {TASK}\nQuery: {row[0]}" for row in GOOD)
    assert all(row["negatives"] == ["Something else entirely."] for row in kept)


@pytest.mark.parametrize("name", ["laptop", "claims"])
def test_a_laptop_spec_validates_and_trains_on_no_test_split(name):
    recipekit.check_laptop(RECIPE / f"{name}.yaml")


@pytest.mark.long
@pytest.mark.usefixtures("local_ray")
def test_the_laptop_recipe_runs_from_start_to_end(tmp_path, monkeypatch, shared_data):
    monkeypatch.setenv("PAIRMILL_DATA", str(shared_data))
    recipekit.run_laptop("multilingual-e5", tmp_path, TRAININGS, TASKS)
