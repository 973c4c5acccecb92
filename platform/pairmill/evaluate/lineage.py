"""What a model learnt from: the kept rows that its training read, and that the models it started from read."""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

from pairmill.pairs.kept import KeptRun, kept_files
from pairmill.runs.browse import named
from pairmill.runs.record import Run

TRAININGS = ("train", "pretrain")


class Learnt(NamedTuple):
    """Kept rows that a training read, as its data entry chose them."""

    kept: KeptRun
    sources: tuple[str, ...] | None
    languages: tuple[str, ...] | None


def learnt_from(storage_uri: str, names: list[str]) -> tuple[list[Learnt], list[str]]:
    """The kept rows behind these train, pretrain or curate runs; and what they read that is no run's rows, in words.

    Raises SpecError for a run that is unknown, not finished, or of a kind that learns from nothing.
    """
    found: dict[Any, Learnt] = {}
    others: dict[str, None] = {}
    waiting, seen = list(names), set[str]()
    while waiting:
        run = named(storage_uri, waiting.pop(0))
        if run.id in seen:
            continue
        seen.add(run.id)
        kind = (run.record() or {}).get("kind", "curate")
        if kind not in TRAININGS:
            _add(found, Learnt(kept_files(run.storage.uri, run.id), None, None))
            continue
        spec, read = _spec(run), _read_by(run)
        for entry in spec.get("data") or []:
            if entry.get("run"):
                uri = entry["run"].rstrip("/").rpartition("/runs/")[0]
                kept = kept_files(uri or run.storage.uri, read[entry["name"]])
                _add(found, Learnt(kept, _tuple(entry.get("sources")), _tuple(entry.get("languages"))))
            else:
                others[f"{run.id}: files of the entry {entry.get('name')}"] = None
        waiting += _started_from(run, spec)
    return list(found.values()), list(others)


def _add(found: dict[Any, Learnt], learnt: Learnt) -> None:
    found.setdefault((learnt.kept.id, learnt.sources, learnt.languages), learnt)


def _spec(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(run.finished_summary("leaks")["spec"])
    return found


def _read_by(run: Run) -> dict[str, str]:
    """The runs that a training's data entries read, by entry: the spec may name the start of an id alone."""
    return {one["entry"]: one["id"] for one in run.summary()["lineage"]["runs"]}


def _started_from(run: Run, spec: dict[str, Any]) -> list[str]:
    """The run whose model a training went on with."""
    parent = (spec.get("model") or {}).get("run")
    return [f"{run.storage.uri}/runs/{named(run.storage.uri, parent).id}"] if parent else []


def _tuple(value: Any) -> tuple[str, ...] | None:
    return None if value is None else tuple(value)
