"""From finished units to what people and tools read: the summary, and results in mteb's format.

A run holds `results/<task>.json`, which `mteb.TaskResult.from_disk` reads (of shorter vectors: `results/<dims>/...`),
and its manifest lists the rows: one Parquet file for each task, subset and dimension, with `id`, `length`, `script` and
the values that scores are made of.
"""

from __future__ import annotations

from typing import Any

from pairmill.evaluate import work
from pairmill.runs.units import Units

Json = dict[str, Any]


def summarise(
    job: Any,
    planned: list[Json],
    intervals: dict[str, Json],
    read: dict[str, Json],
    leaks: Json | None,
    inference: Json | None,
    facts: Json,
) -> Json:
    """What the report shows and the command line prints, as plain JSON. `intervals` are by task."""
    units = Units(job.storage, work.SCORES)
    done = [(item, units.get(item["key"]) or {}) for item in planned]
    encoding = {name: sum(unit["encoding"][name] for _, unit in done) for name in ("texts", "reused", "seconds")}
    return {
        **job.summary(facts),
        "model": {
            "place": job.spec.model.package or job.spec.model.run or job.spec.model.path,
            "checksum": job.checksum,
            "width": done[0][1]["width"],
            "precision": job.spec.precision,
            "pooling": job.settings.pooling,
            "max_length": job.settings.max_length,
        },
        "tasks": [_task(name, intervals[name], done, read) for name in intervals],
        "encoding": encoding,
        "inference": inference,
        "leaks": leaks,
    }


def _task(name: str, found: Json, done: list[tuple[Json, Json]], read: dict[str, Json]) -> Json:
    item, unit = next((item, unit) for item, unit in done if item["name"] == name)
    own = item["task"]["name"] or item["task"]["mteb"]
    languages = {one["subset"]: unit_["languages"] for one, unit_ in done if one["name"] == name}
    return {
        "name": name,
        "task": own,
        "type": unit["task"]["type"],
        "main_score": unit["task"]["main_score"],
        "languages": languages,
        "prompts": item["prompts"],
        "left_out": read.get(own, {}).get("left_out", {}),
        "dims": found["dims"],
    }


def publish(job: Any, planned: list[Json], summary: Json) -> dict[str, str]:
    """Write results, manifest and summary; return what run.json must name for readers to see them."""
    run, units = job.run_, Units(job.storage, work.SCORES)
    rows, results = [], []
    by_task: dict[str, list[tuple[Json, Json]]] = {}
    for item in planned:
        by_task.setdefault(item["name"], []).append((item, units.get(item["key"]) or {}))
    for name, done in by_task.items():
        for number, first in enumerate(done[0][1]["results"]):
            folder = "results" if number == 0 else f"results/{first['dims']}"
            path = run.path(f"{folder}/{name}.json")
            job.storage.put_json(path, mteb_result(name, done, number, summary["run"]["finished"]))
            results.append({"path": path, "rows": len(done), "task": name, "dims": first["dims"]})
            rows += [_rows(item, unit, number) for item, unit in done if unit["results"][number]["path"]]
    return run.publish({"files": {"rows": rows, "results": results}}, summary)


def _rows(item: Json, unit: Json, number: int) -> Json:
    result, about = unit["results"][number], unit["task"]
    names = {name: item[name] for name in ("subset", "split", "revision")}
    figures = {"path": result["path"], "rows": result["rows"], "dims": result["dims"]}
    return {**figures, **names, "task": item["name"], "type": about["type"], "main_score": about["main_score"]}


def mteb_result(name: str, done: list[tuple[Json, Json]], number: int, date: str) -> Json:
    """One task's scores as mteb's `TaskResult` has them."""
    from importlib import metadata

    version = metadata.version("mteb")
    scores: dict[str, list[Json]] = {}
    for item, unit in done:
        found = unit["results"][number]["scores"]
        about = {"hf_subset": item["subset"], "languages": unit["languages"], "mteb_version": version}
        scores.setdefault(item["split"], []).append({**found, **about})
    return {
        "dataset_revision": done[0][1]["task"]["revision"],
        "task_name": name,
        "mteb_version": version,
        "scores": scores,
        "evaluation_time": sum(unit["results"][number]["seconds"] for _, unit in done),
        "kg_co2_emissions": None,
        "date": date,
        "evaluation_phases": None,
    }
