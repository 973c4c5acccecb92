"""The stages of a job that selects from a run, over the run's kept files.

1. *duplicates* (one task, where semantic duplicates are dropped): of all rows that a score table calls duplicates and
   of those they repeat, judge which pass the rules; of each group the first that passes stays, that which the others
   repeat before all. So a removed row has a kept partner, and no group is lost with the row that stood for it.
2. *select* (per kept file): join the rows with their scores by pair_id, judge them, write kept, rejected and, where the
   run has one, dedup_index. Rows keep their pair_id, origin and source.
3. *sensitivity* (per kept file, where semantic duplicates are kept): see `curate/sensitivity`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate import decide, derived_rules, select
from pairmill.curate.derived_rules import DUPLICATE_OF
from pairmill.curate.samples import Samples
from pairmill.curate.sensitivity import levers
from pairmill.curate.sensitivity import rows as sensitivity_rows
from pairmill.curate.statistics import Statistics
from pairmill.curate.thresholds import ActiveRule
from pairmill.errors import PairmillError
from pairmill.pairs.schema import PAIR
from pairmill.pairs.scores import NONE, Column, Found, ScoreTables, read_between
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import Units, do_once
from pairmill.spec.derived import DerivedSpec

VERSION = 2
REASON = "semantic_duplicate"
DECISION = pa.schema([*decide.SCHEMA, ("duplicate_run", pa.string())])


def kept_schema(parent: pa.Schema, columns: Mapping[str, Column]) -> pa.Schema:
    """The columns of kept rows: the pair, then all scores by name; those of the tables replace the run's."""
    fields = {field.name: field for field in parent if field.name not in PAIR.names}
    fields |= {name: column.field for name, column in columns.items()}
    return pa.schema([*PAIR, *[fields[name] for name in sorted(fields)]])


def score_columns(schema: pa.Schema, columns: Mapping[str, Column]) -> list[str]:
    """The score columns of kept rows: all but those that name a row or a group."""
    named = {name for name, column in columns.items() if not column.direction}
    return [name for name in schema.names if name not in PAIR.names and name not in named]


class _Rows:
    """The rows of the parent's kept files, with their scores."""

    def __init__(self, item: dict[str, Any]):
        self.storage = open_storage(item["parent"]["storage"])
        self.tables = [ScoreTables.at(open_storage(uri), run, number) for uri, run, number in item["tables"]]
        self.columns = {column.name: column for column in (Column(**given) for given in item["columns"])}
        self.spec = DerivedSpec.model_validate(item["spec"])
        self._sources = item["sources"]
        self.rules = self.rules_with(None)

    def rules_with(self, moved: levers.Moved | None) -> list[ActiveRule]:
        """The run's rules, with some bounds set otherwise."""
        return derived_rules.active(self.spec, self.columns, self._sources, moved)

    def ids(self, path: str) -> np.ndarray:
        """The ids (n,) of a kept file's rows. Raises PairmillError where they do not ascend."""
        with self.storage.open_parquet(path) as file, self.storage.reading(path):
            ids: np.ndarray = file.read(["pair_id"])["pair_id"].to_numpy()
        if np.any(np.diff(ids) <= 0):
            raise PairmillError(f"{self.storage.where(path)}: its pair_ids do not ascend, so scores cannot be joined.")
        return ids

    def scores(self, ids: np.ndarray) -> dict[str, pa.Array]:
        """The tables' columns for these rows."""
        found: list[Found] = [table.lookup(ids) for table in self.tables]
        return {name: self.columns[name].array(values) for one in found for name, values in one.columns.items()}

    def read(self, path: str, ids: np.ndarray, names: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
        """Stream a kept file by row group as (first row, table of these columns)."""
        scores, first = self.scores(ids), 0
        own = [name for name in names if name not in scores]
        with self.storage.open_parquet(path) as file, self.storage.reading(path):
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=own)
                here = {name: scores[name].slice(first, len(table)) for name in names if name in scores}
                yield first, pa.table({name: here[name] if name in here else table[name] for name in names})
                first += len(table)


def find_duplicates(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function: commit the rows that semantic duplicates remove."""

    def work(units: Units) -> dict[str, Any]:
        rows = _Rows(item)
        ids, partners = _pairs(rows, item["files"])
        members = np.unique(np.append(ids, partners))
        passing = _passing(rows, item["files"], members)
        removed, kept = walk(ids, partners, passing)
        blank = {"similarity": np.full(len(removed), np.nan, np.float32), "duplicate_run": [None] * len(removed)}
        decided = {"pair_id": removed, "reason": [REASON] * len(removed), "duplicate_of": kept, **blank}
        path = units.data_path(item["key"])
        with units.storage.parquet_writer(path, DECISION) as writer:
            writer.write_table(pa.table(decided, schema=DECISION), row_group_size=65_536)
        return {"file": path, "rows": len(removed)}

    return do_once(item, item["prefix"], work)


def walk(ids: np.ndarray, partners: np.ndarray, passing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which rows go, and for which that stay: (removed (m,), its kept partner (m,)), ascending.

    Row `ids[i]` repeats `partners[i]` (n,), which repeats none; `passing` holds the rows that pass all rules.
    Of each group the partner stays if it passes, else the passing row with the lowest id.
    """
    heads = np.unique(partners)
    row, group = np.append(heads, ids), np.append(heads, partners)
    keep = np.isin(row, passing)
    row, group = row[keep], group[keep]
    order = np.lexsort((row, row != group, group))
    row, group = row[order], group[order]
    first = np.r_[True, group[1:] != group[:-1]] if len(group) else np.zeros(0, bool)
    stays = row[np.maximum.accumulate(np.where(first, np.arange(len(row)), 0))] if len(row) else row
    removed, kept = row[~first], stays[~first]
    order = np.argsort(removed)
    return removed[order], kept[order]


def _pairs(rows: _Rows, files: Sequence[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """The rows that repeat another, and which."""
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for file in files:
        ids = rows.ids(file["path"])
        for _, table in rows.read(file["path"], ids, ["pair_id", DUPLICATE_OF]):
            here, partners = table["pair_id"].to_numpy(), rows.columns[DUPLICATE_OF].numbers(table[DUPLICATE_OF])
            chosen = (partners != NONE) & (partners != here)
            found.append((here[chosen], partners[chosen]))
    columns = zip(*found, strict=True) if found else ([], [])
    ids, partners = (np.concatenate([np.zeros(0, np.int64), *column]) for column in columns)
    return ids, partners


def _passing(rows: _Rows, files: Sequence[dict[str, Any]], members: np.ndarray) -> np.ndarray:
    """Those of some rows (n,) that the rules let pass; rows that the run has not kept do not."""
    passing = [np.zeros(0, np.int64)]
    for file in files:
        ids = rows.ids(file["path"])
        for first, table in rows.read(file["path"], ids, derived_rules.judged_columns(rows.rules)):
            here = ids[first : first + len(table)]
            asked = _among(here, members)
            if asked.any():
                passes = derived_rules.apply(rows.rules, table.filter(pa.array(asked))).first < 0
                passing.append(here[asked][passes])
    return np.concatenate(passing)


def _among(values: np.ndarray, sorted_: np.ndarray) -> np.ndarray:
    """Which of some values (n,) stand in an ascending array."""
    if not len(sorted_):
        return np.zeros(len(values), bool)
    found: np.ndarray = sorted_[np.minimum(np.searchsorted(sorted_, values), len(sorted_) - 1)] == values
    return found


def select_file(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function: write and commit the kept and rejected rows of one kept file."""
    return do_once(item, item["prefix"], lambda units: _select(units.storage, _Rows(item), item))


def _select(storage: Storage, rows: _Rows, item: dict[str, Any]) -> dict[str, Any]:
    path, unique = item["file"]["path"], f"{item['key']}-{item['attempt']}-{uuid.uuid4().hex[:8]}"
    ids = rows.ids(path)
    decided = _decided(storage, item["decided"], ids)
    with rows.storage.open_parquet(path) as file:
        schema = kept_schema(file.schema_arrow, rows.columns)
    judged = pa.schema([*PAIR, *select.DECISION, *[field for field in schema if field.name not in PAIR.names]])
    paths = {part: f"runs/{item['run']}/{part}/{unique}.parquet" for part in ("kept", "rejected")}
    samples, tally = Samples(rows.spec.report.samples_per_reason), select.Tally()
    statistics = Statistics(score_columns(schema, rows.columns), item.get("rows", 0))
    keeps = np.zeros(len(ids), bool)
    with ExitStack() as files:
        kept_file = files.enter_context(storage.parquet_writer(paths["kept"], schema))
        rejected_file = files.enter_context(storage.parquet_writer(paths["rejected"], judged))
        for first, read in rows.read(path, ids, schema.names):
            table = read.cast(schema)
            verdict = derived_rules.apply(rows.rules, table)
            opted_out = np.zeros(len(table), bool)
            rejected = select.rejections(table, verdict, rows.rules, decided, opted_out, {})
            stays = pc.is_null(rejected["reason"])
            tally.add(table, rejected["reason"])
            statistics.add(table, np.asarray(stays))
            kept, lost = table.filter(stays), rejected.filter(pc.invert(stays))
            chosen = samples.add(kept, lost)
            kept_file.write_table(kept)
            rejected_file.write_table(select.without_texts(lost, rows.spec.output.rejected, chosen))
            keeps[first : first + len(table)] = np.asarray(stays)
    if item["file"]["index"]:
        paths["dedup_index"] = f"runs/{item['run']}/dedup_index/{unique}.parquet"
        _copy_index(rows.storage, item["file"]["index"], storage, paths["dedup_index"], keeps)
    samples_path = f"runs/{item['run']}/samples/{unique}.json"
    storage.put(samples_path, json.dumps(samples.to_json()).encode("utf-8", "replace"))
    statistics_path = f"runs/{item['run']}/statistics/{unique}.parquet"
    statistics.write(storage, statistics_path)
    return {
        "kept": int(keeps.sum()),
        "rows": len(ids),
        "languages": tally.to_json()["languages"],
        "files": paths,
        "samples": samples_path,
        "statistics": statistics_path,
    }


def _decided(storage: Storage, path: str | None, ids: np.ndarray) -> pa.Table:
    """The decisions on a file's rows."""
    if path is None or not len(ids):
        return DECISION.empty_table()
    parts = list(read_between(storage, path, DECISION.names, int(ids[0]), int(ids[-1])))
    return pa.concat_tables([DECISION.empty_table(), *parts])


def _copy_index(there: Storage, source: str, here: Storage, target: str, keeps: np.ndarray) -> None:
    """The part of a kept file's dedup_index that belongs to the rows that stay."""
    first = 0
    with there.open_parquet(source) as file, there.reading(source):
        hashes = [name for name in file.schema_arrow.names if name != "pair_id"]
        with here.parquet_writer(target, file.schema_arrow, plain=hashes) as writer:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                writer.write_table(table.filter(pa.array(keeps[first : first + len(table)])))
                first += len(table)


def count_rows(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function: rows by lever and point, as `sensitivity.rows` has it."""

    def work(units: Units) -> dict[str, Any]:
        rows = _Rows(item)
        found = levers.levers(rows.rules_with, item["scored"])
        return sensitivity_rows.counted(units.storage, item, found)

    return do_once(item, item["prefix"], work)
