"""The recipe `m-st5`."""

from __future__ import annotations

from pathlib import Path

import pytest
import recipekit

import tiny_models
from pairmill.jobs import run_job
from pairmill.spec.load import load, steps

RECIPE = recipekit.RECIPES / "m-st5"
FULL = recipekit.full("m-st5")
PIPELINES = [path for path in FULL if path.stem != "sweep"]


@pytest.mark.parametrize("path", FULL, ids=lambda path: path.stem)
def test_a_full_spec_validates_and_plans(path: Path, tmp_path: Path) -> None:
    plan = recipekit.planned(path, tmp_path)
    assert plan.figures


def test_the_settings_of_the_paper_stand_in_the_full_specs() -> None:
    for path in PIPELINES:
        spec = dict(steps(load(str(path))))["tune"].spec
        assert spec.model.path.startswith("google/mt5-") and spec.model.pooling == "mean"
        assert spec.model.lora.rank == 8 and spec.data[0].negatives == 1
        assert [(one.name, one.temperature) for one in spec.objective] == [("contrastive", 0.05)]


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_a_full_pipeline_runs_to_its_end_with_a_small_mt5_on_a_sample(
    path: Path, tmp_path: Path, shared_data: Path
) -> None:
    """The same specs: other places of data and model, two steps of training, one task."""
    tiny_models.save(tmp_path / "model", kind="mt5")
    files = {"xnli": "nli/xnli.parquet", "snli": "nli/snli.parquet", "mnli": "nli/snli.parquet"}
    sets = [f"steps.tune.spec.model.path={tmp_path / 'model'}", "steps.tune.spec.model.max_length=32"]
    for given in dict(steps(load(str(path))))["nli"].spec.inputs:
        place, where = f"steps.nli.spec.inputs.{given.name}", {"split": ["dev"]}
        if given.name == "xnli":
            where |= {"lang": ["en", "sw", "zh"], "align_id": {"below": "xnli-dev-0300"}}
        sets += [f"{place}.path={shared_data / files[given.name]}", f"{place}.format=parquet"]
        sets.append(recipekit.set_to(f"{place}.where", where))
    sets += _small(tmp_path, shared_data)
    made = run_job(load(str(path), sets), str(tmp_path / "store"), None, False, "pairmill run", lambda line: None)
    assert made.exit_code == 0
    tuned, evaluated = (step["summary"] for step in made.summary["steps"][1:])
    assert tuned["training"]["steps"] == 2
    kept = [name for name in tuned["evaluations"][-1]["groups"] if name.startswith("retention/")]
    assert sorted(kept) == ["retention/fr-en", "retention/ur-en"]
    assert [task["name"] for task in evaluated["tasks"]] == ["tiny"]


def _small(folder: Path, data: Path) -> list[str]:
    """Assignments that make the tuning small and its evaluation local."""
    retention = {
        "format": "parquet",
        "path": str(data / "bitext/quran.parquet"),
        "columns": {"anchor": "src", "positive": "tgt", "anchor_lang": "src_lang", "positive_lang": "tgt_lang"},
        "where": {"src_lang": ["fr", "ur"], "pair_id": {"min": "quran:1:", "below": "quran:20:"}},
    }
    return [
        recipekit.set_to("steps.tune.spec.data.retention.input", retention),
        "steps.tune.spec.data.nli.holdout=20",
        "steps.tune.spec.epochs=null",
        "steps.tune.spec.steps=2",
        "steps.tune.spec.batch_size=16",
        "steps.tune.spec.precision=fp32",
        "steps.tune.spec.resources={}",
        recipekit.set_to("steps.evaluate.spec.tasks", [recipekit.sts_task(folder)]),
        "steps.evaluate.spec.resources={}",
        "steps.evaluate.spec.precision=fp32",
    ]


@pytest.mark.parametrize("name", ["laptop", "scratch"])
def test_a_small_pipeline_trains_on_dev_items_that_are_not_held_out(name: str) -> None:
    spec = dict(steps(load(str(RECIPE / f"{name}.yaml"))))["tune"].spec
    entries = {entry.name: entry for entry in spec.data if entry.input and entry.input.builder}
    assert all(entry.input.where["split"] == ["dev"] for entry in entries.values())
    held = entries["nli"].input.where["align_id"]
    assert entries["cross"].input.where["align_id"].below == held.min
    assert not {"nli", "bitext"} & spec.mixing.schedule[0].weights.keys()


@pytest.mark.parametrize(("name", "varied"), [("claims", "lora.rank"), ("sweep", "lora.rank"), ("size", "hidden_size")])
def test_claims_and_sweeps_of_rank_and_size_are_valid(name: str, varied: str) -> None:
    sweep = load(str(RECIPE / f"{name}.yaml")).spec
    paths = [*sweep.space, *(path for variant in sweep.variants.values() for path in variant)]
    assert any(varied in path for path in paths)
