"""What tests read of a run: its manifest's files and nothing else, as any reader would."""

from __future__ import annotations

import hashlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pairmill.runs.browse import find
from pairmill.runs.record import Run, read_events

CONTENT = ["anchor", "positive", "anchor_lang", "positive_lang", "source", "form", "origin_file", "origin_row"]


def table(run: Run, part: str, columns: list[str] | None = None) -> pa.Table:
    """All rows of `kept`, `rejected`, `quarantine` or `dedup_index`, in canonical order."""
    manifest = run.manifest()
    assert manifest is not None, f"run {run.id} is not finished"
    tables = []
    for entry in manifest["files"].get(part, []):
        with run.storage.open_parquet(entry["path"]) as file:
            assert file.metadata.num_rows == entry["rows"]
            tables.append(file.read(columns))
    return pa.concat_tables(tables) if tables else pa.table({})


def content(run: Run, part: str = "kept") -> list[tuple[Any, ...]]:
    """Content and origin of the rows, in an order of its own."""
    rows = table(run, part, CONTENT)
    return sorted(zip(*(rows[name].to_pylist() for name in CONTENT), strict=True), key=repr) if len(rows) else []


def digest(run: Run, part: str = "kept") -> str:
    return hashlib.sha256(repr(content(run, part)).encode()).hexdigest()


def only_run(storage: str) -> Run:
    from pairmill.runs.browse import records

    (record,) = records(storage)
    return find(storage, record["id"])


def committed(run: Run) -> dict[str, list[Any]]:
    """Per stage, every unit that an attempt says it committed: a unit done twice stands twice."""
    stages: dict[str, list[Any]] = {}
    for event in read_events(run):
        if event["event"] == "unit committed":
            stages.setdefault(event["stage"], []).append(event["unit"])
    return stages


def rows_of_parquet(path: str) -> int:
    return pq.read_metadata(path).num_rows
