"""Unit functions of the stages: read a task's files, evaluate a subset, compute a task's intervals.

All units are shared by the runs of a storage: another run that asks for the same finds it done.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.evaluate import bootstrap, slices, subsets, tasks
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import Units, digest, do_once
from pairmill.spec.evaluate import EvaluateSpec, Task

READ, SCORES, INTERVALS = "stages/evaluate/tasks", "stages/evaluate/scores", "stages/evaluate/intervals"
VERSIONS = {"tasks": 1, "scores": 1, "intervals": 1}
#: Scores that are told beside the main one, by mteb's type of task.
BESIDE = {
    "STS": ("cosine_pearson",),
    "BitextMining": ("f1", "accuracy"),
    "PairClassification": ("max_ap",),
    "Retrieval": ("ndcg_at_10", "mrr_at_10", "recall_at_1", "recall_at_10", "recall_at_100"),
    "Reranking": ("map_at_1000", "mrr_at_10", "ndcg_at_10"),
}
FULL = "full"  # the label of vectors in full width


def read_task(item: dict[str, Any]) -> dict[str, Any]:
    """Unit function: commit the subsets of a local task. `item`: `task`, `key`."""

    def work(units: Units) -> dict[str, Any]:
        found, left_out = subsets.read(Task.model_validate(item["task"]))
        written: dict[int, tuple[str, str]] = {}
        told = []
        for subset in found:
            for table in subset.parts.values():
                if id(table) not in written:  # subsets share their corpus
                    written[id(table)] = _put(units, item["key"], table), subsets.content(table)
            parts = {name: written[id(table)] for name, table in sorted(subset.parts.items())}
            facts = {"name": subset.name, "codes": subset.codes, "rows": subset.rows}
            paths = {name: path for name, (path, _) in parts.items()}
            fingerprint = digest([[name, content] for name, (_, content) in parts.items()])
            told.append({**facts, "parts": paths, "fingerprint": fingerprint})
        return {"rows": sum(one["rows"] for one in told), "subsets": told, "left_out": left_out}

    return do_once(item, READ, work)


def _put(units: Units, key: str, table: pa.Table) -> str:
    path = units.data_path(key, kind="arrow")
    with units.storage.arrow_writer(path, table.schema) as writer:
        writer.write_table(table)
    return path


def load_parts(storage: Storage, paths: dict[str, str]) -> subsets.Parts:
    """The tables of a subset that `read_task` committed."""
    parts = {}
    for name, path in paths.items():
        with storage.reading(path):
            parts[name] = storage.open_arrow(path).read_all()
    return parts


def evaluate_subset(item: dict[str, Any]) -> dict[str, Any]:
    """Unit function: commit the scores and rows of a task's subset, for every dimension asked for.

    `item`: `task`, `name`, `subset`, `split`, `codes`, `parts` (of a local task), `revision`, `prompts`, `max_length`,
    `map` (key of one, where the subset has texts to map), `key`.
    """
    return do_once(item, SCORES, lambda units: _evaluate(item, units))


def _evaluate(item: dict[str, Any], units: Units) -> dict[str, Any]:
    from pairmill.evaluate import map_stage
    from pairmill.evaluate.encoder import CachedEngine, MtebEncoder
    from pairmill.evaluate.model import open_engine
    from pairmill.evaluate.rows import evaluate

    spec, storage = EvaluateSpec.model_validate(item["spec"]), open_storage(item["storage"])
    engine = open_engine(spec, item["storage"], item["checksum"], item["max_length"])
    source = CachedEngine(engine, storage, item["salt"])
    encode = map_stage.before(source.encode, item, spec, storage) if "map" in item else source.encode
    results = []
    for dims in spec.dims or [engine.width]:
        started = time.monotonic()
        task, ids = _task(item, storage)
        query, passage = item["prompts"]
        encoder = MtebEncoder(encode, (query, passage), dims, engine.checksum)
        found = evaluate(task, item["subset"], item["split"], encoder, ids)
        path = None if found.rows is None else units.data_path(item["key"], f"-{dims}")
        if path is not None and found.rows is not None:
            with storage.parquet_writer(path, found.rows.schema) as writer:
                writer.write_table(found.rows)
        label = FULL if dims >= engine.width else str(dims)
        seconds = round(time.monotonic() - started, 3)
        rows = 0 if found.rows is None else len(found.rows)
        results.append({"dims": label, "scores": found.scores, "path": path, "rows": rows, "seconds": seconds})
    about = task.metadata
    return {
        "rows": results[0]["rows"],
        "results": results,
        "task": {"type": about.type, "main_score": about.main_score, "revision": about.revision},
        "languages": about.hf_subsets_to_langscripts.get(item["subset"], []),
        "encoding": {"texts": source.encoded, "reused": source.reused, "seconds": round(source.seconds, 3)},
        "width": engine.width,
    }


def _task(item: dict[str, Any], storage: Storage) -> tuple[Any, list[str] | None]:
    """mteb's task with its data, and the ids of its rows where they are ours."""
    given = Task.model_validate(item["task"])
    if given.mteb is not None:
        return tasks.loaded(given, item["subset"]), None
    parts = load_parts(storage, item["parts"])
    ids = parts["rows"]["id"].to_pylist() if "rows" in parts else None
    return tasks.local(given, item["name"], item["subset"], item["codes"], parts, item["revision"]), ids


def compute_intervals(item: dict[str, Any]) -> dict[str, Any]:
    """Unit function: commit the intervals, means and slices of a task. `item`: `units` (keys of subsets), `leaked`
    (rows by subset), `draws`, `key`."""
    return do_once(item, INTERVALS, lambda units: _intervals(item, open_storage(item["storage"])))


def _intervals(item: dict[str, Any], storage: Storage) -> dict[str, Any]:
    found = [(one["subset"], Units(storage, SCORES).get(one["key"])) for one in item["units"]]
    told = {}
    done = [(subset, unit) for subset, unit in found if unit is not None]
    for number, result in enumerate(done[0][1]["results"]):
        tables = {subset: values_of(storage, unit["results"][number]["path"]) for subset, unit in done}
        scores = {subset: unit["results"][number]["scores"] for subset, unit in done}
        told[result["dims"]] = _of_dims(item, done[0][1]["task"], tables, scores)
    return {"rows": sum(unit["rows"] for _, unit in done), "dims": told}


def values_of(storage: Storage, path: str | None) -> dict[str, np.ndarray]:
    """The columns of a subset's rows; empty where they are not known."""
    if path is None:
        return {}
    with storage.reading(path), storage.open_parquet(path) as file:
        table = file.read()
    return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}


def _of_dims(
    item: dict[str, Any], about: dict[str, Any], tables: dict[str, dict[str, np.ndarray]], scores: dict[str, Any]
) -> dict[str, Any]:
    """Scores with intervals by subset, their means over the subsets, and slices of all rows together."""
    main = about["main_score"]
    by_subset: dict[str, Any] = {}
    draws: dict[str, list[np.ndarray]] = {}
    for subset, values in tables.items():
        told: dict[str, Any] = {}
        for metric in dict.fromkeys([main, *BESIDE.get(about["type"], ())]):
            told[metric] = {"value": scores[subset].get(metric), "interval": None}
            measure = bootstrap.measure_of(metric, values)
            if measure is not None:
                drawn = bootstrap.drawn(measure, values, item["draws"])
                told[metric]["interval"] = bootstrap.interval(drawn)
                draws.setdefault(metric, []).append(drawn)
        by_subset[subset] = {"rows": len(values.get("length", ())), "scores": told}
        leaked = item["leaked"].get(subset)
        if leaked and about["type"] != "Clustering":  # its rows are repetitions, not texts
            by_subset[subset]["without_leaks"] = _without(values, main, leaked)
    metrics = next(iter(by_subset.values()))["scores"]
    return {
        "subsets": by_subset,
        "mean": {metric: _mean(by_subset, metric, draws.get(metric, [])) for metric in metrics},
        "slices": slices.of_rows(list(tables.values()), main, item["draws"]),
    }


def _mean(by_subset: dict[str, Any], metric: str, draws: list[np.ndarray]) -> dict[str, Any]:
    found = [one["scores"][metric]["value"] for one in by_subset.values()]
    known = [value for value in found if value is not None]
    whole = len(draws) == len(by_subset)
    interval = bootstrap.interval(np.mean(draws, 0)) if whole and draws else None
    return {"value": float(np.mean(known)) if len(known) == len(found) else None, "interval": interval}


def _without(values: dict[str, np.ndarray], main: str, leaked: list[str]) -> dict[str, Any]:
    """The main score of the rows that are no leaks."""
    kept = ~np.isin(values["id"].astype(str), leaked)
    rest = {name: column[kept] for name, column in values.items()}
    measure = bootstrap.measure_of(main, rest) if kept.any() else None
    value = np.nan if measure is None else bootstrap.value(measure, rest)
    return {"rows": int(kept.sum()), "value": value if np.isfinite(value) else None}
