"""Annotate: everything about a row that does not depend on other rows or on thresholds.

For each batch of a shard: parse, clean, identify the language of both sides, compute every rule's score, hash, sign.
The result is keyed by what produces it (file fingerprints and ranges, and `meaning`), not by the run, so that runs
which differ in thresholds share it. A shard is written in chunks of `CHUNK_RECORDS` records, each committed, so that
a long compressed file resumes behind the last chunk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.curate import boilerplate, clean, language, thresholds
from pairmill.curate.dedup import exact, minhash, shingles
from pairmill.curate.heuristics import Side, score_all, versions
from pairmill.pairs import sources
from pairmill.pairs.batch import QUARANTINE, Batch, Quarantined, quarantine_table, regrouped
from pairmill.pairs.hashing import hash128, pair_hash
from pairmill.pairs.schema import PARSED
from pairmill.pairs.shards import input_of, pieces_of
from pairmill.runs.storage import open_storage
from pairmill.runs.units import Stopwatch, Units, digest
from pairmill.spec.curate import CurateSpec

VERSION = 2
PREFIX = "stages/annotate"
CHUNK_RECORDS = 250_000
BATCH_ROWS, BATCH_BYTES = 4_096, 4 << 20  # rows annotated at once: enough for the fixed costs of forty rules
GROUP_ROWS, GROUP_BYTES = 16_384, 32 << 20  # rows of a Parquet row group
SIDES = ("anchor", "positive")


def meaning(spec: CurateSpec, spec_input: Any) -> dict[str, Any]:
    """Everything but the records themselves that determines a shard's annotations."""
    return {
        "version": VERSION,
        **parsing(spec, spec_input),
        "language": {
            **language.identity(spec.language.engine),
            "policy": spec_input.language,
            "min_confidence": spec.language.min_confidence,
        },
        "rules": versions(rule.name for rule in thresholds.rules_for(spec, spec_input.form)),
        "columns": [rule.name for rule in thresholds.scored_rules(spec)],
        "exact": keys(spec)[0],
        "signature": keys(spec)[1],
        "unicode": shingles.UNICODE,
    }


def parsing(spec: CurateSpec, spec_input: Any) -> dict[str, Any]:
    """The part of `meaning` that determines the texts, site boilerplate aside."""
    parse = spec_input.model_dump(mode="json", exclude={"name", "form", "licence", "path", "packages", "language"})
    cleaning = spec.clean.model_dump(mode="json", exclude={"boilerplate"})
    return {
        "parse": {**parse, "version": sources.VERSION},
        "clean": {**cleaning, "version": clean.VERSION},
        "libraries": _libraries(spec, spec_input),
    }


def _libraries(spec: CurateSpec, spec_input: Any) -> dict[str, str]:
    """The versions of the libraries whose own data or rules decide what a text becomes or scores."""
    builder = getattr(spec_input, "builder", None)
    extractor = getattr(builder, "extractor", None)
    rules = {rule.name for rule in thresholds.scored_rules(spec)}
    used = {
        "ftfy": spec.clean.mojibake == "fix",
        "phonenumbers": spec.clean.personal_data.phone == "mask" or "phones" in rules,
        "resiliparse": extractor is not None or getattr(builder, "name", None) == "stackexchange",
        "trafilatura": extractor == "trafilatura",
        "stopwordsiso": "gopher_stop_words" in rules,
    }
    return {name: _version(name) for name, is_used in used.items() if is_used}


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"


def keys(spec: CurateSpec) -> tuple[list[Any], list[Any] | None]:
    """What determines the exact hash and the signature."""
    near = spec.dedup.near
    versions = [minhash.VERSION, shingles.VERSION, shingles.UNICODE]
    signature = [*versions, near.key, near.slots, near.signature, minhash.SEED] if near else None
    return [exact.VERSION, spec.dedup.exact.key if spec.dedup.exact else "pair"], signature


def shard_key(spec: CurateSpec, shard: dict[str, Any], salt: str = "") -> str:
    """The shard's place in storage. `salt` sets a fresh generation apart."""
    spec_input = input_of(spec, shard)
    repeated = shard.get("boilerplate", {}).get("digest")
    return digest(
        {"pieces": shard["pieces"], "meaning": meaning(spec, spec_input), "boilerplate": repeated, "salt": salt}
    )


def schema(spec: CurateSpec) -> pa.Schema:
    """Columns of an annotated shard."""
    fields = list(PARSED)
    for side in SIDES:
        fields += [
            pa.field(f"{side}_declared", pa.string()),
            pa.field(f"{side}_identified", pa.string()),
            pa.field(f"{side}_confidence", pa.float32()),
        ]
    fields += [pa.field(column, pa.float32()) for rule in thresholds.scored_rules(spec) for column in rule.columns]
    fields.append(pa.field("exact", pa.binary(16)))
    if spec.dedup.near:
        fields.append(pa.field("signature", pa.binary(4 * spec.dedup.near.slots)))
    return pa.schema(fields)


def annotate(
    pairs: pa.Table, spec: CurateSpec, spec_input: Any, stats: Stats, repeated: np.ndarray | None = None
) -> pa.Table:
    """Clean, identify, score, hash and sign parsed pairs. `pairs` has the schema PARSED; row order is kept.

    `repeated`: keys of the sites' boilerplate lines (see `boilerplate.load`).
    """
    columns: dict[str, Any] = {name: pairs[name].combine_chunks() for name in PARSED.names}
    sides: dict[str, Side] = {}
    cleaned, changed = clean_sides(columns, spec)
    stats.cleaning.update(changed)
    for side in SIDES:
        texts = cleaned[side]
        if repeated is not None:
            texts, shortened = boilerplate.remove(texts, columns["url"], repeated)
            stats.cleaning["boilerplate"] += shortened
        declared = columns[f"{side}_lang"]
        policy: language.Policy = spec_input.language or "require"  # where nothing is declared, require identifies
        found, confidence, final, score = language.judge(texts, declared, policy, spec.language)
        columns |= {
            side: texts,
            f"{side}_lang": final,
            f"{side}_declared": declared,
            f"{side}_identified": found,
            f"{side}_confidence": confidence,
            f"language_{side}": score,
        }
        if policy != "trust":
            stats.count_languages(declared, found)
        sides[side] = Side(texts, final)
    columns["negatives"], changed = _clean_lists(columns["negatives"], spec)
    stats.cleaning.update(changed)
    rules = [rule.name for rule in thresholds.rules_for(spec, spec_input.form)]
    columns |= score_all(sides["anchor"], sides["positive"], rules)
    exact_key = spec.dedup.exact.key if spec.dedup.exact else "pair"
    columns["exact"] = _binary(_exact_hash(columns, exact_key))
    if near := spec.dedup.near:
        columns["signature"] = _binary(
            minhash.signatures(key_text(columns, near.key), slots=near.slots, engine=near.signature)
        )
    want = schema(spec)
    unknown = np.full(len(pairs), np.nan, np.float32)  # of a rule that does not apply
    return pa.table([pa.array(columns.get(f.name, unknown), f.type) for f in want], schema=want)


def clean_sides(pairs: Any, spec: CurateSpec) -> tuple[dict[str, pa.Array], dict[str, int]]:
    """The two sides of parsed pairs, cleaned, and the changed rows by step."""
    anchor, positive, anchor_lang, positive_lang = (pairs[name] for name in (*SIDES, "anchor_lang", "positive_lang"))
    anchor, positive, changed = clean.clean_pairs(anchor, positive, spec.clean, (anchor_lang, positive_lang))
    return {"anchor": anchor, "positive": positive}, changed


def key_text(columns: Any, key: str) -> pa.Array:
    """The text that near deduplication compares: a side, or both joined by a space."""
    if key != "pair":
        return columns[key]
    return pc.binary_join_element_wise(columns["anchor"], columns["positive"], pa.scalar(" ", pa.large_string()))


def _exact_hash(columns: dict[str, Any], key: str) -> np.ndarray:
    if key != "pair":
        return hash128(columns[key])
    return pair_hash(hash128(columns["anchor"]), hash128(columns["positive"]))


def _binary(matrix: np.ndarray) -> pa.Array:
    """Rows of a matrix as fixed-size binary."""
    matrix = np.ascontiguousarray(matrix)
    width = matrix.shape[1] * matrix.itemsize
    return pa.Array.from_buffers(pa.binary(width), len(matrix), [None, pa.py_buffer(matrix)])


def _clean_lists(lists: pa.Array, spec: CurateSpec) -> tuple[pa.Array, dict[str, int]]:
    """The texts in the lists, cleaned, and the changed ones by step."""
    if lists.null_count == len(lists):
        return lists, {}
    if lists.values.null_count:  # a missing negative is none, not an empty one
        rows = [None if row is None else [text for text in row if text is not None] for row in lists.to_pylist()]
        lists = pa.array(rows, lists.type)
    values, changed = clean.clean(lists.values, spec.clean)
    return pa.ListArray.from_arrays(lists.offsets, values, mask=lists.is_null()), changed


@dataclass
class Stats:
    """What a chunk's manifest says about its records."""

    records: int = 0
    parsed: int = 0
    rows: int = 0
    text_bytes: int = 0
    no_pair: Counter[str] = field(default_factory=Counter)
    cleaning: Counter[str] = field(default_factory=Counter)
    languages: Counter[tuple[str, str]] = field(default_factory=Counter)
    quarantine: Counter[str] = field(default_factory=Counter)

    def count(self, batch: Batch) -> None:
        self.records += batch.records
        self.parsed += batch.parsed
        self.rows += len(batch.pairs)
        self.no_pair.update(batch.no_pair)
        self.quarantine.update(entry.error for entry in batch.quarantine)

    def count_languages(self, declared: pa.Array, identified: pa.Array) -> None:
        pairs = pa.table({"declared": pc.fill_null(declared, ""), "identified": pc.fill_null(identified, "")})
        for row in pairs.group_by(["declared", "identified"]).aggregate([([], "count_all")]).to_pylist():
            self.languages[row["declared"], row["identified"]] += row["count_all"]

    def to_json(self) -> dict[str, Any]:
        return {
            "records": self.records,
            "parsed": self.parsed,
            "rows": self.rows,
            "text_bytes": self.text_bytes,
            "no_pair": dict(self.no_pair),
            "cleaning": dict(self.cleaning),
            "languages": [[declared, identified, n] for (declared, identified), n in sorted(self.languages.items())],
            "quarantine": dict(self.quarantine),
        }


def annotate_shard(item: dict[str, Any]) -> dict[str, Any]:
    """Do one shard, or find it done. The unit function of the stage; see runs/engine.py."""
    storage = open_storage(item["storage"])
    spec = CurateSpec.model_validate(item["spec"])
    shard, key = item["shard"], item["key"]
    units = Units(storage, PREFIX)
    done = units.get(f"{key}/done")
    reused = done is not None
    if done is None:
        chunks = _committed_chunks(units, key)
        spec_input = input_of(spec, shard)
        found = shard.get("boilerplate")
        repeated = boilerplate.load(item["storage"], found["file"]) if found else None
        batches = _after(_batches(spec_input, shard), sum(chunk["records"] for chunk in chunks))
        while chunk := write_chunk(
            units, f"{key}/chunk-{len(chunks):06d}", batches, spec, spec_input, item["attempt"], repeated
        ):
            chunks.append(chunk)
        done = units.commit(f"{key}/done", {"chunks": chunks, "record": {"attempt": item["attempt"]}})
    return {
        "index": shard["index"],
        "key": key,
        "rows": sum(chunk["rows"] for chunk in done["chunks"]),
        "quarantined": sum(sum(chunk["quarantine"].values()) for chunk in done["chunks"]),
        "cpu_seconds": sum(chunk["record"]["cpu_seconds"] for chunk in done["chunks"]),
        "reused": reused,
    }


def _committed_chunks(units: Units, key: str) -> list[dict[str, Any]]:
    chunks: list[dict[str, Any]] = []
    while (chunk := units.get(f"{key}/chunk-{len(chunks):06d}")) is not None:
        chunks.append(chunk)
    return chunks


def _batches(spec_input: Any, shard: dict[str, Any]) -> Iterator[Batch]:
    for piece in pieces_of(shard):
        yield from sources.read(spec_input, piece)


def _after(batches: Iterator[Batch], records: int) -> Iterator[Batch]:
    """Skip the batches that earlier chunks hold; chunks end where batches end."""
    for batch in batches:
        if records <= 0:
            yield batch
        records -= batch.records


def write_chunk(
    units: Units,
    key: str,
    batches: Iterator[Batch],
    spec: CurateSpec,
    spec_input: Any,
    attempt: str,
    repeated: np.ndarray | None,
) -> dict[str, Any] | None:
    """Annotate the next `CHUNK_RECORDS` records and commit them; None where nothing is left."""
    watch, stats = Stopwatch(attempt), Stats()
    first = next(batches, None)
    if first is None:
        return None
    path, quarantine = units.data_path(key), _QuarantineFile(units, key)
    with ExitStack() as files:
        writer = files.enter_context(units.storage.parquet_writer(path, schema(spec), plain=("exact", "signature")))
        parsed = _parsed(_until(first, batches, CHUNK_RECORDS), stats, quarantine, files)
        batches_of_rows = regrouped(parsed, BATCH_ROWS, BATCH_BYTES)
        annotated = (annotate(pairs, spec, spec_input, stats, repeated) for pairs in batches_of_rows)
        for table in regrouped(annotated, GROUP_ROWS, GROUP_BYTES):
            stats.text_bytes += table["anchor"].nbytes + table["positive"].nbytes
            writer.write_table(table)
    manifest = {"file": path, "quarantine_file": quarantine.path, **stats.to_json(), "record": watch.record()}
    return units.commit(key, manifest)


@dataclass
class _QuarantineFile:
    """A chunk's quarantined records; the file is made with the first."""

    units: Units
    key: str
    path: str | None = None
    writer: Any = None

    def write(self, entries: list[Quarantined], files: ExitStack) -> None:
        if self.writer is None:
            self.path = self.units.data_path(self.key, "-quarantine")
            self.writer = files.enter_context(self.units.storage.parquet_writer(self.path, QUARANTINE))
        self.writer.write_table(quarantine_table(entries))


def _parsed(
    batches: Iterator[Batch], stats: Stats, quarantine: _QuarantineFile, files: ExitStack
) -> Iterator[pa.Table]:
    for batch in batches:
        stats.count(batch)
        if batch.quarantine:
            quarantine.write(batch.quarantine, files)
        yield batch.pairs


def _until(first: Batch, batches: Iterator[Batch], records: int) -> Iterator[Batch]:
    yield first
    records -= first.records
    while records > 0 and (batch := next(batches, None)) is not None:
        yield batch
        records -= batch.records
