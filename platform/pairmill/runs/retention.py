"""Removing runs.

A run goes with all below `runs/<id>/`: nobody drives it (its lease is taken first), and no run that stays names it as a
parent, a pipeline its steps among them. What it shared with other runs stays, until `collection.py` finds that no run
needs it. run.json goes first, so that a removal that is cut short leaves no run that looks whole, and the lease last.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pairmill import objects
from pairmill.errors import PairmillError, SpecError
from pairmill.runs import browse, uses
from pairmill.runs.lease import Lease
from pairmill.runs.record import Run
from pairmill.runs.storage import Storage, open_storage

THREADS = 16


@dataclass(frozen=True)
class Removal:
    """A run that goes, or would."""

    run: str
    state: str
    files: int
    bytes: int


def planned(storage_uri: str, names: Sequence[str]) -> list[Removal]:
    """What `remove` would take. Raises SpecError for a name that fits no run, or a run that others need."""
    runs = _chosen(storage_uri, names)
    return [_measured(run) for run in runs]


def remove(storage_uri: str, names: Sequence[str]) -> list[Removal]:
    """Remove the runs. Raises SpecError like `planned`, PairmillError for a run that is being driven."""
    removed: list[Removal] = []
    for run in _chosen(storage_uri, names):
        lease = Lease(run.storage, run.path("lease"), run.attempt)
        if holder := lease.acquire():
            raise PairmillError(
                f"run {run.id} is being worked on (host {holder['host']}, process {holder['pid']}): stop it first. "
                f"Removed before it: {', '.join(one.run for one in removed) or 'none'}."
            )
        try:
            removed.append(_measured(run))
            run.storage.delete(run.path("run.json"))
            delete(run.storage, (path for path, *_ in run.storage.files(run.path()) if not _of_lease(run, path)))
        finally:
            lease.release()
        delete(run.storage, (path for path, *_ in run.storage.files(run.path())))
        drop_empty(run.storage, run.path())
        run.storage.delete(f"{uses.MARKING}/{run.id}")
    return removed


def _of_lease(run: Run, path: str) -> bool:
    return path.startswith(run.path("lease/"))


def _chosen(storage_uri: str, names: Sequence[str]) -> list[Run]:
    """The runs of these names. Raises SpecError where one that is not among them needs them."""
    runs = {run.id: run for run in (browse.find(storage_uri, name) for name in names)}
    for record in browse.records(storage_uri):
        needed = [run for run in runs if any(run.startswith(parent) for parent in parents(record))]
        if needed and record["id"] not in runs:
            raise SpecError(
                f"run {record['id']} needs {', '.join(needed)}: its rows, models or report come from there. "
                "Name that run as well, or keep both."
            )
    return list(runs.values())


def parents(record: dict[str, Any]) -> list[str]:
    """The runs that a run was made from, as its spec names them: ids, or the beginnings of ids."""
    return [run for name in record.get("parents") or [] if (run := name.rstrip("/").rpartition("/")[2])]


def _measured(run: Run) -> Removal:
    sizes = [size for _, size, _ in run.storage.files(run.path())]
    return Removal(run.id, (run.record() or {}).get("state", "no record"), len(sizes), sum(sizes))


def delete(storage: Storage, paths: Iterable[str]) -> None:
    """Delete files, many at a time; one that is gone already is no error."""
    each(storage.delete, paths)


def each(call: Callable[[str], Any], paths: Iterable[str]) -> list[Any]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(call, list(paths)))


def drop_empty(storage: Storage, path: str) -> None:
    """Remove the empty directories at and below `path`: on a local disk they outlive their files."""
    if objects.is_remote(storage.uri):
        return
    for folder, _, _ in os.walk(Path(storage.uri, path), topdown=False):
        with suppress(OSError):  # not empty: something was written meanwhile
            os.rmdir(folder)


def opened(storage_uri: str) -> Storage:
    """The storage. Raises SpecError where there is none."""
    browse.records(storage_uri)
    return open_storage(storage_uri)
