"""Deduplication in a plan: one task or many, what they exchange, hold and take.

Layout, memory and disk are computed by the functions that the job itself asks (`curate/groups.py`, `decide.py`,
`distributed/layout.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pairmill.cluster.plan.base import Context, Plan, Stage
from pairmill.cluster.plan.sheet import Quantity, Sheet, quantity
from pairmill.curate import decide, groups
from pairmill.curate.distributed import components, layout
from pairmill.curate.sensitivity import job as sensitivity
from pairmill.spec.curate import CurateSpec

#: Of a row on its way to the walk, beside text and signature: three ids, its place in keep order, offsets.
CANDIDATE_BYTES = 48
LINKS = 3.0
ROUNDS = 7  # of small-star and large-star: 5 to 10 (docs/scale.md)


@dataclass(frozen=True)
class Alike:
    """Which rows are like others. Shares are of the rows; `repeated` of those with a copy before them in their range,
    for a number of ranges."""

    grouped: Quantity
    repeated: dict[int, float]
    copies: float  # with a copy before them anywhere

    def repeated_in(self, ranges: int) -> float:
        return self.repeated.get(ranges, self.copies / max(ranges, 1))


@dataclass(frozen=True)
class Deduplicated:
    exchanged: Quantity  # bytes
    spill: Quantity  # bytes of exchange files at a time


@dataclass
class Deduplication:
    """A job's deduplication. `shards`: (number, rows); `text_size`: text as the shard plan counts it; `passed`:
    rows that pass all rules; `text`: bytes of a row; `factor`: the sample's CPU-seconds over those of the stored rates
    for as many rows."""

    plan: Plan
    context: Context
    spec: CurateSpec
    shards: list[tuple[int, int]]
    text_size: float
    rows: Quantity
    passed: Quantity
    text: Quantity
    alike: Alike
    factor: Quantity

    def add(self) -> Deduplicated:
        """Add stages and lines, by the path that the job would take: one task where a node has the memory."""
        sheet, spec, wanted = self.plan.sheet, self.spec, self.spec.resources.dedup
        sheet.section = "dedup"
        self.grouped = sheet.product("rows in groups that pass all rules", "rows", self.passed, self.alike.grouped)
        size = round(self.text_size / max(self.rows.value, 1))
        whole = groups.memory(spec, round(self.rows.value))
        walk = decide.memory(spec, round(self.grouped.value), size)
        sheet.given("memory of one task for all groups", whole, "B", "400 MB + 256 B a row: curate/groups.py")
        told = "900 MB + (100 + 2 x (512 + text)) B: curate/decide.py"
        sheet.given("memory of one task for the walk", walk, "B", told)
        offered = self.context.largest_memory()
        grouping = wanted == "single" or (wanted == "auto" and whole <= offered)
        walking = grouping and (wanted == "single" or walk <= offered)
        why = f"resources.dedup: {wanted}" if wanted != "auto" else f"the largest node offers {offered / 1e9:.1f} GB"
        ways = {True: "one task", False: "many tasks"}
        sheet.assume(f"Deduplication: groups in {ways[grouping]}, the walk in {ways[walking]}: {why}.")
        self.cut = layout.plan(spec, self.shards, round(self.text_size))
        if not walking:
            self._tell_layout()
        sent = [self._one_task(whole)] if grouping else self._many_tasks()
        sent += [] if walking else [self._walk()]
        if walking:
            self._decide(walk)
        total = sheet.total("exchange", "B", *sent)
        spill = 0 if grouping else self.cut.spill
        held = sheet.given("exchange files at a time", spill, "B", "curate/distributed/layout.py, links included")
        return Deduplicated(total, held)

    def _cost(self, name: str, basis: Quantity, at: float) -> Quantity:
        """A stage's CPU-seconds; those of an earlier run are of each of its rows."""
        rate = self.context.rates.rate(name, at)
        known = name in self.context.rates.measured
        factors = (self.rows, rate) if known else (basis, rate, self.factor)
        return self.plan.sheet.product(f"{name}: CPU", "CPU-s", *factors, source=rate.source)

    def _alone(self, name: str, basis: Quantity, at: float, memory: float, moved: float) -> None:
        self.plan.stages.append(Stage(name, self._cost(name, basis, at), 1, memory, moved=moved))

    def _decide(self, memory: float) -> None:
        """The walk in one task: it reads all rows for those in groups, and compares these."""
        if "decide" in self.context.rates.measured:
            cpu = self._cost("decide", self.rows, 0)
        else:
            parts = [
                self._cost("dedup: candidates", self.rows, self.text.value),
                self._cost("dedup: walk", self.grouped, self.text.value),
            ]
            cpu = self.plan.sheet.total("decide: CPU", "CPU-s", *parts)
        moved = self.rows.value * (0.4 * self.text.value + self._signature)
        self.plan.stages.append(Stage("decide", cpu, 1, memory, moved=moved))

    def _one_task(self, memory: float) -> Quantity:
        self._alone("groups", self.rows, self.rows.value, memory, self.rows.value * (self._signature + 16))
        return self.plan.sheet.given("exchange for groups", 0, "B", "one task: nothing is exchanged")

    @property
    def _signature(self) -> int:
        return 4 * self.spec.dedup.near.slots if self.spec.dedup.near else 0

    def _tell_layout(self) -> None:
        sheet, cut, resources = self.plan.sheet, self.cut, self.spec.resources
        piece = f"{cut.piece:,} band rows at a time, a quarter of memory_per_task"
        sheet.given("ranges of shards", len(cut.ranges), "", piece)
        where = "a quarter of memory_per_task each: curate/distributed/layout.py"
        sheet.given("partitions of hashes", cut.partitions, "", where)
        limit = f"resources.spill: {resources.spill / 1e9:g} GB" if resources.spill else "no resources.spill"
        sheet.given("passes over the bands", max(len(cut.passes), 1), "", limit)

    def _many_tasks(self) -> list[Quantity]:
        """Bands, links, components, groups; what is exchanged."""
        sheet, near, cut = self.plan.sheet, self.spec.dedup.near, self.cut
        first = 1 - self.alike.repeated_in(len(cut.ranges))
        wide = near.bands * layout.band_bytes(near) if near else 0
        banded = sheet.product(
            "exchange: bands",
            "B",
            self.rows,
            quantity("first of their text in their range", first, "share", "", 1.05),
            quantity("", wide, "B/row"),
            source=f"rows first of their text in their range; {near.bands if near else 0} bands x {wide // 16} B",
        )
        exact = layout.EXACT_BYTES if self.spec.dedup.exact else 0
        hashed = sheet.product("exchange: exact hashes", "B", self.rows, quantity("", exact, "B/row"))
        sent = banded.value + hashed.value
        reads = len(cut.ranges) * cut.partitions * max(len(cut.passes), 1) * (2 if exact else 1)
        sheet.given("slices that links read", reads, "reads", "ranges x partitions, of bands and of hashes")
        self._stage("bands", len(cut.ranges), self.rows.value * (self._signature + 16) + sent)
        self._stage("links", cut.partitions, sent, reads)
        self._components()
        self._stage("groups", len(cut.ranges), 0, len(cut.ranges) * (cut.partitions + 1))
        return [banded, hashed]

    def _stage(
        self,
        name: str,
        units: int,
        moved: float,
        reads: float = 0,
        basis: Quantity | None = None,
        at: float | None = None,
        memory: float = 0,
    ) -> None:
        cpu = self._cost(f"dedup: {name}", basis or self.rows, self.rows.value if at is None else at)
        task = memory or float(self.spec.resources.memory_per_task)
        self.plan.stages.append(Stage(f"dedup: {name}", cpu, units, task, moved=moved, requests=reads))

    def _components(self) -> None:
        """One task where the links fit half of the largest node, else rounds of small-star and large-star."""
        sheet, parts, method = self.plan.sheet, self.cut.partitions, self.spec.resources.components
        each = quantity("", LINKS, "a row in a group", "", 1.6)
        links = sheet.product("links", "rows", self.grouped, each, source="partners that 16 bands find, assumed")
        needed = 200e6 + links.value * components.BYTES_PER_LINK
        if method == "single" or (method == "auto" and needed <= self.context.largest_memory() / 2):
            sheet.given("memory of components in one task", needed, "B", "200 MB + 100 B a link")
            self._stage("components", 1, links.value * layout.LINK_BYTES, len(self.cut.ranges) + parts, memory=needed)
            return
        sheet.assume("Components are found by rounds of small-star and large-star: their links fit half of no node.")
        told = f"{ROUNDS} rounds x 2 x partitions squared"
        reads = sheet.given("slices that rounds read", 2 * ROUNDS * parts * parts, "reads", told)
        self._stage("components", parts, 4 * ROUNDS * links.value * layout.LINK_BYTES, reads.value)

    def _walk(self) -> Quantity:
        """Candidates, walk, decisions; the texts that are exchanged."""
        ranges, parts, sheet = len(self.cut.ranges), self.cut.partitions, self.plan.sheet
        texted = max(1 - self.alike.repeated_in(ranges) / max(self.alike.grouped.value, 1e-9), 0.0)
        bytes_ = CANDIDATE_BYTES + texted * (self.text.value + self._signature)
        sent = sheet.product(
            "exchange: texts and signatures of rows in groups",
            "B",
            self.grouped,
            quantity("", bytes_, "B/row", "", 1.1),
            source=f"{CANDIDATE_BYTES} B + {100 * texted:.0f} %, no copy before them, x (text + {self._signature} B)",
        )
        read = self.rows.value * (0.4 * self.text.value + self._signature)
        self._stage("candidates", ranges, sent.value + read, 0, self.rows, at=self.text.value)
        self._stage("walk", parts, sent.value, ranges * parts, self.grouped, at=self.text.value)
        self._stage("decisions", ranges, 0, ranges * parts)
        return sent


def looked_at(
    sheet: Sheet, context: Context, spec: CurateSpec, rows: Quantity, alike: Alike, text: Quantity
) -> tuple[Quantity, int, float]:
    """What the report's look at other thresholds walks: rows in groups, in how many parts, and a part's memory."""
    grouped = sheet.product("rows in groups", "rows", rows, alike.grouped)
    memory = max(float(spec.resources.memory_per_task), min(sensitivity.MEMORY, context.largest_memory()))
    fixed = decide.memory(spec, 0, round(text.value))
    each = decide.memory(spec, 1, round(text.value)) - fixed
    most = max((memory - fixed) // each, 100_000)
    parts = min(math.ceil(grouped.value / most), sensitivity.MOST_PARTS)
    if parts * most >= grouped.value:
        return grouped, max(parts, 1), memory
    told = f"{parts} parts that fit {memory / 1e9:g} GB each"
    return sheet.given("rows in groups that are looked at", parts * most, "rows", told), parts, memory
