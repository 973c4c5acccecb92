"""The recipe `new-language`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import recipekit

import tiny_models
from pairmill.evaluate.compare import compare
from pairmill.jobs import run_job
from pairmill.runs.browse import find
from pairmill.spec.load import load, steps
from pairmill.spec.trials import trial_document

RECIPE = recipekit.RECIPES / "new-language"
FULL = recipekit.full("new-language")


@pytest.mark.parametrize("path", FULL, ids=lambda path: path.stem)
def test_a_full_spec_validates_and_plans(path: Path, tmp_path: Path) -> None:
    plan = recipekit.planned(path, tmp_path)
    assert [step.kind for step in plan.steps] == [part.spec.kind for _, part in steps(load(str(path)))]
    assert all(figure.value > 0 for step in plan.steps for figure in step.figures if figure.unit == "CPU-s")


def test_the_plan_counts_the_texts_that_a_map_is_fitted_on(tmp_path: Path) -> None:
    untouched, *mapped = recipekit.planned(RECIPE / "full/maps.yaml", tmp_path).steps[1:]
    for step in mapped:
        assert step.figures[0].value == untouched.figures[0].value + 400_000


def test_the_specs_of_the_folder_share_one_curate_run() -> None:
    documents = [json.dumps(next(iter(dict(steps(load(str(path)))).values())).public) for path in FULL]
    assert len(set(documents)) == 1


@pytest.mark.usefixtures("local_ray")
def test_the_first_step_of_the_full_pipelines_curates_a_sample(tmp_path: Path) -> None:
    for path in FULL:
        evaluation = recipekit.set_to("steps.curate.spec.decontaminate", None)
        ledger = recipekit.begun(path, tmp_path, [evaluation])["ledger"]["total"]
        assert ledger["kept"] > 10 and not ledger["quarantine"]


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("path", FULL, ids=lambda path: path.stem)
def test_a_full_pipeline_runs_to_its_end_with_a_small_model_on_a_sample(path: Path, tmp_path: Path) -> None:
    """The same specs: other places of data and model, two steps of training, one task."""
    tiny_models.save(tmp_path / "model")
    model = {"path": str(tmp_path / "model"), "prompts": {"query": "query: ", "passage": "passage: "}, "max_length": 32}
    task = recipekit.sts_task(tmp_path)
    sets = [*recipekit.samples(path, tmp_path), recipekit.set_to("steps.curate.spec.decontaminate", None)]
    for name, part in steps(load(str(path))):
        spec = f"steps.{name}.spec"
        if part.spec.kind == "evaluate":
            sets += [recipekit.set_to(f"{spec}.tasks", [task]), f"{spec}.resources={{}}"]
        if part.spec.kind == "evaluate" and not part.spec.model.run:
            sets.append(recipekit.set_to(f"{spec}.model", model))
        if part.spec.kind == "train":
            more = {key: value for key, value in extension(part.spec.model).items() if value}
            sets += [recipekit.set_to(f"{spec}.model", {**model, **more}), f"{spec}.data.translations.holdout=5"]
            sets += [f"{spec}.batch_size=8", f"{spec}.steps=2", f"{spec}.precision=fp32", f"{spec}.resources={{}}"]
            sets.append(f"{spec}.evaluate={{}}")
    made = run_job(load(str(path), sets), str(tmp_path / "store"), None, False, "", lambda line: None)
    told = {step["name"]: step["summary"] for step in made.summary["steps"]}
    assert made.exit_code == 0 and set(told) == {name for name, _ in steps(load(str(path)))}
    for name in ("procrustes", "ridge", "mlp"):
        if name in told:
            assert told[name]["map"]["method"] == name and told[name]["map"]["pairs"] > 10


def extension(model: Any) -> dict[str, Any]:
    wanted = model.extend_vocabulary
    return {"extend_vocabulary": {**wanted.model_dump(mode="json"), "tokens": 20} if wanted else None}


@pytest.mark.parametrize("name", ["claims", "insertion"])
def test_every_variant_is_a_trial_of_its_own_that_a_claim_is_about(name: str) -> None:
    loaded = load(str(RECIPE / f"{name}.yaml"))
    named = {side for claim in loaded.spec.claims for side in (claim.better, claim.than)}
    assert named == set(loaded.spec.variants)
    trials = [json.dumps(trial_document(loaded.document, one).data) for one in loaded.spec.variants.values()]
    assert len(set(trials)) == len(trials)


@pytest.mark.parametrize("name", ["laptop", "insertion"])
def test_what_is_evaluated_on_is_not_trained_on(name: str) -> None:
    recipekit.check_splits(RECIPE / f"{name}.yaml")


@pytest.mark.long
@pytest.mark.usefixtures("local_ray")
def test_the_laptop_recipe_learns_german_that_it_never_saw_and_beats_a_map(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAIRMILL_DATA", str(shared_data))
    store = str(tmp_path / "store")
    made = run_job(load(str(RECIPE / "laptop.yaml")), store, None, False, "", lambda line: None)
    runs = {step["name"]: find(store, step["run"]) for step in made.summary["steps"]}
    for before, after in (("before", "map"), ("before", "evaluate"), ("map", "evaluate")):
        lines = {line["task"]: line for line in compare(runs[before], runs[after], 2000)["lines"]}
        assert lines["tatoeba"]["interval"][0] > 0, (before, after)
    assert lines["english"]["b"] > 0.8
