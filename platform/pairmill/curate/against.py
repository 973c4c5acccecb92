"""Earlier runs whose kept rows win: their `dedup_index/` takes part in deduplication as shards of its own.

An earlier run's index files are numbered by negative shard numbers, in the order of `dedup.against`, so their rows come
before all rows of this run in canonical order. The walk keeps them unseen and compares new rows with them. Their texts,
where they are compared, are read from the run's kept rows, which stand in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate import annotate, shardfiles
from pairmill.errors import SpecError
from pairmill.pairs.scores import read_between
from pairmill.runs.browse import named
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import digest
from pairmill.spec.curate import CurateSpec

PREFIX = "stages/against"
_ROW = (1 << shardfiles.SHARD_BITS) - 1


def parameters(spec: CurateSpec) -> dict[str, Any]:
    """What a `dedup_index/` is made with: two can be compared where these are equal."""
    exact_key, near = annotate.keys(spec)
    bands = [spec.dedup.near.bands, spec.dedup.near.rows] if spec.dedup.near else None
    return {"exact": exact_key, "signature": near, "bands": bands}


def shards(storage_uri: str, spec: CurateSpec) -> list[dict[str, Any]]:
    """The index files of the runs named in `dedup.against`: `{"index", "run", "storage", "file", "kept", "rows"}`.

    Raises SpecError for a run that is not there, not finished, not a curate run, or made with other parameters.
    """
    found = [part for name in spec.dedup.against for part in _of_run(storage_uri, name, spec)]
    return [{"index": number - len(found), **part} for number, part in enumerate(found)]


def _of_run(storage_uri: str, name: str, spec: CurateSpec) -> list[dict[str, Any]]:
    run = named(storage_uri, name)
    manifest = run.finished_manifest("dedup.against")
    theirs, ours = manifest.get("dedup_index"), parameters(spec)
    if theirs is None:
        raise SpecError(
            f"dedup.against: run {run.id} has no dedup_index/. Name a curate run of files, or one selected from it."
        )
    different = [key for key in ours if theirs.get(key) != ours[key]]
    if different:
        values = "; ".join(f"{key}: {theirs.get(key)} there, {ours[key]} here" for key in different)
        raise SpecError(
            f"dedup.against: the index of run {run.id} cannot be compared with this spec's rows ({values}). Give "
            "`dedup` the keys, slots, bands and rows of that run, or run that one again with these."
        )
    files = manifest["files"]
    pairs = zip(files.get("dedup_index", []), files.get("kept", []), strict=True)
    part = {"run": name, "storage": run.storage.uri}
    return [{**part, "file": index["path"], "kept": kept["path"], "rows": index["rows"]} for index, kept in pairs]


def publish(storage: Storage, earlier: list[dict[str, Any]]) -> str | None:
    """Put the list of earlier shards where tasks find it; returns its digest, which is part of what the job means."""
    if not earlier:
        return None
    name = digest(earlier)
    storage.put_json_if_absent(f"{PREFIX}/{name}.json", earlier)
    return name


def load(storage: Storage, name: str | None) -> list[dict[str, Any]]:
    """What was published under that digest."""
    return storage.get_json(f"{PREFIX}/{name}.json") if name else []


def read(storage: Storage, shard: dict[str, Any], columns: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
    """Stream the hashes of a shard, of this run or of an earlier one, as (first row, table)."""
    if "file" not in shard:
        yield from shardfiles.read(storage, shard["key"], columns)
    else:
        yield from _read(open_storage(shard["storage"]), shard["file"], columns)


def _read(storage: Storage, file: str, columns: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
    first = 0
    with storage.open_parquet(file) as parquet, storage.reading(file):
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group, columns=list(columns))
            yield first, table
            first += len(table)


def rows(storage: Storage, shard: dict[str, Any]) -> int:
    """How many rows a shard of either kind has."""
    if "file" in shard:
        return int(shard["rows"])
    return sum(chunk["rows"] for chunk in shardfiles.chunks(storage, shard["key"]))


def members(shard: dict[str, Any], ids: np.ndarray, signature: bool) -> pa.Table:
    """Rows of an earlier run by their ids in this run: the sides and, on request, the signature."""
    wanted = ids & _ROW
    sides = _take(shard, "kept", ["anchor", "positive"], wanted)
    if not signature:
        return sides
    return sides.append_column("signature", _take(shard, "file", ["signature"], wanted)["signature"])


def kept_row(storage_uri: str, name: str, pair_id: int) -> dict[str, Any] | None:
    """A kept row of an earlier run; None where that run is gone."""
    try:
        run = named(storage_uri, name)
    except SpecError:
        return None
    return row_of(run.storage, (run.manifest() or {"files": {}})["files"].get("kept", []), pair_id)


def row_of(storage: Storage, kept: Sequence[dict[str, Any]], pair_id: int) -> dict[str, Any] | None:
    """A row of a run's kept files, `files.kept` of its manifest; None where it is in none."""
    columns = ["pair_id", "anchor", "positive", "origin_file", "origin_row"]
    for entry in kept:
        if entry["shard"] in (None, pair_id >> shardfiles.SHARD_BITS):
            for table in read_between(storage, entry["path"], columns, pair_id, pair_id):
                if rows := table.filter(pc.equal(table["pair_id"], pair_id)).to_pylist():
                    return dict(rows[0])
    return None


def _take(shard: dict[str, Any], file: str, columns: Sequence[str], wanted: np.ndarray) -> pa.Table:
    """Some rows, by ascending numbers, of one of a shard's files; row groups that have none are not read."""
    storage, first, parts = open_storage(shard["storage"]), 0, []
    with storage.open_parquet(shard[file]) as parquet, storage.reading(shard[file]):
        for group in range(parquet.num_row_groups):
            count = parquet.metadata.row_group(group).num_rows
            low, high = np.searchsorted(wanted, [first, first + count])
            if low < high:
                table = parquet.read_row_group(group, columns=list(columns))
                parts.append(table.take(pa.array(wanted[low:high] - first)))
            first += count
    return pa.concat_tables(parts)


def with_runs(storage: Storage, decisions: pa.Table, published: str | None) -> pa.Table:
    """Decisions with the column `duplicate_run`: null, or the run, as the spec names it, of the row `duplicate_of`."""
    ids = np.asarray(decisions["duplicate_of"]).copy()
    runs = np.full(len(ids), None, object)
    places = np.flatnonzero(ids < 0)
    if published is not None and len(places):
        by_index = {shard["index"]: shard for shard in load(storage, published)}
        indexes = ids[places] >> shardfiles.SHARD_BITS
        for index in np.unique(indexes).tolist():
            at = places[indexes == index]
            rows, where = np.unique(ids[at] & _ROW, return_inverse=True)
            own = _take(by_index[index], "file", ["pair_id"], rows)["pair_id"]
            ids[at], runs[at] = np.asarray(own)[where], by_index[index]["run"]
    table = decisions.set_column(decisions.schema.get_field_index("duplicate_of"), "duplicate_of", pa.array(ids))
    return table.append_column("duplicate_run", pa.array(runs, pa.string()))
