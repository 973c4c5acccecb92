"""A sample of the inputs, through the job's own code, in this process and a temporary storage.

1. read: N rows for each input, shared out by the inputs' text, from shards spread over them; of a shard's rows one in k
   by chance (k up to `THIN`; longer shards are read in part), so that copies lie in the sample as they lie in the data.
   Shards that are read to their end tell how many rows a byte of the files makes.
2. do: the units of annotate, groups, decide and select do these rows as they would any. What they record is what a
   row costs; what they write is what a row takes.
All of it is done once before on a few rows, so that tables, models and compiled loops are there: that is the start-up
cost of a worker.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.cluster.plan import duplicates
from pairmill.curate import annotate, decide, exclude, groups, select
from pairmill.pairs import shards, sources
from pairmill.pairs.batch import Batch
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import Units
from pairmill.spec.curate import CurateSpec

SHARDS = 64  # of an input that are looked at, at most
THIN = 32  # a shard is read to its end for one row in so many
SLOW = ("html", "warc", "xml")  # formats that are never read for more rows than are taken
WHOLE_SHARD = 64_000_000  # bytes of text up to which one shard of an input is read to its end
WARM_UP = 400
DUPLICATES = ("exact_duplicate", "near_duplicate")
SMALL = 0.05  # an input with less of the rows does not hold down the rate of all


@dataclass
class Read:
    """What was read of an input. `tables` are the rows of the sample; all other counts are of what was parsed."""

    name: str
    tables: list[pa.Table] = field(default_factory=list)
    rows: int = 0
    quarantined: int = 0
    cpu: float = 0.0
    #: Of shards that were read to their end: rows, and the bytes of text that the shard plan gives them.
    whole_rows: int = 0
    whole_size: int = 0
    text_size: int = 0  # of all its shards
    shards: int = 0

    @property
    def taken(self) -> int:
        return sum(len(table) for table in self.tables)


@dataclass(frozen=True)
class Measured:
    """What units made of the rows of an input. Bytes and CPU-seconds are a row's."""

    rows: int
    passed: int  # all rules
    text: float
    annotate: float
    select: float
    annotated_bytes: float
    kept_bytes: float  # of a kept row; so is `index_bytes`
    rejected_bytes: float
    index_bytes: float


@dataclass
class Sample:
    reads: dict[str, Read]
    inputs: dict[str, Measured]
    start_up: float  # CPU-seconds
    groups: float  # CPU-seconds of the unit
    rows: int
    #: Of its rows: `input`, a place in `inputs`; `passed` all rules; labels of the `exact` class, of the `group`, and
    #: of the row that `stays` for it.
    labels: dict[str, np.ndarray] = field(default_factory=dict)

    def seen(self, column: str, shares: dict[str, float], passed: bool) -> np.ndarray:
        """`duplicates.multiplicities` of all rows, or of those that `passed`, of which each input gives the share that
        makes all rates alike."""
        random = np.random.default_rng(0)
        names, inputs = self.labels["inputs"], self.labels["input"]
        chosen = random.random(len(inputs)) < np.array([shares[str(name)] for name in names])[inputs]
        return duplicates.multiplicities(self.labels[column][chosen & self.labels["passed"] if passed else chosen])


def take(spec: CurateSpec, found: dict[str, list[sources.SourceFile]], rows: int) -> Sample:
    """Read and do about `rows` rows for every input. Raises SourceError for files that cannot be read."""
    pa.set_cpu_count(1)
    planned = {
        given.name: shards.plan([given], {given.name: found[given.name]}, spec.resources.shard_size)
        for given in spec.inputs
    }
    sizes = {name: sum(shard["text_size"] for shard in some) for name, some in planned.items()}
    wanted = _allotted(sizes, rows)
    reads = {given.name: _read(given, planned[given.name], wanted[given.name]) for given in spec.inputs}
    tables = {name: read.tables for name, read in reads.items()}
    with tempfile.TemporaryDirectory(prefix="pairmill-plan-") as folder:
        storage = open_storage(folder)
        excluded = exclude.publish(folder, spec.exclude)
        start = time.process_time()
        few = {name: [table.slice(0, WARM_UP) for table in some[:1]] for name, some in tables.items()}
        _Doing(storage, spec, "warm", excluded).all(few, reads)
        start_up = time.process_time() - start
        return _Doing(storage, spec, "sample", excluded).all(tables, reads, start_up)


def _allotted(sizes: dict[str, int], rows: int) -> dict[str, int]:
    """`rows` times the number of inputs, shared out by their text, so that all are sampled at about one rate; a tenth
    of `rows` at least."""
    total = max(sum(sizes.values()), 1)
    return {name: max(round(rows * len(sizes) * size / total), rows // 10, 1) for name, size in sizes.items()}


def _read(spec_input: Any, planned: list[dict[str, Any]], wanted: int) -> Read:
    chosen = planned[:: -(-len(planned) // SHARDS)] if planned else []
    read = Read(spec_input.name, text_size=sum(shard["text_size"] for shard in planned), shards=len(planned))
    each = -(-wanted // max(len(chosen), 1))
    thin = 1 if spec_input.format in SLOW else THIN
    for number, shard in enumerate(chosen):
        whole = number == 0 and shard["text_size"] <= WHOLE_SHARD
        _read_shard(spec_input, shard, read, min(each, wanted - read.taken), whole, thin)
    return read


def _read_shard(spec_input: Any, shard: dict[str, Any], read: Read, wanted: int, whole: bool, thin: int) -> None:
    """Add a shard's rows, drawn from all of it where they are more than one in `thin`; else stop behind the wanted
    ones, unless the `whole` shard is to be counted."""
    before, have, share, spread = read.rows, 0, 0.0, False
    random = np.random.default_rng(shard["index"])
    batches = (batch for piece in shards.pieces_of(shard) for batch in sources.read(spec_input, piece))
    for batch, cpu in _timed(batches):
        read.cpu += cpu
        read.rows += len(batch.pairs)
        read.quarantined += len(batch.quarantine)
        if not share and len(batch.pairs):
            size = (batch.pairs["anchor"].nbytes + batch.pairs["positive"].nbytes) / len(batch.pairs)
            part = wanted * size / max(shard["text_size"], 1)
            share, spread = float(np.clip(part, 1 / thin, 1.0)), part >= 1 / thin
        numbers = np.flatnonzero(random.random(len(batch.pairs)) < share)
        if len(numbers):
            read.tables.append(batch.pairs.take(pa.array(numbers)))
            have += len(numbers)
        if have >= wanted and not spread:
            if not whole:
                return
            share = -1.0  # the rest is counted and not taken
    read.whole_rows += read.rows - before
    read.whole_size += shard["text_size"]


def _timed(batches: Iterator[Batch]) -> Iterator[tuple[Batch, float]]:
    while True:
        start = time.process_time()
        batch = next(batches, None)
        if batch is None:
            return
        yield batch, time.process_time() - start


class _Doing:
    """The units of a curate job on tables of parsed pairs, one shard for each input."""

    def __init__(self, storage: Storage, spec: CurateSpec, name: str, excluded: str | None) -> None:
        self.storage, self.spec, self.name = storage, spec, name
        base = {"storage": storage.uri, "spec": spec.model_dump(mode="json"), "attempt": name, "run": name}
        self.base: dict[str, Any] = {**base, "exclude": excluded, "against": None, "contaminated": None}

    def all(self, tables: dict[str, list[pa.Table]], reads: dict[str, Read], start_up: float = 0.0) -> Sample:
        made: list[dict[str, Any]] = [
            {"index": number, "input": given.name, "key": f"{self.name}-{number}"}
            for number, given in enumerate(self.spec.inputs)
            if any(map(len, tables[given.name]))
        ]
        chunks = {shard["input"]: self._annotate(shard, tables[shard["input"]]) for shard in made}
        grouped, decided, cpu = self._dedup(made)
        item = {**self.base, "prefix": f"runs/{self.name}/select", "decided": decided, "rows": 0}
        for shard in made:
            select.select_shard({**item, "shard": shard})
        units = Units(self.storage, item["prefix"])
        selected = {shard["input"]: units.get(f"{shard['index']:06d}") or {} for shard in made}
        found = {name: self._measured(chunks[name], selected[name]) for name in chunks}
        sample = Sample(reads, found, start_up, cpu, sum(one.rows for one in found.values()))
        self._label(sample, made, selected, grouped)
        return sample

    def _annotate(self, shard: dict[str, Any], tables: list[pa.Table]) -> list[dict[str, Any]]:
        given = next(one for one in self.spec.inputs if one.name == shard["input"])
        units, chunks = Units(self.storage, annotate.PREFIX), list[dict[str, Any]]()
        batches = iter([Batch(table, len(table)) for table in tables])
        while chunk := annotate.write_chunk(
            units, f"{shard['key']}/chunk-{len(chunks):06d}", batches, self.spec, given, self.name, None
        ):
            chunks.append(chunk)
        units.commit(f"{shard['key']}/done", {"chunks": chunks})
        return chunks

    def _dedup(self, made: list[dict[str, Any]]) -> tuple[dict[str, Any] | None, dict[str, str] | None, float]:
        """The manifest of the groups, where the decisions are, and the CPU-seconds of finding the groups."""
        dedup = self.spec.dedup
        if not (dedup.exact or dedup.near) or not made:
            return None, None, 0.0
        item, key = {**self.base, "shards": made}, f"{self.name}-groups"
        groups.find_groups({**item, "key": key})
        decided = {"prefix": f"runs/{self.name}/decide", "key": "decisions"}
        decide.decide({**item, "groups": key, **decided})
        grouped = Units(self.storage, groups.PREFIX).get(key) or {}
        return grouped, decided, float(grouped["record"]["cpu_seconds"])

    def _measured(self, chunks: list[dict[str, Any]], selected: dict[str, Any]) -> Measured:
        rows = max(sum(chunk["rows"] for chunk in chunks), 1)
        kept, rejected = selected["kept"], selected["rejected"]
        size = {part: self._size(path) for part, path in selected["files"].items()}
        return Measured(
            rows=rows,
            passed=kept + sum(rejected.get(reason, 0) for reason in DUPLICATES),
            text=sum(chunk["text_bytes"] for chunk in chunks) / rows,
            annotate=sum(chunk["record"]["cpu_seconds"] for chunk in chunks) / rows,
            select=selected["record"]["cpu_seconds"] / rows,
            annotated_bytes=sum(self._size(chunk["file"]) for chunk in chunks) / rows,
            kept_bytes=size["kept"] / max(kept, 1),
            rejected_bytes=size["rejected"] / max(rows - kept, 1),
            index_bytes=size["dedup_index"] / max(kept, 1),
        )

    def _label(
        self,
        sample: Sample,
        made: list[dict[str, Any]],
        selected: dict[str, dict[str, Any]],
        grouped: dict[str, Any] | None,
    ) -> None:
        """Tell the sample how its rows are grouped, and which of them passed all rules."""
        ids, inputs, passed = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, bool)]
        stays = [np.zeros(0, np.int64)]
        for number, shard in enumerate(made):
            files = selected[shard["input"]]["files"]
            kept = self._table(files["kept"], ["pair_id"])["pair_id"].to_numpy()
            lost = self._table(files["rejected"], ["pair_id", "reason", "duplicate_of"])
            removed = np.isin(lost["reason"].to_numpy(zero_copy_only=False).astype(str), DUPLICATES)
            own = lost["pair_id"].to_numpy()
            partner = lost["duplicate_of"].combine_chunks().fill_null(-1).to_numpy()
            ids.append(np.concatenate([kept, own]))
            stays.append(np.concatenate([kept, np.where(removed, partner, own)]))
            inputs.append(np.full(len(ids[-1]), number))
            passed.append(np.concatenate([np.ones(len(kept), bool), removed]))
        every = np.concatenate(ids)
        names = np.array([shard["input"] for shard in made])
        sample.labels = {"input": np.concatenate(inputs), "inputs": names, "passed": np.concatenate(passed)}
        sample.labels["stays"] = np.concatenate(stays)
        members = self._table(grouped["file"], groups.SCHEMA.names) if grouped else groups.SCHEMA.empty_table()
        known = members["pair_id"].to_numpy()
        at = np.minimum(np.searchsorted(known, every), max(len(known) - 1, 0))
        inside = known[at] == every if len(known) else np.zeros(len(every), bool)
        for name, column in (("exact", "exact"), ("group", "near")):
            labels = every.copy()
            labels[inside] = members[column].to_numpy()[at[inside]]
            sample.labels[name] = labels

    def _table(self, path: str, columns: list[str]) -> pa.Table:
        with self.storage.open_parquet(path) as file:
            return file.read(columns=columns)

    def _size(self, path: str) -> int:
        return Path(self.storage.where(path)).stat().st_size
