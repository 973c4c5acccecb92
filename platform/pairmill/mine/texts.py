"""What the texts of an embed run say, and whom they compete with.

The stage *texts* writes for each text of a part its `pair_id`, an id of what it says and its pool: the texts it
competes with. Texts that are equal but for case, width and white space have one id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.embed import texts as embedded
from pairmill.errors import PairmillError
from pairmill.mine.sides import SCHEMA, read_vectors
from pairmill.pairs.hashing import hash128
from pairmill.pairs.kept import read_kept
from pairmill.runs.storage import open_storage
from pairmill.runs.units import Units, digest, do_once

VERSION = 1
#: What is read beside the ids for each kind of pool, and joined.
POOLS = {
    "all": [],
    "source": ["source"],
    "languages": ["anchor_lang", "positive_lang"],
    "anchor": ["anchor_lang"],
    "positive": ["positive_lang"],
}


def text_ids(texts: Sequence[str] | pa.Array) -> np.ndarray:
    """What each text (n,) says, as int64: half of a 128-bit hash of it in lower case, NFKC and single spaces."""
    column = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.large_string())
    folded = pc.utf8_lower(pc.utf8_normalize(column.cast(pa.large_string()), "NFKC"))
    folded = pc.utf8_trim_whitespace(pc.replace_substring_regex(folded, r"\s+", " "))
    return hash128(folded)[:, 0].astype(np.int64)


def seeded(ids: np.ndarray, seed: int) -> np.ndarray:
    """A random number, uint64 (n,), for each id: the same for the same id and seed (SplitMix64's finaliser)."""
    found = ids.view(np.uint64) + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        found = (found ^ (found >> np.uint64(shift))) * np.uint64(factor)
    return found ^ (found >> np.uint64(31))


def key_of(part: dict[str, Any]) -> str:
    """Names what the texts of a part are."""
    return digest([part["path"], part["side"], part["within"], VERSION])


def text_items(parts: Sequence[dict[str, Any]], prefix: str) -> list[dict[str, Any]]:
    """The units of the stage texts; a part that is listed twice is read once."""
    return list({key_of(part): {"key": key_of(part), "prefix": prefix, "text": part} for part in parts}.values())


def read_texts(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function. Facts: `file`, the ids of a part's texts, and its `pools`."""

    def work(units: Units) -> dict[str, Any]:
        part = item["text"]
        parts = [_ids(*found) for found in _rows(part)]
        table = pa.concat_tables([SCHEMA.empty_table(), *parts]).combine_chunks()
        ids, _ = read_vectors(part, columns=["pair_id"])
        if not np.array_equal(ids, table["pair_id"].to_numpy()):
            raise PairmillError(
                f"{part['path']}: its vectors are of other texts than those that are there now: the run or the files "
                "were made anew since. Run the embed job again, and name its new run."
            )
        path = units.data_path(item["key"])
        with units.storage.parquet_writer(path, SCHEMA, plain=["pair_id", "text"]) as writer:
            writer.write_table(table)
        return {"rows": len(table), "facts": {"file": path, "pools": pc.unique(table["pool"]).to_pylist()}}

    return do_once(item, item["prefix"], work)


def _rows(part: dict[str, Any]) -> Iterator[tuple[np.ndarray, Sequence[str], Sequence[str] | None]]:
    """pair_ids, texts and pools (None: all one) of a part, without what embed leaves out."""
    columns = POOLS[part["within"]]
    if not columns:
        for ids, some in embedded.read(part["part"], part["side"], Counter()):
            yield ids, some, None
        return
    for table in _kept(part["part"], ["pair_id", part["side"], *columns]):
        present = [bool(text and text.strip()) for text in table[part["side"]].to_pylist()]
        table = table.filter(pa.array(present, pa.bool_()))
        names = [pc.fill_null(table[column].combine_chunks().cast(pa.string()), "und") for column in columns]
        pools = pc.binary_join_element_wise(*names, "-") if len(names) > 1 else names[0]
        yield np.asarray(table["pair_id"]), table[part["side"]].to_pylist(), pools.to_pylist()


def _kept(part: dict[str, Any], columns: list[str]) -> Iterator[pa.Table]:
    storage, groups = open_storage(part["storage"]), range(*part["groups"])
    return read_kept(storage, part["path"], columns, part["sources"], part["languages"], groups)


def _ids(ids: np.ndarray, texts: Sequence[str], pools: Sequence[str] | None) -> pa.Table:
    named = pa.array(pools, pa.string()) if pools is not None else pa.repeat(pa.scalar(""), len(ids))
    return pa.table([pa.array(ids, pa.int64()), pa.array(text_ids(texts)), named], schema=SCHEMA)


def texts_at(part: dict[str, Any], rows: np.ndarray) -> list[str]:
    """The texts of a part at these rows (n,) of it, ascending."""
    found: list[str] = []
    start = 0
    for ids, some in embedded.read(part["part"], part["side"], Counter()):
        here = rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + len(ids))] - start
        found += [some[row] for row in here.tolist()]
        start += len(ids)
    return found
