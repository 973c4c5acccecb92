"""Reading prepared rows: any rows of a group, as NumPy arrays, and a thread that keeps some steps ahead.

On a local disk the files are memory-mapped, so that a row costs what its tokens cost; of an object store whole row
batches are fetched, and the newest kept.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pairmill.runs.storage import Storage
from pairmill.train.plan import Plan, Step
from pairmill.train.prepared.bucket import ROWS
from pairmill.train.prepared.manifest import Manifest

#: Open files and row batches that are kept; of a local disk, a batch is a view of the mapped file.
FILES, BATCHES = 64, 64


class Ragged(NamedTuple):
    """Sequences one after the other: sequence i is values[offsets[i] : offsets[i + 1]]."""

    values: np.ndarray  # (T,) int32
    offsets: np.ndarray  # (n + 1,) int64


class Batch(NamedTuple):
    """What a rank gets of a step. `part` is its slice of the global batch."""

    step: Step
    part: slice
    tokens: dict[str, Ragged]  # of its own rows; `negatives` holds h sequences a row
    meta: dict[str, np.ndarray]  # of all rows of the global batch: (n,) or (n, h)


class Reader:
    """Rows of the groups of a manifest, those for training and those held out (`holdout=True`)."""

    def __init__(self, storage: Storage, manifest: Manifest, holdout: bool = False):
        self._storage = storage
        self._groups = {group["name"]: group for group in manifest["holdout" if holdout else "groups"]}
        self._starts = {
            name: np.cumsum([0, *(file["rows"] for file in group["files"])]) for name, group in self._groups.items()
        }
        self._file = lru_cache(maxsize=FILES)(self._open)
        self._batch = lru_cache(maxsize=BATCHES)(self._load)

    def read(self, group: str, rows: np.ndarray, columns: Sequence[str] | None = None) -> dict[str, Any]:
        """The rows (n,) of a group, in the order asked for: Ragged for token columns, else arrays (n,) or (n, h).

        Raises IndexError for a row the group does not have, StorageError where a file is gone or damaged.
        """
        table = self.table(group, rows, columns)
        return {name: _array(table[name].combine_chunks()) for name in table.column_names}

    def table(self, group: str, rows: np.ndarray, columns: Sequence[str] | None = None) -> pa.Table:
        """The same as an Arrow table."""
        starts = self._starts[group]
        rows = np.asarray(rows, np.int64)
        if len(rows) and (rows.min() < 0 or rows.max() >= starts[-1]):
            raise IndexError(f"group {group} has rows 0 to {starts[-1] - 1}; asked for {rows.min()} to {rows.max()}")
        file = np.searchsorted(starts, rows, side="right") - 1
        batch, at = np.divmod(rows - starts[file], ROWS)
        place = file << 32 | batch
        order = np.argsort(place, kind="stable")
        ordered, at = place[order], at[order]
        bounds = np.flatnonzero(np.diff(ordered, prepend=-1, append=-1))
        pieces = [
            self._rows(group, int(ordered[start]), at[start:stop], columns)
            for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
        ]
        table = pa.Table.from_batches(pieces or [self._rows(group, 0, at, columns)])
        if np.all(order[1:] > order[:-1]):
            return table.combine_chunks()
        inverse = np.empty_like(order)
        inverse[order] = np.arange(len(order))
        return table.combine_chunks().take(pa.array(inverse))

    def _rows(self, group: str, place: int, at: np.ndarray, columns: Sequence[str] | None) -> pa.RecordBatch:
        file = self._groups[group]["files"][place >> 32]
        batch = self._batch(file["path"], file["first_batch"] + (place & 0xFFFFFFFF))
        batch = batch if columns is None else batch.select(list(columns))
        if len(at) and np.all(np.diff(at) == 1):
            return batch.slice(int(at[0]), len(at))
        return batch.take(pa.array(at))

    def _open(self, path: str) -> pa.ipc.RecordBatchFileReader:
        return self._storage.open_arrow(path)

    def _load(self, path: str, number: int) -> pa.RecordBatch:
        with self._storage.reading(path):
            return self._file(path).get_batch(number)


class Prefetcher:
    """The batches of a rank from step `start` on, read `ahead` steps before they are asked for, in a thread.

    Iterate over it; an error of the thread is raised where the batch was expected. Use it as a context, or `close` it.
    """

    def __init__(self, plan: Plan, reader: Reader, start: int = 0, rank: int = 0, world: int = 1, ahead: int = 4):
        self._plan, self._reader, self._start, self._rank, self._world = plan, reader, start, rank, world
        self._queue: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=ahead)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="prefetch", daemon=True)
        self._thread.start()

    def __enter__(self) -> Prefetcher:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Batch]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            for number in range(self._start, len(self._plan)):
                if not self._put(batch(self._reader, self._plan.step(number), self._rank, self._world)):
                    return
            self._put(None)
        except BaseException as error:
            self._put(error)

    def _put(self, item: Batch | BaseException | None) -> bool:
        """Wait for room; False where the consumer has gone."""
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except queue.Full:
                pass
        return False


def batch(reader: Reader, step: Step, rank: int = 0, world: int = 1) -> Batch:
    """What a rank gets of a step."""
    part = step.part(rank, world)
    table = reader.table(step.group.name, step.rows)
    token_columns = [field.name for field in table.schema if _is_tokens(field.type)]
    own = table.select(token_columns).slice(part.start, part.stop - part.start)
    tokens = {name: _array(own[name].combine_chunks()) for name in token_columns}
    meta = {name: _array(table[name].combine_chunks()) for name in table.column_names if name not in tokens}
    return Batch(step, part, tokens, meta)


def _is_tokens(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or (pa.types.is_fixed_size_list(kind) and pa.types.is_list(kind.value_type))


def _array(column: pa.Array) -> Any:
    """A column as NumPy has it; a list of `h` values a row as (n, h), lists of tokens as Ragged."""
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    if not pa.types.is_nested(column.type):
        return column.to_numpy(zero_copy_only=False)
    inner = column.flatten()
    if pa.types.is_list(column.type):
        offsets = np.asarray(column.offsets).astype(np.int64)
        return Ragged(inner.to_numpy(zero_copy_only=False), offsets - offsets[0])
    return _array(inner) if _is_tokens(column.type) else _array(inner).reshape(len(column), -1)
