"""Removing shared results that no run needs, and files that no attempt committed; safe while runs go on.

1. A result is needed while a run that marked it (uses.py) is in the storage, or while it was made, or marked by anyone,
   within the window: then a driver may be about to use it.
2. The others are announced, a few at a time; the marks on them are read again, and those without a new one are
   deleted. A process that begins to use one waits meanwhile (uses.py).
3. Data files have names of their own attempt. One that no manifest names, and that is older than the window, is left
   from an attempt that was killed. Those of results and runs that someone is working on are not looked at.

Results that have no mark at all are older than the marks: they stay while a run is there that has not marked all it
uses.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pairmill.errors import PairmillError, SpecError
from pairmill.runs import browse, uses
from pairmill.runs.lease import Lease
from pairmill.runs.retention import delete, drop_empty, each, opened
from pairmill.runs.storage import Storage

CLOCK = f"{uses.PREFIX}/clock"
BATCH_RESULTS, BATCH_FILES = 200, 10_000
_ATTEMPTS = re.compile(r"-[0-9a-f]{12}(-[0-9a-f]{8})?\.(parquet|arrow|npz)$")
_NAMED = re.compile(rb'"((?:stages|runs)/[^"]+)"')


@dataclass
class Result:
    """A shared result: its files (path, bytes, when), and the marks on it (user, when)."""

    files: list[tuple[str, int, datetime]] = field(default_factory=list)
    marks: dict[str, datetime] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(size for _, size, _ in self.files)

    def is_needed(self, runs: set[str], since: datetime) -> bool:
        times = [*self.marks.values(), *(when for *_, when in self.files)]
        return any(user in runs for user in self.marks) or max(times) >= since


@dataclass
class Collection:
    """What went, or would: results by stage (count, bytes), left-over files (count, bytes), what stays and why."""

    results: dict[str, list[int]] = field(default_factory=dict)
    leftovers: list[int] = field(default_factory=lambda: [0, 0])
    spared: int = 0  # marked while the collection went on
    needed: int = 0
    unmarked: int = 0
    #: Runs of earlier versions, which hold the unmarked results.
    unmarking: list[str] = field(default_factory=list)


def collect(storage_uri: str, window: timedelta, dry_run: bool = False) -> Collection:
    """Remove what no run needs; with `dry_run` say what would go. `window`: how long unneeded results stay."""
    storage = opened(storage_uri)
    storage.put(CLOCK, b"")
    now = storage.modified(CLOCK)
    assert now is not None, "just written"
    told, runs, results = Collection(), _runs(storage), _results(storage)
    marking = {path.rpartition("/")[2] for path, *_ in storage.files(uses.MARKING)}
    told.unmarking = sorted(run for run, kind in runs.items() if kind != "pipeline" and run not in marking)
    going, staying = dict[str, Result](), dict[str, Result]()
    for name, result in results.items():
        unknown = not result.marks and told.unmarking
        needed = unknown or result.is_needed(set(runs), now - window)
        told.unmarked += bool(unknown)
        (staying if needed else going)[name] = result
    told.needed = len(staying)
    leftovers = [file for file in _leftovers(storage, runs, staying) if file[2] < now - window]
    told.leftovers = [len(leftovers), sum(size for _, size, _ in leftovers)]
    if not dry_run:
        delete(storage, (path for path, *_ in leftovers))
        spared = _take(storage, going, now)
        told.spared = len(spared)
        going = {name: result for name, result in going.items() if name not in spared}
    for name, result in going.items():
        counts = told.results.setdefault(name.rpartition("/")[0], [0, 0])
        counts[0], counts[1] = counts[0] + 1, counts[1] + result.size
    return told


def parse_window(text: str) -> timedelta:
    """`7d`, `12h` as a time. Raises SpecError for less than an hour: a job that is starting needs that long."""
    found = re.fullmatch(r"(\d+)([hd])", text.strip())
    window = timedelta(**{{"h": "hours", "d": "days"}[found[2]]: int(found[1])}) if found else timedelta(0)
    if window < timedelta(hours=1):
        raise SpecError(f"--older-than {text!r}: write hours or days, such as 12h or 7d; at least 1h.")
    return window


def text(told: Collection, dry_run: bool) -> str:
    """A line for each stage, and one for what stays."""
    verb = "would be removed" if dry_run else "removed"
    lines = [
        f"{verb}: {stage}: {count:,} results, {size / 1e6:,.1f} MB"
        for stage, (count, size) in sorted(told.results.items())
    ]
    lines.append(f"{verb}: {told.leftovers[0]:,} files of killed attempts, {told.leftovers[1] / 1e6:,.1f} MB")
    lines.append(f"{told.needed + told.spared:,} results stay")
    return "\n".join(lines)


def _runs(storage: Storage) -> dict[str, str]:
    """The kinds of the runs, by id."""
    return {record["id"]: record["kind"] for record in browse.records(storage.uri)}


def _results(storage: Storage) -> dict[str, Result]:
    results: dict[str, Result] = {}
    for file in storage.files("stages"):
        if name := uses.result_of(file[0]):
            results.setdefault(name, Result()).files.append(file)
    _add_marks(storage, results)
    return results


def _add_marks(storage: Storage, results: dict[str, Result], place: str = uses.PREFIX) -> None:
    for path, _, when in storage.files(place):
        name, _, user = path.removeprefix(f"{uses.PREFIX}/").rpartition("/")
        if name in results:
            results[name].marks[user] = when


def _take(storage: Storage, going: dict[str, Result], started: datetime) -> set[str]:
    """Delete results, and return the names of those that a run has marked since `started`."""
    spared: set[str] = set()
    for batch in _batches(going):
        announced = {"id": uuid.uuid4().hex, "results": sorted(batch)}
        _announce(storage, announced)
        try:
            spared |= _take_announced(storage, batch, started)
        finally:
            storage.delete(uses.COLLECTING)
    return spared


def _batches(going: dict[str, Result]) -> Iterator[dict[str, Result]]:
    """So few at a time that they are deleted within a minute or so."""
    batch: dict[str, Result] = {}
    for name, result in going.items():
        batch[name] = result
        if len(batch) == BATCH_RESULTS or sum(len(one.files) for one in batch.values()) > BATCH_FILES:
            yield batch
            batch = {}
    if batch:
        yield batch


def _announce(storage: Storage, announced: dict[str, Any]) -> None:
    """Raises PairmillError where another collection goes on; one that was killed is taken over."""
    if storage.put_json_if_absent(uses.COLLECTING, announced):
        return
    since, now = storage.modified(uses.COLLECTING), storage.modified(CLOCK)
    if since and now and (now - since).total_seconds() < uses.ABANDONED_SECONDS:
        raise PairmillError(
            f"{storage.uri}: another collection goes on since {since:%H:%M:%S}. Wait for its end; one that was killed "
            f"stands in the way for {uses.ABANDONED_SECONDS / 60:.0f} minutes."
        )
    storage.put_json(uses.COLLECTING, announced)


def _take_announced(storage: Storage, batch: dict[str, Result], started: datetime) -> set[str]:
    marked = {name: Result() for name in batch}
    for name in batch:
        _add_marks(storage, marked, f"{uses.PREFIX}/{name}")
    runs = set(_runs(storage))
    spared = {
        name
        for name, result in marked.items()
        if any(user in runs or when >= started for user, when in result.marks.items())
    }
    gone = {name: result for name, result in batch.items() if name not in spared}
    delete(storage, (path for result in gone.values() for path, *_ in result.files))
    delete(storage, (f"{uses.PREFIX}/{name}/{user}" for name in gone for user in marked[name].marks))
    for name in gone:
        drop_empty(storage, f"stages/{name}")
        drop_empty(storage, f"{uses.PREFIX}/{name}")
    return spared


def _leftovers(
    storage: Storage, runs: dict[str, str], results: dict[str, Result]
) -> Iterator[tuple[str, int, datetime]]:
    """Data files of results and runs at rest that no manifest names."""
    busy = {run for run in runs if Lease(storage, f"runs/{run}/lease", "").held()}
    files = [file for run in runs if run not in busy for file in storage.files(f"runs/{run}")]
    files += [file for result in results.values() if not busy & set(result.marks) for file in result.files]
    named = _named(storage, [path for path, *_ in files if path.endswith(".json")])
    yield from (file for file in files if _ATTEMPTS.search(file[0]) and file[0] not in named)


def _named(storage: Storage, manifests: list[str]) -> set[str]:
    """The paths that manifests name."""
    found: Any = each(lambda path: _NAMED.findall(storage.get(path) or b""), manifests)
    return {name.decode() for names in found for name in names}
