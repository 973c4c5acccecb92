"""From files to subsets: no record is lost without a word, optional columns count, and mteb takes what comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import taskkit

from pairmill.errors import PairmillError, SourceError
from pairmill.evaluate import work
from pairmill.evaluate.subsets import Subset, content, read
from pairmill.spec.evaluate import EvaluateSpec, Task


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def only(**task: Any) -> tuple[Subset, dict[str, int]]:
    (subset,), left_out = read(Task.model_validate({"name": "task", **task}))
    return subset, left_out


@pytest.fixture(params=["jsonl", "parquet"])
def beir(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Three files as BEIR has them: queries without a judgement, documents with a title alone, grades down to 0."""
    ending = request.param
    queries = [{"id": name, "text": f"what is {name}"} for name in ("q1", "unasked", "q2")]
    corpus = [
        {"id": "d1", "title": "One", "text": "the first of all"},
        {"id": "d2", "title": "Two", "text": ""},
        {"id": "d3", "title": None, "text": "nothing at all"},
    ]
    qrels = [("q1", "d1", 2), ("q1", "d3", 0), ("q2", "d2", 1)]
    names = ("query_id", "document_id", "score")
    return {
        "type": "retrieval",
        "queries": {"path": write(tmp_path / f"queries.{ending}", queries)},
        "corpus": {"path": write(tmp_path / f"corpus.{ending}", corpus)},
        "qrels": {"path": write(tmp_path / f"qrels.{ending}", [dict(zip(names, row, strict=True)) for row in qrels])},
    }


def test_three_files_are_read_with_titles_and_grades_and_queries_nobody_judged_are_counted(
    beir: dict[str, Any],
) -> None:
    subset, left_out = only(**beir)
    assert subset.parts["queries"]["id"].to_pylist() == ["q1", "q2"] and left_out == {"without a document": 1}
    assert subset.parts["corpus"].select(["title", "text"]).to_pylist() == [
        {"title": "One", "text": "the first of all"},
        {"title": "Two", "text": ""},
        {"title": "", "text": "nothing at all"},
    ]
    assert subset.parts["qrels"]["score"].to_pylist() == [2, 0, 1]
    assert only(**beir, limit=2)[0].rows == 2


def test_mteb_evaluates_three_files(beir: dict[str, Any]) -> None:
    pytest.importorskip("mteb", reason="needs the extra pairmill[evaluate]")
    from pairmill.evaluate.encoder import MtebEncoder
    from pairmill.evaluate.rows import evaluate
    from pairmill.evaluate.tasks import SPLIT, local

    def encode(texts: Any, prompt: str | None) -> np.ndarray:
        """Two directions: about `first` and q1, or about `Two` and q2."""
        return np.array([[1, 0.1] if "first" in one or "q1" in one else [0.1, 1] for one in texts], np.float32)

    task = Task.model_validate({"name": "task", **beir})
    subset, _ = only(**beir)
    made = local(task, "task", subset.name, [], subset.parts, "1")
    found = evaluate(made, subset.name, SPLIT, MtebEncoder(encode, (None, None), None, "1"))
    assert found.rows is not None and found.rows["id"].to_pylist() == ["q1", "q2"]
    assert found.rows["recall_at_1"].to_pylist()[0] == 1.0 and found.rows["recall_at_10"].to_pylist() == [1.0, 1.0]


def test_what_is_an_answer_and_none_counts_as_an_answer(tmp_path: Path) -> None:
    rows = [
        {"query": "a", "positive": ["x", "y", "x"], "negative": ["y", "z", "z"]},
        {"query": "b", "positive": ["x"], "negative": ["x"]},
    ]
    subset, left_out = only(type="reranking", path=write(tmp_path / "r.jsonl", rows))
    assert subset.parts["qrels"]["score"].to_pylist() == [1, 1, 0] and left_out == {"without both kinds": 1}
    assert len(subset.parts["ranked"]) == 3


def test_ids_of_zero_and_missing_ones_are_ids(tmp_path: Path) -> None:
    rows = [{"query_id": 0, "query": "a", "document": "x"}, {"query_id": None, "query": "b", "document": "y"}]
    ids = (
        only(type="retrieval", path=write(tmp_path / "q.jsonl", rows), columns={"query_id": "query_id"})[0]
        .parts["queries"]["id"]
        .to_pylist()
    )
    assert ids[0] == "0" and len(ids[1]) == 32


@pytest.mark.parametrize(
    ("score", "told"), [(0.5, "0.5 is no whole number"), ("x", "'x' is no number"), (float("inf"), "inf is no number")]
)
def test_a_grade_that_is_none_is_refused(tmp_path: Path, score: Any, told: str) -> None:
    path = write(tmp_path / "q.parquet", [{"query": "a", "document": "x", "score": score}])
    with pytest.raises(SourceError, match=f"record 0: score {told}"):
        only(type="retrieval", path=path, columns={"score": "score"})


def test_a_column_that_nobody_has_is_refused_and_an_optional_one_is_read_where_it_is_named(tmp_path: Path) -> None:
    rows = [{"sentence1": "a", "sentence2": "b", "score": one, "id": "same"} for one in (1, 2)]
    path = write(tmp_path / "s.parquet", rows)
    assert only(type="sts", path=path)[0].parts["rows"]["id"].to_pylist() == ["0", "1"]
    assert only(type="sts", path=path, columns={"id": "id"})[0].parts["rows"]["id"].to_pylist() == ["same", "same"]
    with pytest.raises(SourceError, match="no record has the column 'sentence3'"):
        only(type="sts", path=path, columns={"sentence2": "sentence3"})
    with pytest.raises(SourceError, match="no record has the column 'name'"):
        only(type="sts", path=path, columns={"id": "name"})


def test_subsets_share_their_corpus_and_a_digest_is_of_all_that_a_table_holds(tmp_path: Path) -> None:
    corpus = [{"id": str(i), "text": f"text {i}"} for i in range(9000)]
    asked = [{"lang": lang, "query": f"{lang} {i}", "document_id": i} for lang in ("de", "en") for i in range(3)]
    paths = write(tmp_path / "asked.jsonl", asked), write(tmp_path / "corpus.jsonl", corpus)
    task = {"name": "t", "type": "retrieval", "path": paths[0], "by": "lang", "corpus": {"path": paths[1]}}
    (german, english), _ = read(Task.model_validate(task))
    table = german.parts["corpus"]
    assert table is english.parts["corpus"] and len(table) == 9000
    parts = [table.slice(0, 5000), table.slice(5000)]
    assert content(table) == content(pa.concat_tables(parts)) != content(table.slice(0, 8999))
    last = table.slice(0, 8999).to_pylist() + [{"id": "8999", "title": "", "text": "another"}]
    assert content(table) != content(pa.Table.from_pylist(last))


def test_repetitions_of_a_clustering_are_no_rows_that_leak() -> None:
    values = {"id": np.array(["0", "1", "2"]), "v_measure": np.array([0.2, 0.4, 0.6]), "length": np.zeros(3)}
    values["script"] = np.array(["Zyyy"] * 3)
    item = {"draws": 100, "leaked": {"de": ["1"]}}
    about = {"type": "Clustering", "main_score": "v_measure"}
    found = work._of_dims(item, about, {"de": values}, {"de": {"v_measure": 0.4}})
    assert "without_leaks" not in found["subsets"]["de"]
    found = work._of_dims(item, {**about, "type": "Other"}, {"de": values}, {"de": {"v_measure": 0.4}})
    assert found["subsets"]["de"]["without_leaks"] == {"rows": 2, "value": pytest.approx(0.4)}


def test_a_score_that_is_none_has_no_interval() -> None:
    values = {"id": np.array(["0", "1"]), "cosine": np.ones(2), "gold": np.arange(2.0), "length": np.ones(2)}
    values["script"] = np.array(["Latn"] * 2)
    about = {"type": "STS", "main_score": "cosine_spearman"}
    found = work._of_dims({"draws": 100, "leaked": {}}, about, {"de": values}, {"de": {"cosine_spearman": None}})
    assert found["mean"]["cosine_spearman"] == {"value": None, "interval": None}
    assert "NaN" not in json.dumps(found)


def test_a_model_that_changed_since_the_job_began_is_refused(tmp_path: Path) -> None:
    import tiny_models
    from pairmill.evaluate.model import open_engine
    from pairmill.model import places

    tiny_models.save(tmp_path / "model")
    tasks = taskkit.write_tasks(tmp_path / "data")[:1]
    given = {"kind": "evaluate", "name": "e", "model": {"path": str(tmp_path / "model")}, "tasks": tasks}
    spec = EvaluateSpec.model_validate(given)
    begun = places.identity(spec.model, ".")
    before = open_engine(spec, ".", begun).encode(["abc def"])
    tiny_models.save(tmp_path / "model", kind="electra")
    with pytest.raises(PairmillError, match="its files changed since this job began"):
        open_engine(spec, ".", begun + "0")
    after = open_engine(spec, ".", places.identity(spec.model, ".")).encode(["abc def"])
    assert not np.array_equal(before, after)


def test_translations_of_an_item_are_paired_both_ways_and_those_that_lack_are_not(tmp_path: Path) -> None:
    rows = [
        {"lang": lang, "row": row, "sentence1": f"{lang}1-{row}", "sentence2": f"{lang}2-{row}", "score": row}
        for row in range(5)
        for lang in ("de", "en", "fr")
        if (lang, row) != ("fr", 2)
    ]
    task = {"name": "sts", "type": "sts", "by": "lang", "across": "row"}
    subsets, _ = read(Task.model_validate({**task, "path": write(tmp_path / "rows.parquet", rows)}))
    assert [subset.name for subset in subsets] == ["de-en", "de-fr", "en-de", "en-fr", "fr-de", "fr-en"]
    found = {subset.name: subset.parts["rows"].to_pylist() for subset in subsets}
    assert found["en-de"] == [
        {"id": str(row), "sentence1": f"en1-{row}", "sentence2": f"de2-{row}", "value": row} for row in range(5)
    ]
    assert [one["id"] for one in found["fr-en"]] == ["0", "1", "3", "4"]
    assert subsets[0].codes == ["de", "en"]


def test_an_item_that_stands_twice_in_a_language_is_an_error(tmp_path: Path) -> None:
    rows = [{"lang": "de", "row": 1, "sentence1": "a", "sentence2": "b", "score": 1}] * 2
    path = write(tmp_path / "rows.jsonl", rows)
    task = {"name": "sts", "type": "sts", "by": "lang", "across": "row", "path": path}
    with pytest.raises(SourceError, match="row 1 stands in de at .* already"):
        read(Task.model_validate(task))
