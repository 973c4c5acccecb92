"""Exchange files: how the rows of one stage get to the units of the next, sorted by destination.

A unit writes an Arrow file with one record batch for each unit of the next stage, which reads its own batch of every
file. Rows keep their order, so what a reader gets depends on the order of the files alone. The files are named by the
manifests of committed units: a unit that is lost is done again, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pairmill.runs.storage import Storage


def write(storage: Storage, path: str, table: pa.Table, destination: np.ndarray, count: int) -> None:
    """Write rows for `count` readers; `destination` (n,) is the number of each row's reader."""
    narrow = destination.astype(np.uint16) if count <= 1 << 16 else destination  # NumPy sorts 16 bits by radix
    order = np.argsort(narrow, kind="stable")
    bounds = np.append(0, np.cumsum(np.bincount(destination, minlength=count)))
    ordered = table.take(pa.array(order)).combine_chunks()
    with storage.arrow_writer(path, table.schema) as writer:
        for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            batches = ordered.slice(start, stop - start).to_batches()
            writer.write_batch(batches[0] if batches else _empty(table.schema))


def read(storage: Storage, path: str, reader: int) -> pa.RecordBatch:
    """One reader's rows of a file."""
    with storage.reading(path):
        return storage.open_arrow(path).get_batch(reader)


def read_every(storage: Storage, paths: Sequence[str], schema: pa.Schema) -> pa.Table:
    """The rows of several files for all readers."""
    tables = []
    for path in paths:
        with storage.reading(path):
            tables.append(storage.open_arrow(path).read_all())
    return pa.concat_tables(tables) if tables else schema.empty_table()


def read_all(storage: Storage, paths: Sequence[str], reader: int, schema: pa.Schema) -> pa.Table:
    """One reader's rows of several files, in their order."""
    return pa.Table.from_batches([read(storage, path, reader) for path in paths], schema)


def by_hash(ids: np.ndarray, count: int) -> np.ndarray:
    """Destinations of ids (int64), spread evenly over `count` readers."""
    mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return by_prefix((mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9), count)


def by_prefix(hashes: np.ndarray, count: int) -> np.ndarray:
    """Destinations of hashes (uint64) by their leading bits: each of `count` readers has a range of hashes."""
    return ((hashes >> np.uint64(32)) * np.uint64(count) >> np.uint64(32)).astype(np.int64)


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
