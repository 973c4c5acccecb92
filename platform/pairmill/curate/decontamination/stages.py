"""The stage: scan each shard for evaluation texts (shared by runs), merge what was found (per run)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pairmill.curate import shardfiles
from pairmill.curate.annotate import SIDES
from pairmill.curate.decontamination import index as indexes
from pairmill.curate.decontamination import search
from pairmill.runs.record import Run
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import Stopwatch, Units, digest
from pairmill.spec.curate import CurateSpec
from pairmill.spec.decontaminate import Decontaminate

STAGE, REASON, MERGED = "decontaminate", "contaminated", "contaminated"
PREFIX = "stages/decontaminate/shards"
VERSION = [search.VERSION, indexes.VERSION, 1]
TEXT = 2_000  # characters of a text that are recorded
FOUND = pa.schema(
    [
        ("row", pa.int64()),  # in the shard
        ("content", pa.uint64()),  # a hash of the row
        ("side", pa.string()),
        ("set", pa.string()),
        ("text", pa.int32()),  # of the index
        ("kind", pa.string()),
        ("share", pa.float32()),
        ("matched", pa.large_string()),
        ("around", pa.large_string()),
        ("runs", pa.list_(pa.int32())),  # first, last, first, last ...: tokens of the text
        ("entries", pa.list_(pa.list_(pa.int64()))),  # of the index, by run
    ]
)
WEAK = pa.schema([("entry", pa.int64()), ("content", pa.uint64())])
#: What a run keeps under `contamination/`: one row per side and evaluation set.
CONTAMINATION = pa.schema(
    [
        ("pair_id", pa.int64()),
        *[FOUND.field(name) for name in ("side", "set", "kind", "share", "matched", "around")],
        ("evaluation_text", pa.large_string()),
        ("evaluation_file", pa.string()),
        ("evaluation_row", pa.int64()),
        ("evaluation_field", pa.string()),
    ]
)


def scan_key(spec: Decontaminate, shard_key: str, index: str) -> str:
    """The unit's key: the annotated shard and what is looked for in it."""
    return digest([VERSION, shard_key, index, spec.ngram, spec.min_share, spec.sides, spec.boilerplate])


def scan_shard(item: dict[str, Any]) -> dict[str, Any]:
    """Unit function: commit what a shard holds of evaluation texts. `item`: `shard`, `index`, `key`."""
    storage, units = open_storage(item["storage"]), Units(open_storage(item["storage"]), PREFIX)
    done = units.get(item["key"])
    reused = done is not None
    if done is None:
        watch, spec = Stopwatch(item["attempt"]), CurateSpec.model_validate(item["spec"]).decontaminate
        assert spec is not None, "the stage runs where the spec decontaminates"
        rows, found, weak = _scan(item, storage, spec)
        paths = {"found": units.data_path(item["key"]), "weak": units.data_path(item["key"], "-weak")}
        for name, table in (("found", found), ("weak", weak)):
            with storage.parquet_writer(paths[name], table.schema) as writer:
                writer.write_table(table)
        done = units.commit(item["key"], {**paths, "rows": rows, "record": watch.record()})
    return {"index": item["shard"]["index"], "rows": done["rows"], "reused": reused}


def _scan(item: dict[str, Any], storage: Storage, spec: Decontaminate) -> tuple[int, pa.Table, pa.Table]:
    index = indexes.load(item["storage"], item["index"])
    sets = sets_of(index, indexes.load_sources(item["storage"], item["index"]))
    limits = indexes.Limits.of(spec.ngram)
    sides = [*SIDES, "negatives"] if spec.sides == "both" else [spec.sides]
    found: list[dict[str, Any]] = []
    weak: set[tuple[int, int]] = set()
    rows = 0
    for first, table in shardfiles.read(storage, item["shard"]["key"], [*sides, "exact"]):
        content = np.frombuffer(b"".join(table["exact"].to_pylist()), np.uint64)[::2]
        rows = first + len(table)
        for side in sides:
            texts, of = _texts(table[side].combine_chunks())
            hits, quoted = search.search(texts, index, limits, spec.min_share)
            weak.update((one.entry, int(content[of[one.row]])) for one in quoted)
            for (row, name), hit in _best(hits, of, sets).items():
                found.append(_record(hit, name, side, first + row, int(content[row]), texts[hit.row].as_py()))
    return rows, pa.Table.from_pylist(found, FOUND), _fewest(weak, spec.boilerplate)


def _texts(side: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The texts of a side, or of the lists of negatives, and the row of each."""
    if not pa.types.is_list(side.type):
        return side, np.arange(len(side))
    return pc.fill_null(side.flatten(), ""), np.asarray(pc.list_parent_indices(side))


def sets_of(index: indexes.Index, sources: pa.Table) -> list[list[str]]:
    """The names of the sets that each text of the index stands in."""
    names, held = sources["set"].to_pylist(), index.member
    found: list[dict[str, None]] = [{} for _ in index.first]
    for name, text in zip(names, held.tolist(), strict=True):
        if text >= 0:
            found[text][name] = None
    return [list(each) for each in found]


def _best(hits: list[search.Found], of: np.ndarray, sets: list[list[str]]) -> dict[tuple[int, str], search.Found]:
    """For each row and set the text of which it holds the largest share, the first of those. `of`: the hits' rows."""
    best: dict[tuple[int, str], search.Found] = {}
    for hit in sorted(hits, key=lambda hit: (of[hit.row], -hit.share, hit.text, hit.row)):
        for name in sets[hit.text]:
            best.setdefault((int(of[hit.row]), name), hit)
    return best


def _record(hit: search.Found, name: str, side: str, row: int, content: int, text: str) -> dict[str, Any]:
    matched, around = search.matched(text, hit.spans)
    return {
        "row": row,
        "content": content,
        "side": side,
        "set": name,
        "text": hit.text,
        "kind": hit.kind,
        "share": hit.share,
        "matched": matched[:TEXT],
        "around": around[:TEXT],
        "runs": [place for run in hit.runs for place in (run.first, run.last)],
        "entries": [run.entries for run in hit.runs],
    }


def _fewest(weak: set[tuple[int, int]], boilerplate: int) -> pa.Table:
    """At most one more than `boilerplate` rows of each entry: enough to tell whether there are more."""
    counts: Counter[int] = Counter()
    kept = []
    for entry, content in sorted(weak):
        counts[entry] += 1
        if counts[entry] <= boilerplate + 1:
            kept.append((entry, content))
    columns = zip(*kept, strict=True) if kept else ((), ())
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, WEAK, strict=True)], schema=WEAK)


def merge(item: dict[str, Any]) -> dict[str, Any]:
    """Unit function: commit the run's contaminated rows. `item`: `shards` (index, scan key), `index`, `prefix`, `key`.

    The manifest has the rows by evaluation set and a sample for the audit.
    """
    storage = open_storage(item["storage"])
    units, scans = Units(storage, item["prefix"]), Units(storage, PREFIX)
    done = units.get(item["key"])
    reused = done is not None
    if done is None:
        watch, spec = Stopwatch(item["attempt"]), CurateSpec.model_validate(item["spec"])
        assert spec.decontaminate is not None, "the stage runs where the spec decontaminates"
        manifests = [(shard["index"], scans.get(shard["key"])) for shard in item["shards"]]
        index = indexes.load(item["storage"], item["index"])
        sources = indexes.load_sources(item["storage"], item["index"])
        weak = [_read(storage, manifest["weak"]) for _, manifest in manifests if manifest]
        common = _common(pa.concat_tables([WEAK.empty_table(), *weak]), spec.decontaminate.boilerplate)
        tables = [_read(storage, m["found"], shard) for shard, m in manifests if m and m["found"]]
        found = _without_phrases(pa.concat_tables(tables), common, index, spec.decontaminate)
        path = units.data_path(item["key"])
        table = _contamination(found, index, sources)
        by_shard = shardfiles.write_by_shard(storage, path, table)
        facts = summarise(found, table, index, sources, spec.report.samples_per_reason)
        done = units.commit(
            item["key"], {"file": path, "groups": by_shard, "rows": len(table), **facts, "record": watch.record()}
        )
    return {"key": item["key"], "rows": done["rows"], "reused": reused}


def _read(storage: Storage, path: str, shard: int | None = None) -> pa.Table:
    """A scan's file; with the rows' ids in place of their numbers in the shard."""
    with storage.reading(path), storage.open_parquet(path) as file:
        table = file.read()
    if shard is None:
        return table
    ids = pa.array(shardfiles.pair_ids(shard, np.asarray(table["row"])))
    return table.set_column(0, "pair_id", ids)


def _common(weak: pa.Table, boilerplate: int) -> set[int]:
    """Entries that more than `boilerplate` different rows have without the rest of the text."""
    counted = weak.group_by("entry").aggregate([("content", "count_distinct")])
    many = pc.greater(counted["content_count_distinct"], boilerplate)
    return set(counted["entry"].filter(many).to_pylist())


def _without_phrases(found: pa.Table, common: set[int], index: indexes.Index, spec: Decontaminate) -> pa.Table:
    """What is left of the found where common phrases count for nothing. Whole sides are never touched."""
    limits = indexes.Limits.of(spec.ngram)
    keeps, shares = [], []
    for row in found.select(["text", "kind", "share", "runs", "entries"]).to_pylist():
        runs = list(zip(row["runs"][::2], row["runs"][1::2], strict=True))
        own = [run for run, entries in zip(runs, row["entries"], strict=True) if not (entries and common >= {*entries})]
        share = row["share"]
        if row["kind"] == search.OVERLAP and len(own) < len(runs):
            share = search.overlap(index, row["text"], own, limits)
        short = row["kind"] == search.INSIDE and not search.is_gram(index, row["text"], limits)
        keeps.append(share >= spec.min_share and (bool(own) or not short))
        shares.append(share)
    at = found.schema.get_field_index("share")
    return found.set_column(at, "share", pa.array(shares, pa.float32())).filter(pa.array(keeps, pa.bool_()))


def _contamination(found: pa.Table, index: indexes.Index, sources: pa.Table) -> pa.Table:
    """The found with the evaluation texts, by row."""
    place = sources.take(index.first[np.asarray(found["text"])])
    named = {f"evaluation_{name}": place[name] for name in ("file", "row", "field")}
    columns = {name: found[name] for name in found.column_names if name in CONTAMINATION.names} | named
    columns["evaluation_text"] = pc.utf8_slice_codeunits(place["text"], 0, TEXT)
    table = pa.table([columns[name] for name in CONTAMINATION.names], schema=CONTAMINATION)
    return table.sort_by([("pair_id", "ascending"), ("side", "ascending"), ("set", "ascending")])


def summarise(
    found: pa.Table, table: pa.Table, index: indexes.Index, sources: pa.Table, samples: int
) -> dict[str, Any]:
    """Per set: texts, those too short to be found, those found, rows, sides by kind; and a sample of the found."""
    names, member = np.array(sources["set"].to_pylist()), index.member
    sets = []
    for name in dict.fromkeys(names.tolist()):
        here, hits = names == name, found.filter(pc.equal(found["set"], name))
        kinds = Counter(hits["kind"].to_pylist())
        sets.append(
            {
                "name": name,
                "texts": len(np.unique(member[here][member[here] >= 0])),
                "too_short": int((member[here] < 0).sum()),
                "found": pc.count_distinct(hits["text"]).as_py(),
                "rows": pc.count_distinct(hits["pair_id"]).as_py(),
                "kinds": dict(sorted(kinds.items())),
            }
        )
    said = zip(*(found[name].to_pylist() for name in ("content", "side", "set", "text")), strict=True)
    ranks = [xxhash.xxh3_64_intdigest(repr(each).encode()) for each in said]
    chosen = found["pair_id"].take(np.argsort(np.array(ranks, np.uint64), kind="stable")[:samples])
    rows = table.filter(pc.is_in(table["pair_id"], chosen.combine_chunks())).to_pylist()
    return {"sets": sets, "samples": rows[:samples]}


def contaminated(storage: Storage, item: dict[str, Any] | None, shard: int) -> dict[int, float]:
    """The rows of a shard to reject, and the largest share of a text that each holds. `item`: `prefix` and `key`."""
    if item is None:
        return {}
    manifest = Units(storage, item["prefix"]).get(item["key"])
    assert manifest is not None, "decontaminate is committed before its rows are asked for"
    table = shardfiles.read_shard(storage, manifest, shard)
    found: dict[int, float] = {}
    for row, share in zip(table["pair_id"].to_pylist(), table["share"].to_pylist(), strict=True):
        found[row] = max(share, found.get(row, 0.0))
    return found


def without(members: pa.Table, storage: Storage, item: dict[str, Any] | None, shard: int) -> pa.Table:
    """Rows of a shard (with `pair_id`) but for those that `contaminated` names."""
    found = contaminated(storage, item, shard)
    return members.filter(pa.array(~np.isin(np.asarray(members["pair_id"]), list(found)))) if found else members


def facts(units: Units) -> dict[str, Any] | None:
    """What the report shows: `sets` and `samples` of a run; None where it did not decontaminate."""
    manifest = units.get(MERGED)
    return manifest and {name: manifest[name] for name in ("sets", "samples")}


def of_row(run: Run, pair_id: int) -> list[dict[str, Any]]:
    """What was found in a row of a run: rows of CONTAMINATION."""
    manifest = run.units(STAGE).get(MERGED)
    if manifest is None:
        return []
    table = shardfiles.read_shard(run.storage, manifest, pair_id >> shardfiles.SHARD_BITS)
    found: list[dict[str, Any]] = table.filter(pc.equal(table["pair_id"], pair_id)).to_pylist()
    return found
