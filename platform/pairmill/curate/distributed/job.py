"""The stages of distributed deduplication, in order:

    bands (per range) -> links (per partition), once per pass -> components -> groups (per range)
    -> candidates (per range) -> walk (per partition) -> decisions (per range)

Everything up to groups depends on the shards and the deduplication parameters alone and is shared by runs. Exchange
files are deleted as soon as all that read them are committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pairmill.curate.distributed import bands, by_shard, components, links, walk
from pairmill.curate.distributed.layout import Layout, check_disk
from pairmill.curate.distributed.units import PREFIX, key
from pairmill.errors import PairmillError
from pairmill.runs.engine import Resources, WorkFunction
from pairmill.runs.storage import Storage
from pairmill.runs.units import Units, digest

Stage = Callable[[str, WorkFunction, list[dict[str, Any]], Resources], list[dict[str, Any]]]
#: Far more than the rounds of any graph: large-star and small-star need O(log^2 n).
MAX_ROUNDS = 100


class Distributed:
    """Deduplication of one run's shards, given as `{"index", "key"}`."""

    def __init__(
        self,
        storage: Storage,
        stage: Stage,
        layout: Layout,
        shards: list[dict[str, Any]],
        group_key: str,
        decide_prefix: str,
        resources: Resources,
    ) -> None:
        self._storage, self._run, self._layout, self._resources = storage, stage, layout, resources
        self._cut = digest(layout.as_json(), 12)
        self._at, self._decide = f"{group_key}/{self._cut}", decide_prefix
        by_index = {shard["index"]: shard for shard in shards}
        self._shards = [[by_index[index] for index in indexes] for indexes in layout.ranges]
        self._shared = {
            "at": self._at,
            "ranges": [indexes[0] for indexes in layout.ranges],
            "partitions": layout.partitions,
            "piece": layout.piece,
        }

    def find_groups(self, method: str, link_memory: int) -> None:
        """Commit the groups. `method`: single | stars | auto (single where the links fit `link_memory` bytes).

        Where they are committed no other stage is looked at: its files may be deleted, and another method would want
        them again.
        """
        units, finished = Units(self._storage, PREFIX), f"{self._at}/finished"
        if units.get(finished) is not None:
            return
        if not all(self._committed("groups", number) for number in range(len(self._shards))):
            self._make_groups(method, link_memory)
        for name, count in self._before_groups():
            self._delete(name, count, ("bands", "labels", "links", "exact"))
        units.commit(finished, {})

    def groups(self) -> tuple[dict[str, list[int]], int]:
        """Where the groups are: the keys of committed units, each with the shards that are in it; and rows in all."""
        units, keys = Units(self._storage, PREFIX), [key(self._at, "groups", n) for n in range(len(self._shards))]
        rows = sum((units.get(name) or {})["rows"] for name in keys)
        return {name: list(shards) for name, shards in zip(keys, self._layout.ranges, strict=True)}, rows

    def _make_groups(self, method: str, link_memory: int) -> None:
        if not any(self._committed("bands-0", number) for number in range(len(self._shards))):
            check_disk(self._storage, self._layout.spill)
        found, sources = 0, list[tuple[str, int]]()
        for number, chosen in enumerate(self._layout.passes or [[]]):
            options = {"bands": chosen, "first_pass": number == 0}
            banded, linked = f"bands-{number}", f"links-{number}"
            own = self._stage("bands", banded, bands.write_bands, "ranges", **options)
            done = self._stage("links", linked, links.link_partition, "partitions", **options, **{"from": banded})
            self._delete(banded, len(self._layout.ranges), ("bands", "exact"))
            found += sum(unit["links"] for unit in own) + sum(unit["rows"] for unit in done)
            sources += [(banded, len(self._layout.ranges)), (linked, self._layout.partitions)]
        needed = found * components.BYTES_PER_LINK
        if method == "single" or (method == "auto" and needed <= link_memory):
            memory = max(self._resources.memory, 200_000_000 + needed)
            self._stage("components", "single", components.single, "one", memory=memory, **{"from": sources})
            labels = [("single", 1)]
        else:
            labels = self._stars(sources)
        exact = [("links-0", self._layout.partitions)]
        self._stage("groups", "groups", by_shard.gather_groups, "ranges", labels=labels, exact=exact)

    def _before_groups(self) -> Iterator[tuple[str, int]]:
        """Every stage, with its number of units, that may have left exchange files when the groups are committed."""
        partitions = self._layout.partitions
        for number in range(len(self._layout.passes or [[]])):
            yield f"bands-{number}", len(self._shards)
            yield f"links-{number}", partitions
        yield from (("single", 1), ("labels", partitions))
        for number in range(MAX_ROUNDS):
            if not any(self._committed(f"small-{number:03d}", part) for part in range(partitions)):
                return
            yield f"small-{number:03d}", partitions
            yield f"large-{number:03d}", partitions

    def _committed(self, unit: str, number: int, prefix: str = PREFIX, at: str = "") -> bool:
        return Units(self._storage, prefix).get(key(at or self._at, unit, number)) is not None

    def _stars(self, sources: list[tuple[str, int]]) -> list[tuple[str, int]]:
        """Rounds of small-star and large-star until the links repeat; returns where the labels are."""
        count, before, origin = self._layout.partitions, None, sources
        for number in range(MAX_ROUNDS):
            small, large = f"small-{number:03d}", f"large-{number:03d}"
            self._stage("components", small, components.small, "partitions", **{"from": origin})
            done = self._stage("components", large, components.large, "partitions", **{"from": [(small, count)]})
            now = sum(unit["links"] for unit in done), sum(unit["check"] for unit in done) % (1 << 64)
            if now == before:
                self._stage("components", "labels", components.labels, "partitions", **{"from": [(small, count)]})
                for name in (small, large, origin[0][0]):
                    self._delete(name, count, ("links",))
                return [("labels", count)]
            if number:
                self._delete(origin[0][0], count, ("links",))
            before, origin = now, [(large, count)]
            self._delete(small, count, ("links",))
        raise PairmillError(f"components did not settle in {MAX_ROUNDS} rounds: please report this run")

    def decide(self, whole: str | None = None) -> list[dict[str, Any]]:
        """Commit the decisions; return for each range where its shards find them. `whole`: the unit of a single task
        that found the groups."""
        at = f"distributed/{self._cut}"
        options = {"prefix": self._decide, "at": at}
        if not any(self._committed("candidates", number, **options) for number in range(len(self._shards))):
            units, numbers = Units(self._storage, PREFIX), range(len(self._shards))
            manifests = map(units.get, [whole] if whole else [key(self._at, "groups", number) for number in numbers])
            check_disk(self._storage, sum(found["rows"] for found in manifests if found) * self._layout.row_bytes)
        named = {"groups": self._at, "whole": whole}
        self._stage("candidates", "candidates", walk.write_candidates, "ranges", **named, **options)
        self._stage("walk", "walk", walk.walk_partition, "partitions", **options)
        self._delete("candidates", len(self._layout.ranges), ("rows",), **options)
        self._stage("decisions", "decisions", by_shard.gather_decisions, "ranges", **options)
        self._delete("walk", self._layout.partitions, ("decisions",), **options)
        ranges = enumerate(self._layout.ranges)
        return [{"shards": of, "prefix": self._decide, "key": key(at, "decisions", n)} for n, of in ranges]

    def _stage(self, name: str, unit: str, work: WorkFunction, over: str, **options: Any) -> list[dict[str, Any]]:
        """Run one unit for each range or partition, or one in all."""
        at, memory = options.get("at", self._at), options.pop("memory", self._resources.memory)
        numbers: Iterable[int] = range({"one": 1, "ranges": len(self._shards)}.get(over, self._layout.partitions))
        items = [{**self._shared, **options, "number": n, "key": key(at, unit, n)} for n in numbers]
        if over == "ranges":
            items = [{**item, "shards": shards} for item, shards in zip(items, self._shards, strict=True)]
        return self._run(f"dedup: {name}", work, items, Resources(self._resources.cpus, memory))

    def _delete(self, unit: str, count: int, names: tuple[str, ...], prefix: str = PREFIX, at: str = "") -> None:
        units = Units(self._storage, prefix)
        for number in range(count):
            manifest = units.get(key(at or self._at, unit, number)) or {"files": {}}
            for name in names:
                for path in manifest["files"].get(name, []):
                    self._storage.delete(path)
