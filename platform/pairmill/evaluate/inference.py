"""What the model's inference costs, alone on its CPUs or GPU: latency of single texts, throughput, memory.

The texts are drawn by hash from those of the tasks. They are encoded once to warm up, then one by one, then all
together; nothing is read from a cache. Memory is that of the process, with all its libraries: with the model open, and
the peak from then on.
"""

from __future__ import annotations

import contextlib
import heapq
import time
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from pairmill.evaluate.work import load_parts
from pairmill.runs.storage import Storage, open_storage
from pairmill.runs.units import Units, do_once
from pairmill.spec.evaluate import EvaluateSpec

PREFIX = "stages/evaluate/inference"
VERSION = 1
_WARM = 3
_COLUMNS = ("sentence1", "text")


def measure(item: dict[str, Any]) -> dict[str, Any]:
    """Unit function: commit the costs. `item`: `subsets` ({parts}), `prompt`, `key`."""
    return do_once(item, PREFIX, lambda units: _measure(item, units))


def _measure(item: dict[str, Any], units: Units) -> dict[str, Any]:
    from pairmill.evaluate.model import open_engine

    spec, storage = EvaluateSpec.model_validate(item["spec"]), open_storage(item["storage"])
    assert spec.inference is not None, "the stage runs where the spec wants it"
    texts = _sample(storage, item["subsets"], spec.inference.texts)
    engine = open_engine(spec, item["storage"], item["checksum"])
    idle = _open_memory()
    engine.encode(texts[:_WARM], item["prompt"])
    singles = []
    for text in texts:
        started = time.perf_counter()
        engine.encode([text], item["prompt"])
        singles.append(1000 * (time.perf_counter() - started))
    started = time.perf_counter()
    engine.encode(texts, item["prompt"])
    seconds = time.perf_counter() - started
    return {
        "rows": len(texts),
        "characters": float(np.mean([len(text) for text in texts])),
        "latency_ms": dict(zip(("p50", "p95", "p99"), map(float, np.percentile(singles, [50, 95, 99])), strict=True)),
        "texts_per_second": len(texts) / seconds,
        "memory": {"open": idle, "peak": _bytes("VmHWM")},
    }


def _sample(storage: Storage, subsets: list[dict[str, Any]], count: int) -> list[str]:
    """Distinct texts, from each subset in turn the one with the next lowest hash."""
    ranked = []
    for one in subsets:
        parts = {name: path for name, path in one["parts"].items() if name in ("rows", "corpus")}
        texts = {text for table in load_parts(storage, parts).values() for text in _column(table)}
        ranked.append(heapq.nsmallest(count, texts, key=lambda text: xxhash.xxh3_64_intdigest(text.encode())))
    found: dict[str, None] = {}
    for turn in zip_longest(*ranked):
        for text in turn:
            if text is not None and len(found) < count:
                found[text] = None
    return list(found)


def _column(table: pa.Table) -> list[str]:
    name = next(name for name in _COLUMNS if name in table.column_names)
    return table[name].to_pylist()


def _open_memory() -> int:
    """Resident bytes of this process, from where its peak is counted anew (proc(5), clear_refs)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _bytes("VmRSS")


def _bytes(name: str) -> int:
    """A figure of this process's memory, in bytes."""
    found = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(found.split()[1]) * 1024
