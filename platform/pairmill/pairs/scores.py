"""Score side-tables: scores of a run's kept rows, written by one run and read by others.

    scores/<unit>.parquet   pair_id (int64), then a column per score (float32 or int64), ascending by pair_id
    the run's manifest      files.scores: path, rows, first and last pair_id; no two files overlap
                            scores: of (the run that kept the rows), its generation, and the columns

A float32 score is NaN, an int64 one null where it could not be computed; a row that is not in the table was not looked
at. A column's direction says where clean values lie; columns without one name something: a row by its pair_id, a group.

A lookup reads the files, and of them the row groups, whose ids lie in the range that is asked for: so a kept file,
whose rows are neighbours, is joined with its scores alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from pairmill.errors import SpecError, StorageError
from pairmill.pairs.schema import PAIR
from pairmill.runs.browse import named
from pairmill.runs.storage import Storage
from pairmill.spec.rules import RULES

#: What stands for a missing int64: ids, ranks and groups are never negative.
NONE = -1
GROUP_ROWS = 65_536
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DECIDED = ["reason", "failed", "stage", "value", "threshold", "duplicate_of", "duplicate_run", "kept", "no_score"]
_TAKEN = {*PAIR.names, *_DECIDED, *RULES, *(column for rule in RULES.values() for column in rule.columns)}


@dataclass(frozen=True)
class Column:
    """A score column. Raises ValueError for a name that pairs or filter rules have already."""

    name: str
    type: Literal["float32", "int64"]
    direction: Literal["high", "low"] | None  # where clean values lie; None: it names a row or a group
    describe: str  # what it measures, in a phrase: the report shows it

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name in _TAKEN:
            raise ValueError(f"{self.name!r} cannot be a score column: kept rows or filter rules have it already")

    @property
    def field(self) -> pa.Field:
        return pa.field(self.name, pa.float32() if self.type == "float32" else pa.int64())

    def blanks(self, count: int) -> np.ndarray:
        """Missing values (count,)."""
        return np.full(count, np.nan if self.type == "float32" else NONE, self.type)

    def numbers(self, values: pa.ChunkedArray | pa.Array) -> np.ndarray:
        """The values (n,) of an Arrow column: float32 with NaN, or int64 with NONE, where there is none."""
        filled: np.ndarray = values.fill_null(np.nan if self.type == "float32" else NONE).to_numpy()
        return filled

    def array(self, values: np.ndarray) -> pa.Array:
        """The inverse of `numbers`; in float32, NaN stays NaN."""
        return pa.array(values, self.field.type, mask=values == NONE if self.type == "int64" else None)


@dataclass(frozen=True)
class Found:
    """Scores of n rows. `there` (n,): whether the row is in the table; `columns`: (n,) each, as `Column.numbers`."""

    there: np.ndarray
    columns: dict[str, np.ndarray]


def write(
    storage: Storage, path: str, columns: Sequence[Column], pair_ids: np.ndarray, values: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Write a file of rows with ascending `pair_ids` (n,) and `values` (n,) of each column; returns its manifest entry.

    Missing values: NaN in float32, NONE in int64. Raises ValueError where the ids do not ascend.
    """
    ids = np.asarray(pair_ids, np.int64)
    if np.any(np.diff(ids) <= 0):
        raise ValueError(f"{path}: the pair_ids of a score table must ascend and be unique")
    schema = pa.schema([pa.field("pair_id", pa.int64()), *[column.field for column in columns]])
    with storage.parquet_writer(path, schema) as writer:
        arrays = [pa.array(ids), *[column.array(np.asarray(values[column.name])) for column in columns]]
        writer.write_table(pa.table(arrays, schema=schema), row_group_size=GROUP_ROWS)
    bounds = {"first": int(ids[0]), "last": int(ids[-1])} if len(ids) else {"first": None, "last": None}
    return {"path": path, "rows": len(ids), **bounds}


def manifest(of: str, generation: int, columns: Sequence[Column], files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The part of a run's manifest for its score tables: `Run.publish({**manifest(..), ..}, summary)`.

    `of` and `generation` are those of the run that kept the rows (`KeptRun.id`, `KeptRun.generation`); `files` are the
    entries that `write` returned. Raises ValueError where the ids of two files overlap.
    """
    filled = sorted((dict(file) for file in files if file["rows"]), key=lambda file: file["first"])
    for before, after in zip(filled, filled[1:], strict=False):
        if before["last"] >= after["first"]:
            raise ValueError(f"{before['path']} and {after['path']} both have scores of row {after['first']}")
    about = {"of": of, "generation": generation, "columns": [asdict(column) for column in columns]}
    return {"files": {"scores": filled}, "scores": about}


@dataclass(frozen=True)
class ScoreTables:
    """The score tables of a finished run: whose rows they are of, their columns, and how to look rows up."""

    run: str
    generation: int
    storage: Storage
    of: str
    of_generation: int
    columns: tuple[Column, ...]
    files: tuple[dict[str, Any], ...]

    @classmethod
    def open(cls, storage_uri: str, run_name: str) -> ScoreTables:
        """The newest tables of the run called `run_name` (an id, the start of one, or `<storage>/runs/<id>`).

        Raises SpecError where it is unknown, not finished, or wrote no scores.
        """
        run = named(storage_uri, run_name)
        if "scores" not in run.finished_manifest():
            kind = (run.record() or {}).get("kind", "curate")
            raise SpecError(f"run {run.id} is a {kind} run without scores. Name a mine run that scores pairs.")
        return cls.at(run.storage, run.id, run.generation)

    @classmethod
    def at(cls, storage: Storage, run_id: str, number: int) -> ScoreTables:
        """The tables of one finished generation of a run. Raises StorageError where its manifest is gone."""
        place = f"runs/{run_id}/manifests/{number}.json"
        published = storage.get_json(place)
        if published is None:
            raise StorageError(f"{storage.where(place)}: it is gone (deleted by someone?). Run {run_id} again.")
        about = published["scores"]
        columns = tuple(Column(**column) for column in about["columns"])
        files = tuple(published["files"]["scores"])
        return cls(run_id, number, storage, about["of"], about["generation"], columns, files)

    @property
    def rows(self) -> int:
        return sum(file["rows"] for file in self.files)

    def lookup(self, pair_ids: np.ndarray) -> Found:
        """The scores of the rows `pair_ids` (n,), in any order. Raises StorageError where a file is gone or damaged."""
        there = np.zeros(len(pair_ids), bool)
        columns = {column.name: column.blanks(len(pair_ids)) for column in self.columns}
        if len(pair_ids):
            for table in self._between(int(pair_ids.min()), int(pair_ids.max())):
                known = table["pair_id"].to_numpy()
                at = np.minimum(np.searchsorted(known, pair_ids), len(known) - 1)
                hit = known[at] == pair_ids
                there |= hit
                for column in self.columns:
                    columns[column.name][hit] = column.numbers(table[column.name])[at[hit]]
        return Found(there, columns)

    def _between(self, first: int, last: int) -> Iterator[pa.Table]:
        """The row groups, none of them empty, that may hold ids from `first` to `last`."""
        names = ["pair_id", *[column.name for column in self.columns]]
        for file in self.files:
            if file["first"] <= last and file["last"] >= first:
                yield from read_between(self.storage, file["path"], names, first, last)


def read_between(storage: Storage, path: str, columns: Sequence[str], first: int, last: int) -> Iterator[pa.Table]:
    """The row groups of a file, whose first column is an ascending `pair_id`, that hold ids from `first` to `last`."""
    with storage.open_parquet(path) as file, storage.reading(path):
        for group in range(file.num_row_groups):
            bounds = file.metadata.row_group(group).column(0).statistics
            if bounds is not None and bounds.min <= last and bounds.max >= first:
                yield file.read_row_group(group, columns=list(columns))
