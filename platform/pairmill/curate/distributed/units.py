"""What the units of distributed deduplication are given, and where they find each other's files.

An item holds, besides what every unit gets: `number`, its own; `at`, the key under which this layout's units stand;
`ranges`, the first shard of each range; `partitions`; `piece`, the rows that may be held at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from pairmill.curate import shardfiles
from pairmill.errors import StorageError
from pairmill.runs import exchange
from pairmill.runs.storage import Storage
from pairmill.runs.units import Units

PREFIX = "stages/groups"
LINKS = pa.schema([("row", pa.int64()), ("head", pa.int64())])


def key(at: str, stage: str, number: int) -> str:
    return f"{at}/{stage}-{number:06d}"


def files(units: Units, at: str, stage: str, numbers: Iterable[int], name: str) -> list[str]:
    """The files `name` of a stage's units, in order."""
    found: list[str] = []
    for number in numbers:
        manifest = units.get(key(at, stage, number))
        if manifest is None:
            raise StorageError(
                f"{units.storage.where(units.path(key(at, stage, number)))}: this unit of deduplication is gone "
                "(deleted by someone?). Run the same command again with --fresh."
            )
        found += manifest["files"].get(name, [])
    return found


def range_of(ids: np.ndarray, starts: list[int]) -> np.ndarray:
    """The number of the range that each pair_id is in; `starts` are the ranges' first shards."""
    return np.searchsorted(np.array(starts), ids >> shardfiles.SHARD_BITS, side="right") - 1


def pieces(storage: Storage, paths: list[str], reader: int, most: int) -> Iterator[pa.Table]:
    """The reader's rows of all files, by ranges of their first column (uint64 hashes), at most `most` rows at a time.

    Within a piece rows are in the order of the files. A hash that has more rows alone comes file by file, the pieces of
    one hash following each other.
    """
    hashes, batches, count = [np.empty(0, np.uint64)], list[pa.RecordBatch](), 0
    for path in paths:
        batch = exchange.read(storage, path, reader)
        hashes.append(np.array(batch[0]))  # a copy: a view would hold all of the batch
        batches.append(batch)
        count += len(batch)
        if count > most:
            batches.clear()
    if 0 < count <= most:
        yield pa.Table.from_batches(batches)
        return
    for low, high, fits in _cuts(np.sort(np.concatenate(hashes)), most):
        parts = (_between(exchange.read(storage, path, reader), low, high) for path in paths)
        if fits:
            yield pa.concat_tables(list(parts))
        else:
            yield from parts


def _between(batch: pa.RecordBatch, low: int, high: int) -> pa.Table:
    hashes = np.asarray(batch[0])
    chosen = np.flatnonzero((hashes >= np.uint64(low)) & (hashes <= np.uint64(high)))
    return pa.Table.from_batches([batch]).take(pa.array(chosen))


def _cuts(hashes: np.ndarray, most: int) -> Iterator[tuple[int, int, bool]]:
    """Ranges (first, last hash, whether it has at most `most` rows) that cover sorted hashes."""
    start = 0
    while start < len(hashes):
        stop = start + most
        if stop < len(hashes):  # back to where the hash that would be cut begins
            stop = int(np.searchsorted(hashes, hashes[stop], side="left"))
        if stop <= start:  # one hash alone is too large
            stop = int(np.searchsorted(hashes, hashes[start], side="right"))
        stop = min(stop, len(hashes))
        yield int(hashes[start]), int(hashes[stop - 1]), stop - start <= most
        start = stop
