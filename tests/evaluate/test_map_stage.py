"""Maps in evaluate jobs: fitted on the pairs that training would draw, before the texts of one language alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import taskkit
import yaml

import tiny_models
from pairmill.errors import PairmillError, SpecError
from pairmill.evaluate import map_stage, subsets
from pairmill.report.text import summarise
from pairmill.runs.job import Outcome
from pairmill.runs.record import read_events
from pairmill.runs.storage import open_storage
from pairmill.spec.data import DataEntry
from pairmill.spec.evaluate import Task
from pairmill.spec.load import loads
from pairmill.spec.maps import Map
from pairmill.train.prepare import Options, prepare
from pairmill.train.reader import Reader

pytest.importorskip("mteb", reason="needs the extra pairmill[evaluate]")
CIPHER = str.maketrans("abcdefghij", "klmnopqrst")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Path:
    """A model, and a language that it does not know: German is English in other letters."""
    made = tmp_path_factory.mktemp("maps")
    tiny_models.save(made / "model")
    for name, texts in (("bitext", taskkit.words(900, 5)), ("test", taskkit.words(100, 6))):
        foreign = [text.translate(CIPHER) for text in texts]
        columns = {"lang": ["de"] * len(texts), "src": foreign, "tgt": texts, "score": np.linspace(0, 5, len(texts))}
        pq.write_table(pa.table(columns), made / f"{name}.parquet")
    return made


def given(folder: Path, **more: Any) -> dict[str, Any]:
    columns, langs = {"anchor": "src", "positive": "tgt"}, {"anchor": "de", "positive": "en"}
    bitext = {"format": "parquet", "path": str(folder / "bitext.parquet"), "columns": columns, "langs": langs}
    return {"method": "ridge", "language": "de", "input": bitext, **more}


def tasks(folder: Path) -> list[dict[str, Any]]:
    columns = {"sentence1": "src", "sentence2": "tgt"}
    rows = {"path": str(folder / "test.parquet"), "columns": columns, "by": "lang", "languages": ["en"]}
    english = {"sentence1": "tgt", "sentence2": "tgt", "score": "score"}
    alone = {"name": "english", "type": "sts", "path": rows["path"], "columns": english, "languages": ["en"]}
    return [{"name": "pairs", "type": "bitext", "metric": "accuracy", **rows}, {**alone, "metric": "cosine_pearson"}]


def evaluate(folder: Path, chosen: list[dict[str, Any]], **more: Any) -> Outcome:
    return taskkit.evaluate(folder / "model", chosen, folder / "store", inference="off", **more)


def accuracy(outcome: Outcome) -> float:
    found: float = outcome.summary["tasks"][0]["dims"]["full"]["mean"]["accuracy"]["value"]
    return found


@pytest.fixture(scope="module")
def plain(folder: Path) -> Outcome:
    return evaluate(folder, tasks(folder)[:1])


@pytest.mark.parametrize("method", ["procrustes", "ridge", "mlp"])
def test_a_map_finds_translations_that_the_model_alone_does_not(folder: Path, plain: Outcome, method: str) -> None:
    found = evaluate(folder, tasks(folder)[:1], map=given(folder, method=method))
    assert accuracy(found) > accuracy(plain) + 0.2
    before, behind = found.summary["map"]["cosine"]
    assert behind > before and found.summary["map"]["pairs"] == 900
    assert f"Texts in de go through a map ({method}) fitted on 900 pairs" in summarise(found.summary)


def test_only_subsets_in_the_language_are_evaluated_anew_and_pairs_are_encoded_once(folder: Path) -> None:
    text = {**tasks(folder)[1], "columns": {"sentence1": "tgt", "sentence2": "src", "score": "score"}}
    text |= {"name": "other", "languages": ["en", "fr"]}  # no German, whatever its texts are
    chosen = [tasks(folder)[0], text]
    evaluate(folder, chosen)
    found = evaluate(folder, chosen, map=given(folder, pairs=500))
    done = {e["event"] for e in read_events(found.run) if e.get("stage") == "evaluate" and "unit" in e["event"]}
    assert done == {"unit committed", "unit reused"}
    assert found.summary["encoding"]["texts"] == 0
    again = evaluate(folder, chosen, map=given(folder, pairs=400))
    assert again.run.id != found.run.id and again.summary["map"]["encoding"] == {
        "texts": 0,
        "reused": 800,
        "seconds": 0,
    }
    assert evaluate(folder, chosen, map=given(folder, pairs=400)).already_done


def test_more_pairs_include_fewer_and_are_those_that_training_draws(folder: Path, tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "store"))
    few, many = (
        map_stage.pairs(storage, Map.model_validate(given(folder, pairs=count, seed=3))) for count in (40, 200)
    )
    assert many[:40] == few and len(set(many)) == 200
    spec = Map.model_validate(given(folder))
    entry = DataEntry.model_validate({**spec.entry.model_dump(mode="json"), "limit": 200})

    def run_stage(name: str, work: Any, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [work({**item, "storage": storage.uri, "attempt": "a"}) for item in items]

    options = Options(max_length=32, seed=3)
    manifest = prepare(storage, [entry], str(folder / "model"), options, run_stage)
    (group,) = manifest["groups"]
    trained = Reader(storage, manifest).read(group["name"], np.arange(200))["anchor_id"]
    drawn = map_stage.text_ids(pa.array([foreign for foreign, _ in many], pa.large_string()))
    assert Counter(trained.tolist()) == Counter(drawn.tolist())


def test_a_text_of_both_languages_stays_as_it_is() -> None:
    spec = Map.model_validate({"method": "ridge", "language": "de", "run": "r"})
    rows = pa.table({"sentence1": ["Hallo", "Tom"], "sentence2": ["hello", "Tom"]})
    assert map_stage.texts_in(spec, ["de", "en"], {"rows": rows}) == {"Hallo"}
    assert map_stage.texts_in(spec, ["en", "de"], {"rows": rows}) == {"hello"}
    assert map_stage.texts_in(spec, ["de"], {"rows": rows}) == {"Hallo", "Tom", "hello"}
    queries = pa.table({"id": ["1"], "text": ["Frage"]})
    corpus = pa.table({"id": ["2", "3"], "title": ["", "Titel"], "text": ["Text ", "Text"]})
    parts = {"queries": queries, "corpus": corpus}
    assert map_stage.texts_in(spec, ["en", "de"], parts) == {"Text", "Titel Text"}
    assert map_stage.texts_in(spec, ["de", "en"], parts) == {"Frage"}
    lone = {"rows": pa.table({"text": ["a"]}), "train": pa.table({"text": ["b"]})}
    assert map_stage.texts_in(spec, ["de"], lone) == {"a", "b"}


def test_every_text_that_mteb_encodes_is_known_to_the_map(folder: Path, tmp_path: Path) -> None:
    """Of every type of task, titles and all: what the encoder sees are the texts of both sides."""
    from pairmill.evaluate.encoder import MtebEncoder
    from pairmill.evaluate.rows import evaluate as rows_of
    from pairmill.evaluate.tasks import SPLIT, local

    spec = Map.model_validate({"method": "ridge", "language": "de", "run": "r"})
    for told in taskkit.write_tasks(tmp_path):
        task = Task.model_validate({key: value for key, value in told.items() if key != "languages"})
        seen: set[str] = set()

        def encode(texts: Any, prompt: str | None, seen: set[str] = seen) -> np.ndarray:
            seen.update(texts)
            return np.array([[len(text), text.count("a"), text.count("b")] for text in texts], np.float32)

        (first, *_), _ = subsets.read(task)
        made = local(task, task.called, first.name, first.codes, first.parts, "1")
        rows_of(made, first.name, SPLIT, MtebEncoder(encode, (None, None), None, "1"))
        assert seen and seen <= map_stage.texts_in(spec, ["de"], first.parts), task.called


def test_what_cannot_be_mapped_is_refused_with_the_reason(folder: Path) -> None:
    with pytest.raises(SpecError, match="no task has texts in 'fi'; the tasks' languages: de, en"):
        evaluate(folder, tasks(folder), map=given(folder, language="fi"))
    with pytest.raises(PairmillError, match="0 pairs of de and fr .* a map needs 10"):
        evaluate(folder, tasks(folder), map=given(folder, to="fr"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"run": "x-1"}, "not both"),
        ({"sources": ["a"]}, "an `input` has none"),
        ({"to": "de"}, "language and to are both de"),
        ({"method": "procrustes", "towards": "identity"}, "`towards` is of method ridge, not of procrustes"),
        ({"hidden": 10}, "`hidden` is of method mlp, not of ridge"),
        ({"method": "mlp", "penalty": 1.0}, "`penalty` is of method ridge, not of mlp"),
        ({"method": "mlp", "center": False}, "an mlp has biases"),
        ({"method": "linear"}, "Allowed: 'procrustes', 'ridge' or 'mlp'"),
        ({"pairs": 3}, "not in"),
    ],
)
def test_a_map_that_cannot_be_is_refused(folder: Path, changes: dict[str, Any], told: str) -> None:
    spec = {"kind": "evaluate", "name": "e", "model": {"path": "m"}, "tasks": tasks(folder)}
    with pytest.raises(SpecError, match=r"e\.yaml:\d+: map") as error:
        loads(yaml.safe_dump({**spec, "map": given(folder, **changes)}), "e.yaml")
    assert told in str(error.value)
    with pytest.raises(SpecError, match="leave mteb's tasks out"):
        loads(yaml.safe_dump({**spec, "tasks": [{"mteb": "STS12"}], "map": given(folder)}), "e.yaml")
