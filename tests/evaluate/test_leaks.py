"""Leaks: evaluation texts in the kept rows of a training run's lineage are found, and scores given without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import taskkit

import tiny_models
from catalogue_job import curate
from corpus import catalogue_rows, write_jsonl
from pairmill.errors import SpecError
from pairmill.evaluate.lineage import learnt_from
from pairmill.jobs import run_job
from pairmill.pairs.kept import kept_files, read_kept
from pairmill.report import evaluate_page
from pairmill.spec.load import loads

pytest.importorskip("mteb", reason="needs the extra pairmill[evaluate]")

TRAIN = """
kind: train
name: tiny
model: {{path: "{model}", max_length: 32}}
data: [{{name: words, run: {run}}}]
batch_size: 8
steps: 1
resources: {{threads: 1, cpus: 2}}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Any:
    """A curate run of real catalogues, and a tiny model trained on it."""
    folder = tmp_path_factory.mktemp("leaks")
    write_jsonl(folder / "a.jsonl", catalogue_rows(("de",)))
    kept = curate(folder / "a.jsonl", folder / "store", "filters.preset=none", "dedup.near=off").run
    tiny_models.save(folder / "model")
    spec = loads(TRAIN.format(model=folder / "model", run=kept.id), "train.yaml")
    return folder, kept, run_job(spec, str(folder / "store"), None, False, "", lambda line: None).run


def kept_texts(run: Any, column: str) -> list[str]:
    kept = kept_files(run.storage.uri, run.id)
    return [
        text
        for file in kept.files
        for table in read_kept(kept.storage, file.path, [column])
        for text in table[column].to_pylist()
    ]


@pytest.fixture(scope="module")
def task(trained: Any) -> dict[str, Any]:
    """Forty pairs of which every fourth was learnt from, word for word or with a word changed."""
    folder, kept, _ = trained
    long = [text for text in dict.fromkeys(kept_texts(kept, "positive")) if 60 < len(text) < 200 and "%" not in text]
    first, second = taskkit.words(40, 5), taskkit.words(40, 6)
    for number in range(0, 40, 4):
        words = long[number].split()
        first[number] = long[number] if number % 8 else " ".join([*words[:-2], "quokka", *words[-1:]])
    table = {"sentence1": first, "sentence2": second, "score": [number % 6 for number in range(40)]}
    pq.write_table(pa.table(table), folder / "leaky.parquet")
    return {"name": "leaky", "type": "sts", "path": str(folder / "leaky.parquet")}


def test_texts_that_the_training_read_are_found_through_its_lineage(trained: Any, task: dict[str, Any]) -> None:
    folder, kept, model = trained
    done = taskkit.evaluate(
        folder, [task], folder / "store", model={"run": model.id, "max_length": 32}, leaks="on", inference="off"
    )
    told = done.summary["leaks"]
    assert told["runs"] == [kept.id] and told["not_looked_in"] == []
    (found,) = told["tasks"]
    assert found["found"] == 10 and found["texts"] == 80
    assert found["kinds"].get("exact", 0) >= 4 and set(found["kinds"]) <= {"exact", "changed", "inside", "overlap"}
    assert {sample["run"] for sample in found["samples"]} == {kept.id}
    subset = done.summary["tasks"][0]["dims"]["full"]["subsets"]["default"]
    assert subset["without_leaks"]["rows"] == 30
    assert subset["without_leaks"]["value"] != subset["scores"]["cosine_spearman"]["value"]
    assert kept.id in (done.run.record() or {})["parents"]
    page = evaluate_page.render(done.summary)
    assert "quokka" in page and "without" in page


def test_texts_that_nobody_learnt_are_no_leaks(trained: Any) -> None:
    folder, _, model = trained
    clean = taskkit.write_tasks(folder / "clean")[:1]
    done = taskkit.evaluate(folder / "model", clean, folder / "store", leaks={"runs": model.id}, inference="off")
    assert [one["found"] for one in done.summary["leaks"]["tasks"]] == [0]
    assert "without_leaks" not in done.summary["tasks"][0]["dims"]["full"]["subsets"]["de"]


def test_lineage_names_files_it_did_not_look_in_and_refuses_unknown_runs(trained: Any, tmp_path: Path) -> None:
    folder, kept, model = trained
    learnt, others = learnt_from(str(folder / "store"), [model.id, kept.id])
    assert [one.kept.id for one in learnt] == [kept.id] and others == []
    with pytest.raises(SpecError, match="no run here"):
        learnt_from(str(folder / "store"), ["nothing"])
