"""The recipe `jina-bilingual`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import recipekit
import yaml

from pairmill.jobs import run_job
from pairmill.spec.load import load, loads, steps

RECIPE = recipekit.RECIPES / "jina-bilingual"
FULL = recipekit.full("jina-bilingual")
PAGES = {"english": "en-US", "german": "de", "chinese": "zh-CN"}


@pytest.mark.parametrize("path", FULL, ids=lambda path: path.stem)
def test_a_full_spec_validates_and_plans(path: Path, tmp_path: Path) -> None:
    plan = recipekit.planned(path, tmp_path)
    assert [step.kind for step in plan.steps][3:5] == ["tokenizer", "pretrain"]


def test_the_full_backbone_and_losses_are_those_of_the_paper() -> None:
    spec = dict(steps(load(str(RECIPE / "full/en-de.yaml"))))
    backbone, both_ways = spec["backbone"].spec, spec["contrastive"].spec.objective
    assert (backbone.model.max_length, backbone.model.architecture.max_positions) == (512, 8192)
    assert (backbone.masking.share, backbone.masking.whole_words) == (0.3, True)
    assert {entry.name: entry.weight for entry in backbone.data} == {"en": 1, "de": 1}
    assert [(one.directions, one.partition, one.temperature) for one in both_ways] == [
        (["a2p", "p2a"], "per_direction", 0.05)
    ]
    assert spec["multi-task"].spec.data[2].objective[0].name == "pearson"


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("path", FULL, ids=lambda path: path.stem)
def test_the_first_stage_of_a_full_pipeline_runs_on_a_sample(path: Path, tmp_path: Path, shared_data: Path) -> None:
    """Pages, tokenizer and masked words: the same steps with other places, sizes and numbers."""
    document = yaml.safe_load(path.read_text("utf-8"))
    document["steps"] = [step for step in document["steps"] if step["name"] in ("pages", "tokenizer", "backbone")]
    sets = ["steps.pages.spec.decontaminate=null"]
    for given in document["steps"][0]["spec"]["inputs"]:
        file = tmp_path / f"{given['name']}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in _pages(shared_data, PAGES[given["name"]])), "utf-8")
        sets.append(f"steps.pages.spec.inputs.{given['name']}.path={file}")
    sets += ["steps.tokenizer.spec.vocabulary=600", "steps.tokenizer.spec.sample=200KB"]
    sets += ["steps.tokenizer.spec.compare=null", "steps.tokenizer.spec.resources={}"]
    sets += [f"steps.backbone.spec.model.architecture.{key}" for key in ("hidden_size=32", "layers=1", "heads=4")]
    sets += [
        "steps.backbone.spec.model.max_length=64",
        "steps.backbone.spec.batch_size=8",
        "steps.backbone.spec.steps=2",
    ]
    sets += ["steps.backbone.spec.data.0.holdout=8", "steps.backbone.spec.data.1.holdout=8"]
    sets += ["steps.backbone.spec.precision=fp32", "steps.backbone.spec.resources={}", "steps.pages.spec.resources={}"]
    loaded = loads(yaml.safe_dump(document), path.name, sets)
    made = run_job(loaded, str(tmp_path / "store"), None, False, "pairmill run", lambda line: None)
    backbone = made.summary["steps"][-1]["summary"]
    assert backbone["training"]["steps"] == 2 and backbone["model"]["type"] == "alibi"


def _pages(data: Path, tag: str) -> list[dict[str, Any]]:
    """Real pages of a language, as a crawl has them."""
    table = pq.read_table(data / "web/documents.parquet")
    chosen = pc.and_(pc.equal(table["lang_declared"], tag), pc.equal(table["source"], "debian-installation-guide"))
    if not pc.any(chosen).as_py():
        chosen = pc.and_(pc.equal(table["lang_declared"], tag), pc.equal(table["source"], "libreoffice-help"))
    rows = table.filter(chosen).slice(0, 100).to_pylist()
    return [
        {
            "title": row["title"],
            "text": row["text"],
            "lang": tag[:2],
            "url": f"https://example.org/{row['url_or_path']}",
        }
        for row in rows
    ]


@pytest.mark.parametrize("name", ["laptop", "laptop-zh"])
def test_a_laptop_pipeline_learns_from_nothing_that_it_is_measured_on(name: str) -> None:
    learnt = [given for _, loaded in steps(load(str(RECIPE / f"{name}.yaml"))) for given in _inputs(loaded.spec)]
    splits = {given.path[0].rpartition("/")[2]: given.where.get("split") for given in learnt}
    assert splits["stsb_multi.parquet"] == ["train"] and splits["squad_pairs.parquet"] == ["dev"]
    assert splits["xnli.parquet"] == ["dev"] and not {"xquad.parquet", "tatoeba.parquet"} & set(splits)


def _inputs(spec: Any) -> Iterator[Any]:
    """What a job learns from: inputs of a curate spec, files of a training's entries."""
    if spec.kind == "curate":
        yield from spec.inputs
    elif spec.kind in ("train", "pretrain"):
        yield from (entry.input for entry in spec.data if entry.input is not None)


@pytest.mark.parametrize("name", ["claims", "sweep"])
def test_claims_and_ratios_are_checked_over_three_seeds(name: str) -> None:
    sweep = load(str(RECIPE / f"{name}.yaml")).spec
    assert len(sweep.seeds) >= 3 and len(sweep.claims) >= 4


def test_long_documents_are_consecutive_pages_without_the_paragraphs_asked_for(
    tmp_path: Path, shared_data: Path
) -> None:
    script, output = RECIPE / "long_documents.py", tmp_path / "long.parquet"
    command = [sys.executable, str(script), str(shared_data / "web/documents.parquet"), str(output)]
    subprocess.run(command, check=True, capture_output=True)
    rows = pq.read_table(output).to_pylist()
    documents = {row["document_id"]: row["document"] for row in rows}
    assert {row["lang"] for row in rows} == {"en", "de"} and len(documents) > 40
    assert max(map(len, documents.values())) > 32_000
    asked = [row for row in rows if row["query"] in documents[row["document_id"]]]
    assert len(asked) < 0.05 * len(rows)  # a paragraph that stands on two pages of a document
    assert sum(row["at"] > 2048 for row in rows) > len(rows) / 2  # beyond what 512 tokens reach
