"""The stage that fits a map on bitext, as a committed unit, and what puts it before the vectors of a task's texts.

Pairs are drawn by the hash of their texts and origin that also orders training rows: `pairs: n` are the rows that a
training entry of the same `seed` with `limit: n` learns from (without swap and holdout).
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pairmill.errors import PairmillError, SourceError
from pairmill.evaluate import maps
from pairmill.evaluate.encoder import CachedEngine, Encode
from pairmill.evaluate.subsets import Parts
from pairmill.evaluate.work import load_parts
from pairmill.pairs.kept import takes_in
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import Units, do_once
from pairmill.spec.evaluate import EvaluateSpec
from pairmill.spec.maps import Map
from pairmill.train.prepared import reading
from pairmill.train.prepared.tokens import text_ids
from pairmill.train.prepared.work import Options, parts_of

PREFIX = "stages/evaluate/maps"
Texts = list[tuple[str, str]]


def fit(item: dict[str, Any]) -> dict[str, Any]:
    """Unit function: commit the spec's map. `item`: `prompt` (its name, of both sides), `salt`, `key`."""
    return do_once(item, PREFIX, lambda units: _fit(item, units))


def _fit(item: dict[str, Any], units: Units) -> dict[str, Any]:
    from pairmill.evaluate.model import open_engine

    spec, storage = EvaluateSpec.model_validate(item["spec"]), open_storage(item["storage"])
    assert spec.map is not None, "the stage runs where the spec has one"
    found = pairs(storage, spec.map)
    source = CachedEngine(open_engine(spec, item["storage"], item["checksum"]), storage, item["salt"])
    foreign, english = (source.encode(texts, item["prompt"]) for texts in zip(*found, strict=True))
    fitted = maps.fit(spec.map, foreign, english)
    path, written = units.data_path(item["key"], kind="npz"), io.BytesIO()
    np.savez(written, **fitted.arrays)  # type: ignore[arg-type]
    storage.put(path, written.getvalue())
    own, whole = (float((one * english).sum(1).mean()) for one in (foreign, _finish(fitted.arrays, foreign)))
    cosines = {"cosine": [own, whole]}  # of the pairs it was fitted on, before and after
    encoding = {"texts": source.encoded, "reused": source.reused, "seconds": round(source.seconds, 3)}
    return {"rows": len(found), "path": path, "fitted": {**fitted.facts, **cosines}, "encoding": encoding}


def pairs(storage: Storage, spec: Map) -> Texts:
    """(foreign, English) texts, at most `spec.pairs`, in the order in which they are drawn. Raises SourceError."""
    entry, lost = spec.entry, Counter[str]()
    drawn = pa.table({"order": pa.array([], pa.uint64()), "foreign": [], "english": []}, schema=_DRAWN)
    for part in parts_of(storage, entry, Options(max_length=512)):
        for table in reading.read(entry, part, lost):
            drawn = _first(pa.concat_tables([drawn, _drawn(table, spec)]), spec.pairs)
    if len(drawn) < 10:
        raise SourceError(
            f"map: {len(drawn)} pairs of {spec.language} and {spec.to} in {spec.run or entry.input}: a map needs 10 "
            f"at least. Name other bitext in `run` or `input`. Left out: {dict(lost)}."
        )
    return list(zip(drawn["foreign"].to_pylist(), drawn["english"].to_pylist(), strict=True))


_DRAWN = pa.schema([("order", pa.uint64()), ("foreign", pa.large_string()), ("english", pa.large_string())])


def _drawn(table: pa.Table, spec: Map) -> pa.Table:
    """The rows with both texts, their foreign side first."""
    table = table.filter(pc.and_(*(pc.not_equal(pc.fill_null(table[s], ""), "") for s in ("anchor", "positive"))))
    anchor, positive = (table[side].combine_chunks() for side in ("anchor", "positive"))
    place = np.asarray(table["place"].combine_chunks())
    seed = np.full(len(table), spec.seed, np.uint64)
    order = reading.mix(seed, text_ids(anchor), text_ids(positive), place)
    turned = pa.array([not takes_in(spec.language, code) for code in table["anchor_lang"].to_pylist()], pa.bool_())
    sides = (pc.if_else(turned, positive, anchor), pc.if_else(turned, anchor, positive))
    return pa.table([pa.array(order), *(side.cast(pa.large_string()) for side in sides)], schema=_DRAWN)


def _first(table: pa.Table, count: int) -> pa.Table:
    order = np.argsort(np.asarray(table["order"]), kind="stable")[:count]
    return table.take(pa.array(order))


def load(storage: Storage, key: str) -> dict[str, np.ndarray]:
    """The arrays of a committed map. Raises PairmillError where they are gone."""
    done = Units(storage, PREFIX).get(key)
    data = storage.get(done["path"]) if done else None
    if data is None:
        raise PairmillError(
            f"{storage.where(PREFIX)}/{key}: this map is gone (deleted by someone?). Run the command again."
        )
    with np.load(io.BytesIO(data)) as found:
        return dict(found)


def before(encode: Encode, item: dict[str, Any], spec: EvaluateSpec, storage: Storage) -> Encode:
    """The encoding of a subset that has texts to map; `item` is its unit's."""
    assert spec.map is not None, "the subset has a map"
    texts = texts_in(spec.map, item["codes"], load_parts(storage, item["parts"]))
    return mapped(encode, load(storage, item["map"]), texts)


def mapped(encode: Encode, arrays: dict[str, np.ndarray], texts: set[str]) -> Encode:
    """Encodes as `encode` does; the vectors of these texts go through the map, and to length 1."""

    def through(given: Sequence[str], prompt: str | None) -> np.ndarray:
        vectors = encode(given, prompt)
        chosen = np.array([text in texts for text in given], bool)
        if chosen.any():
            vectors = vectors.copy()
            vectors[chosen] = _finish(arrays, vectors[chosen])
        return vectors

    return through


def _finish(arrays: dict[str, np.ndarray], vectors: np.ndarray) -> np.ndarray:
    image = maps.apply(arrays, vectors)
    return image / np.maximum(np.linalg.norm(image, axis=1, keepdims=True), 1e-12)


def concerns(spec: Map, codes: list[str]) -> bool:
    """Whether a subset with texts in these languages has some to map."""
    return any(takes_in(spec.language, code) for code in codes[:2])


def texts_in(spec: Map, codes: list[str], parts: Parts) -> set[str]:
    """A subset's texts in the map's language, but for those that also stand on a side in another.

    The first of two codes is the language of the first side, such as queries; a lone code that of all texts.
    """
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for code, texts in zip((codes[0], codes[min(1, len(codes) - 1)]), _sides(parts), strict=True):
        found[takes_in(spec.language, code)].update(texts)
    return found[True] - found[False]


def _sides(parts: Parts) -> tuple[list[str], list[str]]:
    """The texts of both sides as mteb gives them to the encoder; of texts that are no pairs, all on the first."""
    if "queries" in parts:
        titles, texts = (parts["corpus"][name].to_pylist() for name in ("title", "text"))
        documents = [f"{title} {text}".strip() for title, text in zip(titles, texts, strict=True)]
        return parts["queries"]["text"].to_pylist(), documents
    if "sentence1" in parts["rows"].column_names:
        return parts["rows"]["sentence1"].to_pylist(), parts["rows"]["sentence2"].to_pylist()
    return [text for part in parts.values() for text in part["text"].to_pylist()], []
