"""What the sections of a mine job share: the stages *texts*, *index* and *neighbours*, and what these hand on.

1. texts (per part of a side): what the texts say (`texts.py`).
2. index (per shard of a side): its distinct texts' vectors, an index for each pool. One shard where memory allows.
3. neighbours (per part of the asking side): each text's k nearest on the other side, among the texts of its own pool.
   Their ids are places on that side.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pairmill.errors import PairmillError
from pairmill.mine import index
from pairmill.mine.neighbours import build_shard, find_nearest, measure_recall
from pairmill.mine.texts import key_of, read_texts, text_items
from pairmill.runs import engine
from pairmill.runs.record import Run
from pairmill.runs.storage import Storage
from pairmill.runs.units import digest
from pairmill.spec.mine import MineSpec

VERSION = 1
Stage = Callable[[str, engine.WorkFunction, list[dict[str, Any]]], list[dict[str, Any]]]


@dataclass
class Work:
    """A mine job in its run. `stage(name, unit function, items)` does units; `say` tells the user a line."""

    run: Run
    spec: MineSpec
    stage: Stage
    say: Callable[[str], None]
    #: The parts of each side that was read, and its pools.
    parts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    pools: dict[str, list[str]] = field(default_factory=dict)
    #: What the report tells of indexes: the choices, and the recall measured.
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def storage(self) -> Storage:
        return self.run.storage

    def prefix(self, name: str) -> str:
        return self.run.units(name).prefix

    def side(self, parts: list[dict[str, Any]]) -> str:
        """Read the texts of a side; returns the path of its description, for `open_side`.

        Raises PairmillError where it has none.
        """
        if not any(part["rows"] for part in parts):
            what = f"{parts[0]['side']} of {parts[0]['path'].split('/')[1]}" if parts else "a side"
            raise PairmillError(f"vectors: {what} has no text with a vector. Look at the report of the embed run.")
        items = text_items(parts, self.prefix("texts"))
        done = {found["key"]: found for found in self.stage("mine: texts", read_texts, items)}
        described = {"parts": parts, "files": [done[key_of(part)]["file"] for part in parts]}
        path = f"{self.prefix('texts')}/side-{digest(described)}.json"
        self.storage.put_json(path, described)
        self.parts[path] = parts
        self.pools[path] = sorted({pool for unit in done.values() for pool in unit["pools"]})
        return path

    def items(self, stage: str, side: str, **more: Any) -> list[dict[str, Any]]:
        """A unit for each part of a side."""
        base = {"prefix": self.prefix(stage), "side": side, **more}
        return [{**base, "key": f"{number:06d}", "number": number} for number in range(len(self.parts[side]))]

    def neighbours(self, name: str, asking: str, others: str, k: int) -> list[str]:
        """The files of each part's k nearest on the side `others`, in the order of the parts of `asking`."""
        shards = self._index(name, others)
        items = self.items(f"{name}-neighbours", asking, index=shards, k=k, threads=self.threads)
        done = {found["key"]: found["file"] for found in self.stage(f"mine: {name} neighbours", find_nearest, items)}
        if self.spec.index.sample:
            self._recall(name, asking, others, shards, k)
        return [done[item["key"]] for item in items]

    @property
    def threads(self) -> int:
        return max(1, int(self.spec.resources.cpus_per_task))

    def _index(self, name: str, side: str) -> str:
        """Index a side; returns the path of a description of its shards."""
        parts = self.parts[side]
        rows, dims, memory = sum(part["rows"] for part in parts), parts[0]["dims"], self.spec.resources.memory_per_task
        kind = index.choose(rows, dims, memory, self.spec.index).kind
        count = min(len(parts), math.ceil(index.size_of(kind, rows, dims, self.spec.index.links) / memory)) or 1
        cuts = [round(number * len(parts) / count) for number in range(count + 1)]
        base = {"prefix": self.prefix(f"{name}-index"), "side": side, "threads": self.threads}
        items = [
            {**base, "key": f"{number:06d}-{count}", "from": cuts[number], "to": cuts[number + 1]}
            for number in range(count)
        ]
        made = sorted(self.stage(f"mine: {name} index", build_shard, items), key=lambda done: done["key"])
        self._tell(name, made)
        path = f"{self.prefix(f'{name}-index')}/shards-{count}.json"
        self.storage.put_json(path, [done["pools"] for done in made])
        return path

    def _tell(self, name: str, made: list[dict[str, Any]]) -> None:
        pools = [pool for done in made for pool in done["pools"]]
        largest = max(pools, key=lambda pool: pool["rows"])
        rows = sum(pool["rows"] for pool in pools)
        more = f"; the largest of {len(pools)} indexes" if len(pools) > 1 else ""
        self.told[name] = {
            "choice": largest["choice"] + more,
            "texts": rows,
            "shards": len(made),
            "indexes": len(pools),
            "exact": all(pool["kind"] == "flat" for pool in pools),
        }
        self.say(f"{name}: index of {rows:,} distinct texts: {largest['choice']}{more}")

    def _recall(self, name: str, asking: str, others: str, shards: str, k: int) -> None:
        """Measure recall on a sample of queries, where the index is not exact."""
        if self.told[name]["exact"]:
            return
        item: dict[str, Any] = {"prefix": self.prefix(f"{name}-recall"), "key": "recall"}
        item |= {"side": asking, "others": others}
        item |= {"index": shards, "k": min(k, 10), "threads": self.threads, "sample": self.spec.index.sample}
        (found,) = self.stage(f"mine: {name} recall", measure_recall, [item])
        self.told[name] |= {name: found[name] for name in ("recall", "k", "queries")}
        self.say(f"{name}: recall@{found['k']} {found['recall']:.4f} on {found['queries']:,} queries")
