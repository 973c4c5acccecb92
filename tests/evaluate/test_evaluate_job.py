"""Evaluate jobs through real Ray: every type of task, results in mteb's format, caches, dimensions, comparisons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import taskkit

import tiny_models
from pairmill.cli import app
from pairmill.errors import PairmillError, SpecError
from pairmill.evaluate.compare import compare
from pairmill.report import evaluate_page
from pairmill.report.text import summarise
from pairmill.runs.job import Outcome
from pairmill.runs.record import read_events

pytest.importorskip("mteb", reason="needs the extra pairmill[evaluate]")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Path:
    made = tmp_path_factory.mktemp("evaluate")
    tiny_models.save(made / "model")
    tiny_models.save(made / "other", kind="electra")
    return made


@pytest.fixture(scope="module")
def tasks(folder: Path) -> list[dict[str, Any]]:
    return taskkit.write_tasks(folder / "data")


@pytest.fixture(scope="module")
def done(folder: Path, tasks: list[dict[str, Any]]) -> Outcome:
    """Every type of task, in full width (32) and in 8 dimensions."""
    return taskkit.evaluate(folder / "model", tasks, folder / "store", dims=[32, 8])


def by_task(outcome: Outcome) -> dict[str, Any]:
    return {task["name"]: task for task in outcome.summary["tasks"]}


def test_every_type_has_a_score_and_an_interval_for_each_language_and_dimension(done: Outcome) -> None:
    found = by_task(done)
    assert list(found) == [
        "sts", "bitext", "pairs", "classes", "clusters", "retrieval", "reranking", "long-4", "long-24"
    ]  # fmt: skip
    for name, task in found.items():
        assert set(task["dims"]) == {"full", "8"}
        for dims in task["dims"].values():
            assert list(dims["subsets"]) == (["default"] if name.startswith("long") else ["de", "en"])
            for subset in dims["subsets"].values():
                main = subset["scores"][task["main_score"]]
                low, high = main["interval"]
                assert -1 <= low <= high <= 1 and low - 0.05 <= main["value"] <= high + 0.05, (name, main)


def test_rows_give_back_mtebs_score(done: Outcome) -> None:
    from pairmill.evaluate import bootstrap
    from pairmill.evaluate.work import values_of

    storage, found = done.run.storage, by_task(done)
    manifest = done.run.manifest()
    assert manifest is not None
    for one in manifest["files"]["rows"]:
        values = values_of(storage, one["path"])
        scores = found[one["task"]]["dims"][one["dims"]]["subsets"][one["subset"]]["scores"]
        for metric, told in scores.items():
            measure = bootstrap.measure_of(metric, values)
            assert measure is not None, (one["task"], metric)
            assert bootstrap.value(measure, values) == pytest.approx(told["value"], abs=2e-5), (one["task"], metric)


def test_documents_cut_to_fewer_tokens_have_another_score(done: Outcome) -> None:
    found = by_task(done)
    short, long = (found[name]["dims"]["full"]["mean"]["ndcg_at_10"]["value"] for name in ("long-4", "long-24"))
    assert short != long


def test_the_results_are_files_of_mteb(done: Outcome, tmp_path: Path) -> None:
    from mteb.results import TaskResult

    storage, run = done.run.storage, done.run
    for name, task in by_task(done).items():
        for folder, label in (("results", "full"), ("results/8", "8")):
            data = storage.get(run.path(f"{folder}/{name}.json"))
            assert data is not None
            (tmp_path / "result.json").write_bytes(data)
            result = TaskResult.from_disk(tmp_path / "result.json")
            assert result.task_name == name
            mean = task["dims"][label]["mean"][task["main_score"]]["value"]
            assert result.get_score() == pytest.approx(mean)
    assert set(TaskResult.from_disk(tmp_path / "result.json").languages) == {"und"}  # nobody named one


def test_no_text_is_encoded_twice_by_a_run_or_by_the_next(
    done: Outcome, folder: Path, tasks: list[dict[str, Any]]
) -> None:
    encoding = done.summary["encoding"]
    assert encoding["texts"] > 0 and encoding["reused"] > 0
    again = taskkit.evaluate(folder / "model", tasks[:1], folder / "store", dims=[16])
    assert again.run.id != done.run.id
    assert again.summary["encoding"]["texts"] == 0 and again.summary["encoding"]["reused"] == 160


def test_a_run_that_is_done_is_found_and_its_units_serve_other_runs(
    done: Outcome, folder: Path, tasks: list[dict[str, Any]]
) -> None:
    assert taskkit.evaluate(folder / "model", tasks, folder / "store", dims=[32, 8]).already_done
    other = taskkit.evaluate(folder / "model", tasks[1:3], folder / "store", dims=[32, 8])
    events = read_events(other.run)
    assert {event["stage"] for event in events if event["event"] == "unit reused"} >= {"tasks", "evaluate"}
    assert not [e for e in events if e["event"] == "unit committed" and e["stage"] in ("tasks", "evaluate")]
    name = tasks[1]["name"]
    assert by_task(other)[name] == by_task(done)[name]


def test_a_changed_file_or_model_is_another_run(done: Outcome, folder: Path, tasks: list[dict[str, Any]]) -> None:
    fresh = taskkit.write_tasks(folder / "changed")
    table = (folder / "changed/pairs.parquet").read_bytes()
    assert table == (folder / "data/pairs.parquet").read_bytes()
    copied = taskkit.evaluate(folder / "model", fresh[:1], folder / "store")
    model = taskkit.evaluate(folder / "other", fresh[:1], folder / "store")
    assert len({done.run.id, copied.run.id, model.run.id}) == 3
    one, other = (by_task(run)["sts"]["dims"]["full"]["mean"]["cosine_spearman"]["value"] for run in (copied, model))
    assert one != other


def test_two_models_are_compared_row_by_row(done: Outcome, folder: Path, tasks: list[dict[str, Any]]) -> None:
    other = taskkit.evaluate(folder / "other", tasks[:-1], folder / "store")
    found = compare(done.run, other.run, 1000)
    lines = {(line["task"], line["subset"]): line for line in found["lines"]}
    assert {line["dims"] for line in found["lines"]} == {"full"}
    assert len(lines) == 7 * 3 and ("sts", "mean") in lines
    for (task, subset), line in lines.items():
        low, high = line["interval"]
        assert low <= line["difference"] <= high or task == "clusters", (task, subset)
        assert line["p"] <= line["p_holm"] <= 1
    assert any("long-4" in one and "only A" in one for one in found["left_out"])
    itself = compare(done.run, done.run, 1000)
    assert all(line["difference"] == 0 and line["p"] == 1 and not line["significant"] for line in itself["lines"])


def test_the_command_line_compares_and_refuses_what_is_no_evaluation(done: Outcome, folder: Path) -> None:
    from typer.testing import CliRunner

    store = str(folder / "store")
    told = CliRunner().invoke(app, ["runs", "compare", done.run.id, done.run.id, "--storage", store, "--draws", "1000"])
    assert told.exit_code == 0 and "P (HOLM)" in told.stdout and "clusters" in told.stdout
    given = ["runs", "compare", done.run.id, done.run.id, "--storage", store, "--draws", "1000", "--json"]
    assert json.loads(CliRunner().invoke(app, given).stdout)["a"] == done.run.id
    with pytest.raises(SpecError, match="no run here"):
        CliRunner().invoke(app, ["runs", "compare", done.run.id, "nothing", "--storage", store], catch_exceptions=False)


def test_page_and_summary_tell_the_scores(done: Outcome) -> None:
    page, text = evaluate_page.render(done.summary), summarise(done.summary)
    mean = by_task(done)["sts"]["dims"]["full"]["mean"]["cosine_spearman"]["value"]
    assert f"{100 * mean:.1f}".replace("-", "−") in page and "by script" in page
    assert "sts" in text and "cosine_spearman" in text and "texts a second" in text
    stored = done.run.storage.get(done.run.path("report.html"))
    assert stored is not None and stored.decode() == page
    assert "Nothing was evaluated" in evaluate_page.render({"run": {"id": "x"}})


def test_more_dimensions_than_the_model_has_and_unknown_prompts_are_refused(
    folder: Path, tasks: list[dict[str, Any]]
) -> None:
    with pytest.raises(PairmillError, match="the model's vectors have 32"):
        taskkit.evaluate(folder / "model", tasks[:1], folder / "store", dims=[64])
    with pytest.raises(PairmillError, match="no prompt 'query'; it has: none"):
        taskkit.evaluate(folder / "model", tasks[:1], folder / "store", prompts={"query": "query"})


def test_prompts_change_vectors_and_queries_and_documents_have_their_own(
    folder: Path, tasks: list[dict[str, Any]], done: Outcome
) -> None:
    retrieval = next(task for task in tasks if task["name"] == "retrieval")
    model = {"path": str(folder / "model"), "max_length": 32, "prompts": {"query": "aaaa ", "passage": "jjjj "}}
    found = taskkit.evaluate(folder / "model", [retrieval], folder / "store", model=model)
    (task,) = found.summary["tasks"]
    assert task["prompts"] == ["query", "passage"]
    plain = by_task(done)["retrieval"]["dims"]["full"]["subsets"]["de"]["scores"]
    assert task["dims"]["full"]["subsets"]["de"]["scores"] != plain


def test_an_mteb_task_without_its_data_says_what_to_do(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pairmill.evaluate.tasks import loaded, named
    from pairmill.spec.evaluate import Task

    with pytest.raises(SpecError, match="Did you mean 'STSBenchmark"):
        named(Task(mteb="STSBenchmarc"))
    with pytest.raises(SpecError, match="has no subset 'xx'"):
        named(Task(mteb="STS17", subsets=["xx"]))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # else it tries again and again
    import socket

    def refuse(*given: Any, **more: Any) -> Any:
        raise OSError("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(PairmillError, match=r"STSBenchmark: its data cannot be loaded .* or write the task"):
        loaded(Task(mteb="STSBenchmark"), "default")


def test_local_tasks_ask_no_network(folder: Path, tasks: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    from pairmill.evaluate import subsets
    from pairmill.evaluate.encoder import MtebEncoder
    from pairmill.evaluate.rows import evaluate
    from pairmill.evaluate.tasks import SPLIT, local
    from pairmill.spec.evaluate import Task

    def refuse(*given: Any, **more: Any) -> Any:
        raise AssertionError(f"the network was asked: {given}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)

    def encode(texts: Any, prompt: str | None) -> np.ndarray:
        return np.array([[len(text), text.count("a"), text.count("b")] for text in texts], np.float32)

    for given in tasks:
        task = Task.model_validate(given)
        (first, *_), _ = subsets.read(task)
        made = local(task, task.called, first.name, first.codes, first.parts, "1")
        found = evaluate(made, first.name, SPLIT, MtebEncoder(encode, (None, None), None, "1"))
        assert found.scores["main_score"] is not None and found.rows is not None
