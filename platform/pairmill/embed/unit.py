"""A unit of an embed job: texts in, one file of vectors out, committed once.

The engine stays in the worker's process for the next unit of the job. When it is made, its checksum and dimension are
compared with those that the job began with: a model whose files changed meanwhile never mixes with the old one.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from functools import lru_cache
from typing import Any

import numpy as np

from pairmill.embed import texts, vectors
from pairmill.embed.engine import Engine, NotFinite, make
from pairmill.errors import PairmillError
from pairmill.runs.units import Units, do_once
from pairmill.spec.embed import EmbedSpec

#: Bytes of vectors in memory at a time, and so in a row group.
CHUNK_BYTES = 64 << 20
LARGEST_HALF = float(np.finfo(np.float16).max)


def embed_unit(item: dict[str, Any]) -> dict[str, Any]:
    """The stage's unit function. Facts: `path`, `distinct` texts, `lost` ones, `seconds` of encoding."""
    return do_once(item, item["prefix"], lambda units: _embed(units, item))


def _embed(units: Units, item: dict[str, Any]) -> dict[str, Any]:
    spec, side = EmbedSpec.model_validate(item["spec"]), item["side"]
    engine = _engine(json.dumps(item["spec"], sort_keys=True), item["storage"], json.dumps(item["model"]))
    path = Units(units.storage, item["folder"]).data_path(item["key"])
    lost: Counter[str] = Counter()
    rows, distinct, seconds = 0, 0, 0.0
    schema = vectors.schema(engine.dims, spec.store)
    stream = texts.chunks(texts.read(item["part"], side, lost), max(1, CHUNK_BYTES // (4 * engine.dims)))
    with units.storage.parquet_writer(path, schema, plain=["vector", "vector.list.element"]) as writer:
        for ids, some in stream:
            clock = time.perf_counter()
            try:
                found = engine.encode(some, item["prompt"])
            except NotFinite as error:
                where = f"{item['set']}, {side}, pair_id {ids[error.row]} ({_source(item['part'])})"
                raise PairmillError(f"{where}: {error}") from None
            seconds += time.perf_counter() - clock
            if spec.store == "float16" and np.abs(found).max(initial=0) > LARGEST_HALF:
                raise PairmillError(
                    f"{item['set']}, {side}: vectors hold numbers beyond {LARGEST_HALF:,.0f}, the largest of float16. "
                    "Use store: float32, or normalize: true."
                )
            writer.write_table(vectors.table(ids, found, spec.store), row_group_size=len(ids))
            rows, distinct = rows + len(ids), distinct + len(set(some))
    facts = {"path": path, "distinct": distinct, "seconds": round(seconds, 3)}
    return {"rows": rows, "facts": {**facts, "lost": {name: count for name, count in lost.items() if count}}}


def _source(part: dict[str, Any]) -> str:
    """The kept file, or the files, that a unit reads."""
    return part["path"] if "path" in part else ", ".join(piece["uris"][0] for piece in part["pieces"][:3])


def check(engine: Engine, begun: dict[str, Any]) -> None:
    """Refuse a model that is not the one the job began with: `{"name", "checksum", "dims"}`. Raises PairmillError."""
    if engine.checksum != begun["checksum"]:
        raise PairmillError(
            f"model {begun['name']}: its files changed since this job began (checksum {begun['checksum'][:12]}, now "
            f"{engine.checksum[:12]}). Vectors of two models cannot be mixed. Put the former files back and run the "
            "same command, which resumes; or run it with the new ones, which is another run."
        )
    if engine.dims != begun["dims"]:
        raise PairmillError(
            f"model {begun['name']}: its vectors have {engine.dims} numbers, but its config.json says "
            f"{begun['dims']}. Set `dims`, or take another copy of the model."
        )


@lru_cache(maxsize=1)
def _engine(spec: str, storage: str, begun: str) -> Engine:
    """The engine of a spec, checked; one that is refused is not kept, so the next unit looks again."""
    given = EmbedSpec.model_validate_json(spec)
    engine = make(
        given.model,
        given.precision,
        given.resources.threads,
        given.dims,
        given.normalize,
        storage=storage,
        micro_batch=given.resources.micro_batch,
    )
    check(engine, json.loads(begun))
    return engine
