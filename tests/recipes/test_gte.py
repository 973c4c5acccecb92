"""The recipe `gte`."""

from __future__ import annotations

import pytest
import recipekit

from pairmill.spec.load import load, steps

RECIPE = recipekit.RECIPES / "gte"
FULL = recipekit.full("gte")
TRAININGS = ("pretrain", "finetune")
TASKS = ["xquad", "tatoeba", "stsb"]


@pytest.mark.parametrize("path", FULL, ids=lambda path: path.stem)
def test_a_full_spec_validates_and_plans(path, tmp_path):
    plan = recipekit.planned(path, tmp_path)
    assert plan.stages or plan.steps


def test_the_first_stage_has_33_sources_each_in_batches_of_its_own():
    spec = dict(steps(load(str(RECIPE / "full/pretrain.yaml"))))
    curate, train = spec["curate"].spec, spec["train"].spec
    assert [one.name for one in curate.inputs] == [entry.name for entry in train.data]
    assert len(train.data) == 33 and train.mixing.alpha == 0.5 and train.batch_size == 16384
    assert all(entry.sources == [entry.name] for entry in train.data)


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("name", ["pretrain", "finetune"])
def test_the_first_step_of_a_full_pipeline_curates_a_sample_of_every_source(name, tmp_path):
    by_input = recipekit.begun(RECIPE / f"full/{name}.yaml", tmp_path, [])["ledger"]["by_input"]
    assert min(ledger["kept"] for ledger in by_input.values()) > 10


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("name", ["beir", "code"])
def test_the_evaluation_lists_run_with_a_small_model_and_a_local_task(name, tmp_path):
    sets = [
        recipekit.set_to("model", recipekit.MODEL),
        recipekit.set_to("tasks", [recipekit.sts_task(tmp_path)]),
        "precision=fp32",
        "resources={}",
    ]
    assert [task["name"] for task in recipekit.begun(RECIPE / f"full/{name}.yaml", tmp_path, sets)["tasks"]] == ["tiny"]


@pytest.mark.parametrize("name", ["laptop", "trial"])
def test_a_laptop_spec_validates_and_trains_on_no_test_split(name):
    recipekit.check_laptop(RECIPE / f"{name}.yaml")


@pytest.mark.long
@pytest.mark.usefixtures("local_ray")
def test_the_laptop_recipe_runs_from_start_to_end(tmp_path, monkeypatch, shared_data):
    monkeypatch.setenv("PAIRMILL_DATA", str(shared_data))
    recipekit.run_laptop("gte", tmp_path, TRAININGS, TASKS)
