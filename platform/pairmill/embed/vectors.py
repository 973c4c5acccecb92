"""The vectors of a finished embed run, as other jobs read them.

The run holds `vectors/<set>/<side>/<unit>.parquet` with `pair_id` int64 and `vector` fixed_size_list<float>[d], in the
order of the texts. Its manifest lists them under `vectors`: `{"path", "rows", "set", "side", "part"}`, in that order;
`part` is what `embed/texts.py` reads their texts from.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pairmill.errors import SpecError, StorageError
from pairmill.runs.browse import named
from pairmill.runs.storage import Storage


class Embedder(NamedTuple):
    """The model that made the vectors. `checksum` is that of `embed/engine.py`."""

    name: str
    checksum: str
    precision: str


@dataclass(frozen=True)
class Vectors:
    """The vectors of one run. `sets` is `{set: {"sides": {side: prompt's text}, "run": <curate run id> or None}}`."""

    id: str
    storage: Storage
    model: Embedder
    dims: int
    normalized: bool
    sets: dict[str, dict[str, Any]]
    listed: tuple[dict[str, Any], ...]

    @classmethod
    def open(cls, storage_uri: str, run: str) -> Vectors:
        """The embed run called `run`: an id, the start of one, or `<storage>/runs/<id>`.

        Raises SpecError where it is unknown, not finished or of another kind.
        """
        found = named(storage_uri, run)
        record = found.record() or {}
        if record.get("kind", "curate") != "embed":
            kind = record.get("kind", "curate")
            raise SpecError(f"run {found.id} is a {kind} run and has no vectors. Name a run of kind embed.")
        manifest = found.manifest()
        if manifest is None:
            state = record.get("state", "never started")
            raise SpecError(f"run {found.id} is not finished (its state: {state}). Run its command again: it resumes.")
        made = manifest["embed"]
        return cls(
            found.id,
            found.storage,
            Embedder(**made["model"]),
            made["dims"],
            made["normalized"],
            made["sets"],
            tuple(manifest["files"]["vectors"]),
        )

    def files(self, name: str, side: str) -> list[dict[str, Any]]:
        """The files of a set and a side, in the order of its texts. Raises SpecError."""
        if name not in self.sets:
            raise SpecError(f"run {self.id} has no set {name!r}. {_choice(name, list(self.sets))}")
        sides = list(self.sets[name]["sides"])
        if side not in sides:
            raise SpecError(f"set {name!r} of run {self.id} has no side {side!r}. {_choice(side, sides)}")
        return [file for file in self.listed if file["set"] == name and file["side"] == side]

    def count(self, name: str, side: str) -> int:
        """How many vectors a side has: texts that are null have none."""
        return sum(file["rows"] for file in self.files(name, side))

    def read(self, name: str, side: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Stream (pair_id (n,) int64, vectors (n, d) float32), file by file, a row group at a time.

        Raises StorageError for a file that is gone, damaged, or not of the run's dimension and rows.
        """
        for file in self.files(name, side):
            yield from self._read(file)

    def array(self, name: str, side: str) -> tuple[np.ndarray, np.ndarray]:
        """All of a side at once: pair_ids (n,) int64, vectors (n, d) float32, 4 * n * d bytes."""
        ids = np.empty(self.count(name, side), np.int64)
        vectors = np.empty((len(ids), self.dims), np.float32)
        at = 0
        for some, found in self.read(name, side):
            ids[at : at + len(some)], vectors[at : at + len(some)] = some, found
            at += len(some)
        return ids, vectors

    def _read(self, file: dict[str, Any]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        path = file["path"]
        with self.storage.open_parquet(path) as parquet, self.storage.reading(path):
            width = parquet.schema_arrow.field("vector").type.list_size
            if width != self.dims:
                raise self._other(path, f"vectors of {width} numbers", f"{self.dims}")
            if (rows := parquet.metadata.num_rows) != file["rows"]:
                raise self._other(path, f"{rows:,} rows", f"{file['rows']:,}")
            for group in range(parquet.num_row_groups):
                table = parquet.read_row_group(group, columns=["pair_id", "vector"])
                yield np.asarray(table["pair_id"]), matrix(table["vector"])

    def _other(self, path: str, found: str, allowed: str) -> StorageError:
        return StorageError(
            f"{self.storage.where(path)}: it has {found}, and run {self.id} says {allowed}: it was changed or "
            "replaced. Run the embed job with --fresh to make it again."
        )


def schema(dims: int, kind: str) -> pa.Schema:
    """The schema of a vector file; `kind` is float32 or float16."""
    value = pa.field("element", pa.float16() if kind == "float16" else pa.float32(), nullable=False)
    return pa.schema([("pair_id", pa.int64()), ("vector", pa.list_(value, dims))])


def table(pair_ids: np.ndarray, vectors: np.ndarray, kind: str) -> pa.Table:
    """pair_ids (n,) and vectors (n, d) as rows of a vector file."""
    made = schema(vectors.shape[1], kind)
    numbers = np.ascontiguousarray(vectors, np.float16 if kind == "float16" else np.float32).reshape(-1)
    column = pa.FixedSizeListArray.from_arrays(pa.array(numbers), type=made.field("vector").type)
    return pa.table([pa.array(pair_ids, pa.int64()), column], schema=made)


def matrix(column: pa.ChunkedArray, kind: type = np.float32) -> np.ndarray:
    """A column of lists of fixed size as (n, width), of this kind of number."""
    flat = column.combine_chunks()
    numbers = flat.flatten().to_numpy(zero_copy_only=False)
    return numbers.astype(kind, copy=False).reshape(len(flat), column.type.list_size)


def _choice(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return (f"Did you mean {near[0]!r}? " if near else "") + f"It has: {', '.join(known) or 'none'}."
