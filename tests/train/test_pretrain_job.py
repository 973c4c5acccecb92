"""The pretrain job: from kept text to a model that other jobs start from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import yaml
from transformers import AutoModel, AutoModelForMaskedLM

import catalogue_job
from corpus import catalogue_rows, write_jsonl
from pairmill.errors import SpecError
from pairmill.jobs import run_job
from pairmill.model import places
from pairmill.model.loading import load as load_model
from pairmill.model.tokenizer import train
from pairmill.runs.job import Outcome
from pairmill.spec.load import loads, schema
from pairmill.spec.model import Place
from pairmill.spec.tokenizer import TokenizerSpec


class Done(NamedTuple):
    folder: Path
    storage: str
    spec: dict[str, Any]
    outcome: Outcome


def run(spec: dict[str, Any], storage: str) -> Outcome:
    return run_job(
        loads(yaml.safe_dump(spec), "p.yaml"), storage, None, False, "pairmill run p.yaml", lambda line: None
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Done:
    """A finished run, from a curate run's kept text."""
    folder = tmp_path_factory.mktemp("pretrain")
    storage = str(folder / "storage")
    rows = catalogue_rows(("de",))
    kept = catalogue_job.curate(write_jsonl(folder / "rows.jsonl", rows), Path(storage)).run.id
    made = {"kind": "tokenizer", "name": "t", "inputs": [{"run": "none"}], "vocabulary": 400}
    train([text for row in rows for text in row[:2]], TokenizerSpec.model_validate(made)).save_pretrained(
        folder / "tokenizer"
    )
    small = {"hidden_size": 64, "layers": 1, "heads": 4, "intermediate_size": 64, "dropout": 0.0}
    spec = {
        "kind": "pretrain",
        "name": "small",
        "model": {"architecture": {**small, "tokenizer": {"path": str(folder / "tokenizer")}}, "max_length": 32},
        "data": [{"name": "text", "run": kept, "holdout": 100}],
        "pack": "text",
        "batch_size": 64,
        "steps": 120,
        "optimizer": {"lr": 1e-2},
        "resources": {"threads": 1},
    }
    return Done(folder, storage, spec, run(spec, storage))


def test_the_model_learns_more_than_the_frequencies_of_tokens(done: Done) -> None:
    first, last = (evaluation["groups"]["text"] for evaluation in done.outcome.summary["evaluations"])
    assert last["rows"] == 100 and last["unigram_loss"] == first["unigram_loss"]
    assert last["loss"] < last["unigram_loss"] - 0.1 < first["loss"]
    assert last["accuracy"] > last["unigram_accuracy"]


def test_texts_are_accounted_for_and_the_lineage_names_the_kept_run(done: Done) -> None:
    counts = done.outcome.summary["data"]["text"]
    kept = done.outcome.summary["lineage"]["runs"][0]["kept"]
    assert counts["rows_in"] == counts["used"] + sum(counts["dropped"].values()) == 2 * kept
    sequences = counts["sequences"]
    assert sequences["made"] == counts["used"]
    assert sequences["made"] == sequences["used"] + sequences["held_out"] + sum(sequences["dropped"].values())
    assert done.outcome.summary["groups"][0]["rows"] == sequences["used"] and sequences["held_out"] == 100


def test_the_model_has_its_head_and_loads_without_it_too(done: Done) -> None:
    place = places.local(Place(run=done.outcome.run.id), done.storage)
    encoder = load_model(place).encoder
    full, told = AutoModelForMaskedLM.from_pretrained(place, output_loading_info=True)
    bare = AutoModel.from_pretrained(place)
    assert not told["missing_keys"] and not told["unexpected_keys"]
    ids = torch.tensor([[2, 50, 60, 3]])
    with torch.no_grad():
        expected = full.eval().encoder(ids).last_hidden_state
        torch.testing.assert_close(bare.eval()(ids).last_hidden_state, expected)
        torch.testing.assert_close(encoder.model.eval()(ids).last_hidden_state, expected)


def test_a_train_job_starts_from_the_pretrained_model(done: Done) -> None:
    spec = {
        "kind": "train",
        "name": "on-top",
        "model": {"run": done.outcome.run.id, "dropout": 0.0},
        "data": [{**done.spec["data"][0], "name": "pairs"}],
        "batch_size": 8,
        "steps": 1,
        "optimizer": {"lr": 1e-9},
        "resources": {"threads": 1},
    }
    outcome = run(spec, done.storage)
    assert done.outcome.run.id in outcome.run.record()["parents"]  # type: ignore[index]
    started, ended = (
        load_model(places.local(Place(run=name), done.storage)).encoder
        for name in (done.outcome.run.id, outcome.run.id)
    )
    for one, other in zip(started.parameters(), ended.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_a_finished_run_is_found_and_more_workers_are_the_same_run(done: Done) -> None:
    again = run({**done.spec, "resources": {"workers": 2}}, done.storage)
    assert again.already_done and again.run.id == done.outcome.run.id


@pytest.mark.usefixtures("local_ray")
def test_a_tokenizer_without_a_mask_token_is_refused_before_anything_is_prepared(tmp_path: Path, done: Done) -> None:
    folder = tmp_path / "unmasked"
    folder.mkdir()
    for file in (done.folder / "tokenizer").iterdir():
        (folder / file.name).write_text(file.read_text("utf-8").replace('"mask_token"', '"other_token"'), "utf-8")
    spec = {**done.spec, "model": {**done.spec["model"], "architecture": {"tokenizer": {"path": str(folder)}}}}
    spec["model"]["architecture"] |= {"hidden_size": 8, "layers": 1, "heads": 1}
    with pytest.raises(SpecError, match="has no mask token"):
        run(spec, done.storage)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"model": {"path": "m", "lora": "on"}}, "Adapters belong to kind: train"),
        ({"data": [{"name": "a", "run": "r", "negatives": 2}]}, "`negatives` is about pairs"),
        ({"data": [{"name": "a", "run": "r", "prompts": {"anchor": "q"}}]}, "`prompts` is about pairs"),
        ({"masking": {"replace": [0.8, 0.1, 0.2]}}, "three shares that sum to 1"),
        ({"masking": {"share": 1.0}}, r"masking.share: 1.0 is not in \(0, 1\)"),
        ({"sides": ["anchor", "anchor"]}, "anchor is named twice"),
        ({"evaluate": {"early_stopping": {"metric": "spearman"}}}, "found 'spearman'. Allowed: accuracy, loss"),
        ({"resources": {"fsdp": True}}, "every worker has the whole model"),
        ({"resources": {"workers": 3}}, "batch_size 64 cannot be divided among 3 workers"),
        ({"objective": "pearson"}, "objective: unknown key"),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_what_cannot_be_pretrained_is_refused_with_the_reason(changed: dict[str, Any], told: str) -> None:
    spec = {"kind": "pretrain", "name": "p", "model": {"path": "m"}, "data": [{"name": "a", "run": "r"}], "steps": 1}
    with pytest.raises(SpecError, match=told):
        loads(yaml.safe_dump({**spec, **changed}), "p.yaml")


def test_the_schema_of_entries_names_only_what_texts_have() -> None:
    told = json.loads(schema("pretrain"))["$defs"]["TextEntry"]["properties"]
    assert "holdout" in told and not {"negatives", "swap", "objective", "prompts"} & set(told)
