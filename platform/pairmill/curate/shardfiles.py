"""Reading annotated shards, and per-shard tables keyed by row.

A row of a run is named by `pair_id = shard << 32 | row in shard`. Tables that hold a few rows of many shards (groups,
decisions) are one Parquet file sorted by `pair_id`, with one row group per shard that has any, so that a shard's task
reads its own and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.curate.annotate import PREFIX
from pairmill.errors import StorageError
from pairmill.runs.storage import Storage
from pairmill.runs.units import Units

SHARD_BITS = 32


def pair_ids(shard: int, rows: np.ndarray | int) -> np.ndarray:
    """int64 ids of rows of a shard; `rows` is a count or an array of row numbers."""
    numbers = np.arange(rows, dtype=np.int64) if isinstance(rows, int) else rows.astype(np.int64)
    return (np.int64(shard) << SHARD_BITS) | numbers


def chunks(storage: Storage, key: str) -> list[dict[str, Any]]:
    """The manifests of an annotated shard's chunks, in order."""
    done = Units(storage, PREFIX).get(f"{key}/done")
    if done is None:
        raise StorageError(
            f"{storage.where(PREFIX)}/{key}: this shard's annotations are gone (deleted by someone?). "
            "Run the same command again: missing shards are annotated anew."
        )
    return done["chunks"]


def read(storage: Storage, key: str, columns: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
    """Stream an annotated shard as (first row, table) by row group."""
    first = 0
    for chunk in chunks(storage, key):
        with storage.open_parquet(chunk["file"]) as file:
            for group in range(file.num_row_groups):
                with storage.reading(chunk["file"]):
                    table = file.read_row_group(group, columns=list(columns))
                yield first, table
                first += len(table)


def write_by_shard(storage: Storage, path: str, table: pa.Table) -> dict[str, int]:
    """Write a table sorted by `pair_id`; return each shard's row group."""
    shards = np.asarray(table["pair_id"]) >> SHARD_BITS
    bounds = np.flatnonzero(np.diff(shards, prepend=shards[0] - 1)) if len(shards) else np.array([], int)
    ends = [*bounds[1:], len(shards)] if len(bounds) else []
    groups: dict[str, int] = {}
    with storage.parquet_writer(path, table.schema) as writer:
        for number, (start, stop) in enumerate(zip(bounds, ends, strict=True)):
            writer.write_table(table.slice(start, stop - start), row_group_size=max(int(stop - start), 1))
            groups[str(int(shards[start]))] = number
    return groups


def read_shard(storage: Storage, manifest: dict[str, Any], shard: int) -> pa.Table:
    """A shard's rows of a table written by `write_by_shard`."""
    with storage.reading(manifest["file"]), storage.open_parquet(manifest["file"]) as file:
        group = manifest["groups"].get(str(shard))
        return file.schema_arrow.empty_table() if group is None else file.read_row_group(group)


def rows_at(
    storage: Storage, keys: dict[int, str], ids: Sequence[int], columns: Sequence[str]
) -> dict[int, dict[str, Any]]:
    """A few rows by `pair_id`, read by the row groups they are in. `keys` maps shard numbers to annotation keys."""
    wanted = np.unique(np.asarray(ids, np.int64))
    rows: dict[int, dict[str, Any]] = {}
    for shard in np.unique(wanted >> SHARD_BITS).tolist():
        numbers = wanted[wanted >> SHARD_BITS == shard] & ((1 << SHARD_BITS) - 1)
        for number, row in _rows_of(storage, keys[shard], numbers, columns):
            rows[(shard << SHARD_BITS) | number] = row
    return rows


def _rows_of(
    storage: Storage, key: str, numbers: np.ndarray, columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of a shard by ascending numbers; row groups that have none are not read."""
    first = 0
    for chunk in chunks(storage, key):
        if np.searchsorted(numbers, first) == np.searchsorted(numbers, first + chunk["rows"]):
            first += chunk["rows"]
            continue
        with storage.open_parquet(chunk["file"]) as file, storage.reading(chunk["file"]):
            for group in range(file.num_row_groups):
                low, high = np.searchsorted(numbers, [first, first + file.metadata.row_group(group).num_rows])
                if low < high:
                    table = file.read_row_group(group, columns=list(columns)).take(pa.array(numbers[low:high] - first))
                    yield from zip(numbers[low:high].tolist(), table.to_pylist(), strict=True)
                first += file.metadata.row_group(group).num_rows


def matrix(column: pa.ChunkedArray | pa.Array, kind: type) -> np.ndarray:
    """Fixed-size binary rows as a matrix of `kind`, without a copy where the column is one chunk."""
    array = column.combine_chunks()
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    width = array.type.byte_width // np.dtype(kind).itemsize
    flat: np.ndarray = np.frombuffer(array.buffers()[1], kind)
    return flat[array.offset * width : (array.offset + len(array)) * width].reshape(-1, width)
