"""The texts of an embed run as mining sees them: by the sides of its sets, in the order of their vectors.

A side is cut into the parts that embed made: some row groups of a kept file, or a shard of files. A text's place is its
number in the whole side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from pairmill.embed.vectors import Vectors, matrix
from pairmill.errors import PairmillError, SpecError
from pairmill.runs.storage import Storage, open_storage
from pairmill.spec.texts import TEXT

SCHEMA = pa.schema([("pair_id", pa.int64()), ("text", pa.int64()), ("pool", pa.string())])


def find(vectors: Vectors, name: str, side: str, within: str = "all") -> list[dict[str, Any]]:
    """The parts of a side, as plain JSON: where vectors and texts are, how many."""
    files = vectors.files(name, side)
    place = {"vectors": vectors.storage.uri, "dims": vectors.dims, "normalized": vectors.normalized, "within": within}
    return [{**place, **{key: file[key] for key in ("path", "rows", "side", "part")}} for file in files]


def set_of(vectors: Vectors, run: str, name: str | None) -> str:
    """The set that holds the rows of `run`: the one called `name`, or the only one. Raises SpecError."""
    fitting = [known for known, about in vectors.sets.items() if about["run"] == run]
    if name is not None and name in vectors.sets and name not in fitting:
        raise SpecError(f"set: {name!r} of run {vectors.id} holds other texts than those of run {run}.")
    if name is None and len(fitting) == 1:
        return fitting[0]
    if name is None or name not in fitting:
        what = f"no set {name!r}" if name else "no set" if not fitting else "several sets"
        raise SpecError(
            f"vectors: run {vectors.id} has {what} of run {run}. Of that run it has: {', '.join(fitting) or 'none'}. "
            + ("Name one as `set`." if fitting else "Embed that run first: `data: [{name: .., run: ..}]`.")
        )
    return name


def side_of(vectors: Vectors, given: str) -> tuple[str, str]:
    """(set, side) of `set` or `set/side`. Raises SpecError."""
    name, _, side = given.partition("/")
    sides = list(vectors.sets[name]["sides"]) if name in vectors.sets else [TEXT]
    if not side and len(sides) > 1:
        raise SpecError(f"set {name!r} of run {vectors.id} has the sides {', '.join(sides)}: write {name}/{sides[0]}.")
    vectors.files(name, side or sides[0])
    return name, side or sides[0]


def read_vectors(part: dict[str, Any], columns: Sequence[str] = ("pair_id", "vector")) -> tuple[np.ndarray, np.ndarray]:
    """pair_ids (n,) and unit vectors (n, d) float32 of a part; without the column `vector`, (n, 0).

    Raises PairmillError for vectors that are not finite or of another dimension than the run says.
    """
    storage = open_storage(part["vectors"])
    with storage.open_parquet(part["path"]) as file, storage.reading(part["path"]):
        table = file.read(list(columns))
    ids = np.asarray(table["pair_id"])
    if "vector" not in columns:
        return ids, np.empty((len(ids), 0), np.float32)
    vectors = matrix(table["vector"]) if len(table) else np.empty((0, part["dims"]), np.float32)
    where = storage.where(part["path"])
    if vectors.shape[1] != part["dims"]:
        raise PairmillError(f"{where}: vectors of {vectors.shape[1]} numbers where the run says {part['dims']}.")
    finite = np.isfinite(vectors).all(1)
    if not finite.all():
        raise PairmillError(
            f"{where}: the vector of pair_id {ids[~finite][0]} holds NaN or infinite numbers. Run embed anew (--fresh)."
        )
    if not part["normalized"]:
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return ids, np.ascontiguousarray(vectors, np.float32)


@dataclass(frozen=True)
class Side:
    """All texts of a side: their ids, without the vectors; 20 bytes each."""

    parts: tuple[dict[str, Any], ...]
    pair_ids: np.ndarray  # int64 (n,)
    texts: np.ndarray  # int64 (n,)
    pools: np.ndarray  # int32 (n,): which of `names`
    names: tuple[str, ...]
    starts: np.ndarray  # int64 (parts + 1,): the place of each part's first text

    @cached_property
    def first(self) -> np.ndarray:
        """Which rows (n,) are the first in their pool with their text."""
        kept = np.zeros(len(self.texts), bool)
        order = np.lexsort((np.arange(len(self.texts)), self.texts, self.pools))
        texts, pools = self.texts[order], self.pools[order]
        new = np.r_[True, (texts[1:] != texts[:-1]) | (pools[1:] != pools[:-1])] if len(order) else []
        kept[order[new]] = True
        return kept

    def rows(self, number: int) -> slice:
        """The places of a part's texts."""
        return slice(int(self.starts[number]), int(self.starts[number + 1]))

    def part_of(self, places: np.ndarray) -> np.ndarray:
        """The part (n,) that each place is in."""
        return np.searchsorted(self.starts, places, side="right") - 1


def load(storage: Storage, parts: Sequence[dict[str, Any]], files: Sequence[str]) -> Side:
    """A side of its parts and the files of the stage texts."""
    tables = []
    for path in files:
        with storage.open_parquet(path) as file, storage.reading(path):
            tables.append(file.read())
    table = pa.concat_tables([SCHEMA.empty_table(), *tables])
    pools = table["pool"].combine_chunks().dictionary_encode()
    return Side(
        tuple(parts),
        table["pair_id"].to_numpy(),
        table["text"].to_numpy(),
        np.asarray(pools.indices, np.int32),
        tuple(pools.dictionary.to_pylist()),
        np.append(0, np.cumsum([len(found) for found in tables], dtype=np.int64)),
    )


@lru_cache(maxsize=4)
def open_side(storage_uri: str, path: str) -> Side:
    """A side that `Work.side` described."""
    storage = open_storage(storage_uri)
    described = storage.get_json(path)
    return load(storage, described["parts"], described["files"])


def vectors_at(side: Side, places: np.ndarray) -> np.ndarray:
    """The unit vectors (n, d) at these places (n,), ascending."""
    vectors = np.empty((len(places), side.parts[0]["dims"]), np.float32)
    for number, part in enumerate(side.parts):
        span = side.rows(number)
        inside = slice(*np.searchsorted(places, (span.start, span.stop)))
        if inside.stop > inside.start:
            vectors[inside] = read_vectors(part)[1][places[inside] - span.start]
    return vectors


def pairs_of(anchors: Side, positives: Side, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows of a part that have both vectors: their pair_ids, and their row in the part of each side."""
    left, right = (side.pair_ids[side.rows(number)] for side in (anchors, positives))
    return np.intersect1d(left, right, assume_unique=True, return_indices=True)
