"""What a run has to show: its record, and of its newest finished generation the summary and the files of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pyarrow as pa

from pairmill.curate.shardfiles import SHARD_BITS
from pairmill.errors import SpecError, StorageError
from pairmill.runs.browse import find
from pairmill.runs.record import Run, newest
from pairmill.runs.storage import Storage, open_storage

PARTS = ("kept", "rejected", "quarantine")
#: Columns that are no score, though they are numbers.
_NO_SCORES = ("pair_id", "origin_row", "offset", "duplicate_of", "value", "threshold")
_READERS = 16


@dataclass(frozen=True)
class Part:
    """The kept, rejected or quarantined rows of a run: files (paths in the storage), shard by file, columns by name."""

    name: str
    paths: tuple[str, ...]
    shards: tuple[int | None, ...]
    rows: int
    columns: Mapping[str, pa.DataType]

    @property
    def scores(self) -> list[str]:
        """The columns that a range of values may be asked of."""
        numeric = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean)
        return [
            name
            for name, kind in self.columns.items()
            if name not in _NO_SCORES and any(fits(kind) for fits in numeric)
        ]

    def paths_of(self, pair_id: int) -> list[str]:
        """The files that may hold a row."""
        shard = pair_id >> SHARD_BITS
        return [path for path, own in zip(self.paths, self.shards, strict=True) if own in (None, shard)]


@dataclass(frozen=True)
class Contents:
    """A run and, where a generation of it is finished, what that holds. `key` names the content for ever."""

    run: Run
    record: Mapping[str, Any]
    summary: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return "manifest" in self.record

    @property
    def key(self) -> tuple[str, str]:
        return self.run.id, str(self.record.get("manifest"))

    def part(self, name: str) -> Part:
        """Raises SpecError where the run has no such rows, or is not finished."""
        if not self.finished:
            self.run.finished_manifest()
        if name not in self.parts:
            raise SpecError(f"run {self.run.id} has no {name} rows. It has: {', '.join(self.parts) or 'none'}.")
        return self.parts[name]


def records(storage: Storage) -> list[dict[str, Any]]:
    """run.json of every run, newest first; a damaged one says so in its state."""
    names = storage.directories("runs")
    with ThreadPoolExecutor(_READERS) as pool:
        found = list(pool.map(lambda name: _record(storage, name), names))
    return sorted((record for record in found if record), key=lambda record: record["started"], reverse=True)


def _record(storage: Storage, name: str) -> dict[str, Any] | None:
    try:
        record = storage.get_json(f"runs/{name}/run.json")
    except StorageError:
        record = {"state": "damaged"}
    return None if record is None else {"started": "", **record, "id": name}


def contents(storage_uri: str, name: str) -> Contents:
    """The run of that id, or the only one that starts with it. Raises SpecError where there is none."""
    run = find(storage_uri, name)
    record = run.record()
    if record is None:
        raise SpecError(f"run {run.id} was begun, but has no record yet.")
    if "manifest" not in record:
        return Contents(run, record)
    summary, parts = _finished(storage_uri, run.id, record["manifest"], record["summary"])
    return Contents(Run(run.storage, run.id, generation=newest(record)), record, summary, parts)


@lru_cache(maxsize=32)
def _finished(storage_uri: str, run_id: str, manifest: str, summary: str) -> tuple[dict[str, Any], dict[str, Part]]:
    """Summary and parts of a generation, which never change."""
    run = Run(open_storage(storage_uri), run_id)
    files = (run.storage.get_json(run.path(manifest)) or {}).get("files") or {}
    named = files if isinstance(files, dict) else {}  # an embed run lists vectors there
    found = {name: _part(run.storage, name, named[name]) for name in PARTS if named.get(name)}
    return run.storage.get_json(run.path(summary)) or {}, found


def _part(storage: Storage, name: str, entries: list[dict[str, Any]]) -> Part:
    with storage.open_parquet(entries[0]["path"]) as file:
        schema = file.schema_arrow
    filled = [entry for entry in entries if entry["rows"]]
    return Part(
        name,
        tuple(entry["path"] for entry in filled),
        tuple(entry.get("shard") for entry in filled),
        sum(entry["rows"] for entry in filled),
        {column.name: column.type for column in schema},
    )
