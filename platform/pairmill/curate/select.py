"""Select: thresholds and decisions turn a shard's annotated rows into kept and rejected ones, all of them counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate import against, annotate, decide, exclude, shardfiles, thresholds
from pairmill.curate.decontamination import stages as decontamination
from pairmill.curate.samples import Samples
from pairmill.curate.statistics import Statistics
from pairmill.pairs.batch import QUARANTINE
from pairmill.pairs.schema import PAIR
from pairmill.pairs.shards import input_of
from pairmill.runs.metrics import KEPT
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import Stopwatch, Units
from pairmill.spec.curate import CurateSpec

VERSION = 4
STAGE = "select"
DECISION = pa.schema(
    [
        ("reason", pa.string()),
        ("failed", pa.list_(pa.string())),
        ("stage", pa.string()),
        ("value", pa.float32()),
        ("threshold", pa.float32()),
        ("duplicate_of", pa.int64()),
        ("duplicate_run", pa.string()),
    ]
)
QUARANTINED = pa.schema([("source", pa.string()), *QUARANTINE])


def kept_schema(spec: CurateSpec) -> pa.Schema:
    """Columns of a run's kept rows: the pair, and the scores that are computed for this spec, by name."""
    return pa.schema([*PAIR, *_scores(spec)])


def rejected_schema(spec: CurateSpec) -> pa.Schema:
    """Columns of a run's rejected rows: those of the kept ones, and what was decided."""
    return pa.schema([*PAIR, *DECISION, *_scores(spec)])


def _scores(spec: CurateSpec) -> list[pa.Field]:
    return [pa.field(column, pa.float32()) for column in score_columns(spec)]


def score_columns(spec: CurateSpec) -> list[str]:
    """The score columns of a run's kept rows, by name."""
    return sorted(column for rule in thresholds.scored_rules(spec) for column in rule.columns)


@dataclass
class Tally:
    """What a shard's manifest says about its rows."""

    kept: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    #: Rows by source, the two languages ("": not known) and reason or "kept".
    languages: dict[tuple[str, str, str], Counter[str]] = field(default_factory=dict)

    def add(self, rows: pa.Table, reason: pa.ChunkedArray) -> None:
        languages = {name: pc.fill_null(rows[name], "") for name in ("anchor_lang", "positive_lang")}
        table = pa.table({"source": rows["source"], **languages, "reason": pc.fill_null(reason, "kept")})
        for *key, fate, count in _counted(table):
            self.languages.setdefault((key[0], key[1], key[2]), Counter())[fate] += count

    def to_json(self) -> dict[str, Any]:
        languages = [[*key, dict(sorted(counts.items()))] for key, counts in sorted(self.languages.items())]
        return {"kept": self.kept, "rejected": dict(self.rejected), "languages": languages}


def _counted(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """The distinct rows of a table, each with their number."""
    counted = table.group_by(table.column_names).aggregate([([], "count_all")])
    yield from zip(*(counted[name].to_pylist() for name in [*table.column_names, "count_all"]), strict=True)


def select_shard(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function: write and commit a shard's kept, rejected and quarantined rows."""
    storage, spec = open_storage(item["storage"]), CurateSpec.model_validate(item["spec"])
    units, shard = Units(storage, item["prefix"]), item["shard"]
    name = f"{shard['index']:06d}"
    done = units.get(name)
    reused = done is not None
    if done is None:
        watch = Stopwatch(item["attempt"])
        manifest = _select(storage, spec, item, f"runs/{item['run']}", name)
        done = units.commit(name, {**manifest, "record": watch.record()})
    reasons = {KEPT: done["kept"], **done["rejected"]}
    took = {"rows": sum(reasons.values()), "cpu_seconds": done["record"]["cpu_seconds"]}
    return {"index": shard["index"], **took, "reasons": reasons, "reused": reused}


def _select(storage: Storage, spec: CurateSpec, item: dict[str, Any], run: str, name: str) -> dict[str, Any]:
    shard = item["shard"]
    spec_input = input_of(spec, shard)
    rules = thresholds.active_rules(spec.filters, spec.language.min_confidence)
    decided = _decisions(storage, item, shard["index"])
    exclusions = exclude.load(item["storage"], item["exclude"])
    leaks = decontamination.contaminated(storage, item.get("contaminated"), shard["index"])
    tally, samples = Tally(), Samples(spec.report.samples_per_reason)
    statistics = Statistics(score_columns(spec), item.get("rows", 0))
    unique = f"{name}-{item['attempt']}-{np.random.default_rng().integers(1 << 32):08x}"
    paths = {part: f"{run}/{part}/{unique}.parquet" for part in ("kept", "rejected", "dedup_index")}
    index_columns = ["exact", "signature"] if spec.dedup.near else ["exact"]
    index_schema = pa.schema(
        [pa.field("pair_id", pa.int64()), *[annotate.schema(spec).field(c) for c in index_columns]]
    )
    with ExitStack() as files:
        kept_file = files.enter_context(storage.parquet_writer(paths["kept"], kept_schema(spec)))
        rejected_file = files.enter_context(storage.parquet_writer(paths["rejected"], rejected_schema(spec)))
        index_file = files.enter_context(
            storage.parquet_writer(paths["dedup_index"], index_schema, plain=index_columns)
        )
        for first, table in shardfiles.read(storage, shard["key"], annotate.schema(spec).names):
            rows = _rows(
                table,
                kept_schema(spec),
                shardfiles.pair_ids(shard["index"], np.arange(first, first + len(table))),
                spec_input,
            )
            opted_out = exclusions.matches(table)
            rejected = rejections(rows, thresholds.apply(rules, table), rules, decided, opted_out, leaks)
            keeps = pc.is_null(rejected["reason"])
            tally.add(rows, rejected["reason"])
            statistics.add(table, np.asarray(keeps))
            kept, lost = rows.filter(keeps), rejected.filter(pc.invert(keeps))
            chosen = samples.add(kept, lost)
            kept_file.write_table(kept)
            rejected_file.write_table(without_texts(lost, spec.output.rejected, chosen))
            index_file.write_table(table.select(index_columns).filter(keeps).add_column(0, "pair_id", kept["pair_id"]))
            tally.kept += len(kept)
            tally.rejected.update({row["values"]: row["counts"] for row in pc.value_counts(lost["reason"]).to_pylist()})
    samples_path = f"{run}/samples/{unique}.json"
    storage.put(samples_path, json.dumps(samples.to_json()).encode("utf-8", "replace"))
    statistics_path = f"{run}/statistics/{unique}.parquet"
    statistics.write(storage, statistics_path)
    quarantine = _copy_quarantine(storage, shard, f"{run}/quarantine/{unique}.parquet")
    told = {"samples": samples_path, "statistics": statistics_path}
    return {**tally.to_json(), "files": paths, **told, "quarantine": quarantine}


def _rows(table: pa.Table, schema: pa.Schema, ids: np.ndarray, spec_input: Any) -> pa.Table:
    """An annotated table as pairs of this run."""
    constants = {"source": spec_input.name, "form": spec_input.form}
    columns = []
    for want in schema:
        if want.name == "pair_id":
            columns.append(pa.array(ids))
        elif want.name in constants:
            columns.append(pa.repeat(pa.scalar(constants[want.name], pa.string()), len(table)))
        else:
            columns.append(table[want.name])
    return pa.table(columns, schema=schema)


def _decisions(storage: Storage, item: dict[str, Any], shard: int) -> pa.Table:
    manifest = Units(storage, item["decided"]["prefix"]).get(item["decided"]["key"]) if item["decided"] else None
    found = decide.SCHEMA.empty_table() if manifest is None else shardfiles.read_shard(storage, manifest, shard)
    return against.with_runs(storage, found, item["against"])


def rejections(
    rows: pa.Table,
    verdict: thresholds.Verdict,
    rules: list[thresholds.ActiveRule],
    decided: pa.Table,
    opted_out: np.ndarray,
    leaks: dict[int, float],
) -> pa.Table:
    """`rows` with the columns of rejected ones; `reason` is null for rows that stay."""
    count = len(rows)
    names = np.array([rule.name for rule in rules], object)
    reason = np.full(count, None, object)
    stage = np.full(count, None, object)
    failing = verdict.first >= 0
    reason[failing] = names[verdict.first[failing]]
    stage[failing] = "filters"
    value, threshold = verdict.value.copy(), verdict.threshold.copy()
    partner, has_partner, runs = np.zeros(count, np.int64), np.zeros(count, bool), np.full(count, None, object)
    ids = np.asarray(rows["pair_id"])
    here = np.searchsorted(ids, np.asarray(decided["pair_id"]))
    inside = (
        (here < count) & (ids[np.minimum(here, count - 1)] == np.asarray(decided["pair_id"])) if count else here < 0
    )
    at, chosen = here[inside], decided.filter(pa.array(inside))
    reason[at] = chosen["reason"].to_pylist()
    stage[at] = "dedup"
    partner[at], has_partner[at] = np.asarray(chosen["duplicate_of"]), True
    runs[at] = chosen["duplicate_run"].to_pylist()
    value[at] = np.asarray(chosen["similarity"])
    threshold[at] = np.nan
    for at in np.flatnonzero(np.isin(ids, list(leaks))).tolist():
        reason[at], stage[at] = decontamination.REASON, decontamination.STAGE
        value[at], threshold[at] = leaks[int(ids[at])], np.nan
    reason[opted_out], stage[opted_out] = exclude.REASON, "exclude"
    value[opted_out] = threshold[opted_out] = np.nan
    extra = {
        "reason": pa.array(reason, pa.string()),
        "failed": _failed(verdict.failing, reason, names),
        "stage": pa.array(stage, pa.string()),
        "value": pa.array(value, pa.float32(), mask=np.isnan(value)),
        "threshold": pa.array(threshold, pa.float32(), mask=np.isnan(threshold)),
        "duplicate_of": pa.array(partner, mask=~has_partner),
        "duplicate_run": pa.array(runs, pa.string()),
    }
    schema = pa.schema([*PAIR, *DECISION, *[f for f in rows.schema if f.name not in PAIR.names]])
    return pa.table([extra[f.name] if f.name in extra else rows[f.name] for f in schema], schema=schema)


def _failed(masks: np.ndarray, reason: np.ndarray, names: np.ndarray) -> pa.Array:
    """The names of all failing rules per row, built per distinct combination; for other reasons, the reason alone."""
    distinct, inverse = np.unique(masks, return_inverse=True)
    table = [[str(name) for bit, name in enumerate(names) if int(mask) >> bit & 1] for mask in distinct]
    choice = inverse.astype(np.int64)
    for other in sorted({*reason.tolist()} - {None, *names.tolist()}):
        choice[reason == other] = len(table)
        table.append([other])
    return pa.array(table, pa.list_(pa.string())).take(pa.array(choice))


def without_texts(lost: pa.Table, policy: str, sampled: np.ndarray) -> pa.Table:
    """Rejected rows as `output.rejected` wants them: with all texts, with none, or with those of the sample."""
    if policy == "full":
        return lost
    drop = np.ones(len(lost), bool) if policy == "refs" else ~sampled
    for name in ("anchor", "positive", "negatives"):
        index = lost.schema.get_field_index(name)
        blank = pa.scalar(None, lost.schema.field(name).type)
        lost = lost.set_column(index, lost.schema.field(name), pc.if_else(pa.array(drop), blank, lost[name]))
    return lost


def _copy_quarantine(storage: Storage, shard: dict[str, Any], path: str) -> dict[str, Any] | None:
    """Bring the shard's quarantined records into the run; the run's `quarantine/` stands by itself."""
    manifests = [c for c in shardfiles.chunks(storage, shard["key"]) if c["quarantine_file"]]
    if not manifests:
        return None
    rows = 0
    with storage.parquet_writer(path, QUARANTINED) as writer:
        for chunk in manifests:
            with storage.open_parquet(chunk["quarantine_file"]) as file:
                for batch in file.iter_batches(64):
                    source = pa.repeat(pa.scalar(shard["input"], pa.string()), len(batch))
                    writer.write_table(pa.table([source, *batch.columns], schema=QUARANTINED))
                    rows += len(batch)
    return {"file": path, "rows": rows}
