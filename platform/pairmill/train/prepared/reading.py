"""The rows of one kept file, or of one shard of a ready-made set, as tables of one form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pairmill.pairs import sources
from pairmill.pairs.batch import regrouped
from pairmill.pairs.kept import of_languages, read_kept
from pairmill.pairs.schema import PARSED
from pairmill.runs.storage import open_storage
from pairmill.spec.data import DataEntry

#: Rows and bytes of text that are tokenised at once: a text that occurs often among them is tokenised once.
BATCH_ROWS, BATCH_BYTES = 65_536, 32 << 20
TEXTS = ("anchor", "positive", "negatives", "anchor_lang", "positive_lang", "score", "label")
#: `origin`: which of the entry's origins (its run, or its files); `pair_id`: the row's number there; `place`: its hash.
SCHEMA = pa.schema(
    [
        *(PARSED.field(name) for name in TEXTS),
        pa.field("scores", pa.list_(pa.float32())),
        pa.field("pair_id", pa.int64()),
        pa.field("origin", pa.int32()),
        pa.field("place", pa.uint64()),
    ]
)


def read(entry: DataEntry, item: dict[str, Any], lost: Counter[str]) -> Iterator[pa.Table]:
    """Stream the rows of a unit, as tables with SCHEMA; what is not handed on is counted in `lost` by reason."""
    stream = _kept(entry, item, lost) if entry.run else _input(entry, item, lost)
    yield from regrouped(stream, BATCH_ROWS, BATCH_BYTES)


def _kept(entry: DataEntry, item: dict[str, Any], lost: Counter[str]) -> Iterator[pa.Table]:
    """Rows of a kept file; those that the entry's filters leave out are lost as `filtered`."""
    storage, path = open_storage(item["from"]), item["path"]
    with storage.open_parquet(path) as file:
        count, has_scores = file.metadata.num_rows, "scores" in file.schema_arrow.names
    columns = [*TEXTS, *(["scores"] if has_scores else []), "pair_id", "origin_file", "origin_row"]
    for table in read_kept(storage, path, columns, entry.sources, entry.languages):
        count -= len(table)
        for start in range(0, len(table), BATCH_ROWS):
            part = table.slice(start, BATCH_ROWS)
            yield _formed(part, part["pair_id"], pa.repeat(pa.scalar(0, pa.int32()), len(part)))
    lost["filtered"] += count


def _input(entry: DataEntry, item: dict[str, Any], lost: Counter[str]) -> Iterator[pa.Table]:
    """Rows of a shard of files; records that are no pair are lost as `unreadable` or by the source's own reason."""
    origins = pa.array(list(item["origins"]), pa.string())
    numbers = pa.array(list(item["origins"].values()), pa.int32())
    for piece in item["pieces"]:
        for batch in sources.read(entry.input, sources.Piece(**piece)):
            lost["unreadable"] += len(batch.quarantine)
            lost.update(batch.no_pair)
            table = batch.pairs
            if entry.languages:
                mask = of_languages(table["anchor_lang"], table["positive_lang"], entry.languages)
                lost["filtered"] += len(mask) - int(mask.sum())
                table = table.filter(pa.array(mask))
            yield _formed(table, table["origin_row"], numbers.take(pc.index_in(table["origin_file"], origins)))


def _formed(table: pa.Table, pair_id: pa.ChunkedArray, origin: pa.Array) -> pa.Table:
    added = {"pair_id": pair_id, "origin": origin, "place": pa.array(_places(table))}
    if "scores" not in table.column_names:
        added["scores"] = pa.nulls(len(table), pa.list_(pa.float32()))
    return pa.table([added[f.name] if f.name in added else table[f.name] for f in SCHEMA], schema=SCHEMA)


def _places(table: pa.Table) -> np.ndarray:
    """A hash of each row's origin file and row, uint64 (n,)."""
    files = table["origin_file"].combine_chunks().fill_null("").dictionary_encode()
    of_file = np.array([xxhash.xxh3_64_intdigest(name.encode()) for name in files.dictionary.to_pylist()], np.uint64)
    return mix(of_file[np.asarray(files.indices)], np.asarray(table["origin_row"].combine_chunks()).astype(np.uint64))


def language_pairs(table: pa.Table) -> pa.Array:
    """`de-en` for each row; `und` stands for a language that is not known."""
    return pc.binary_join_element_wise(
        *(table[side].combine_chunks().fill_null("und") for side in ("anchor_lang", "positive_lang")), "-"
    )


def mix(*parts: np.ndarray) -> np.ndarray:
    """One uint64 hash (n,) of several columns (uint64 or int64), by the finaliser of SplitMix64 after each."""
    found = np.zeros(len(parts[0]), np.uint64)
    for part in parts:
        found = found ^ part.view(np.uint64) if part.dtype == np.int64 else found ^ part
        found = found + np.uint64(0x9E3779B97F4A7C15)
        found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found = found ^ (found >> np.uint64(31))
    return found
