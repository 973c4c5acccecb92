"""The plan of a curate job on files."""

from __future__ import annotations

from pairmill.cluster.plan import declared, dedup, sampled
from pairmill.cluster.plan.base import Context, Plan, Rows, Stage
from pairmill.cluster.plan.sheet import Quantity, Sheet, quantity
from pairmill.cluster.plan.volumes import Input, Inputs
from pairmill.curate import thresholds
from pairmill.curate.annotate import CHUNK_RECORDS
from pairmill.errors import SpecError
from pairmill.spec.curate import CurateSpec


def plan_curate(spec: CurateSpec, context: Context) -> Plan:
    """Raises SourceError where an input cannot be read, SpecError where nothing is known of it."""
    plan = Plan("curate", spec.name)
    return _planned(plan, spec, context, _inputs(spec, context, plan.sheet))


def _inputs(spec: CurateSpec, context: Context, sheet: Sheet) -> Inputs:
    declared_names = set(context.given.inputs)
    lacking = [given.name for given in spec.inputs if given.name not in declared_names]
    if not lacking:
        return declared.inputs(spec, context, sheet)
    if len(lacking) < len(spec.inputs):
        raise SpecError(
            f"--given: it has volumes of some inputs and not of {', '.join(lacking)}: give all of a job's, or none."
        )
    return sampled.inputs(spec, context, sheet)


def _planned(plan: Plan, spec: CurateSpec, context: Context, volumes: Inputs) -> Plan:
    sheet, inputs, alike = plan.sheet, volumes.inputs, volumes.alike
    sheet.section = "inputs"
    rows = sheet.total("rows in", "rows", *(sheet.known(one.rows) for one in inputs))
    read = sheet.total("bytes read", "B", *(one.read_bytes for one in inputs))
    shards = sum(one.shards for one in inputs)
    sheet.given("shards", shards, "", f"text in shards of {spec.resources.shard_size / 1e6:g} MB")
    texts = [sheet.product(f"{one.name}: text", "B", one.rows, one.text) for one in inputs]
    text_bytes = sheet.total("text", "B", *texts)
    text = sheet.quotient("text a row", "B/row", text_bytes, _exact(rows))
    _annotate(plan, spec, context, inputs, shards, volumes.start_up)
    passed = _passed(sheet, inputs, rows)
    removed = volumes.removed if spec.dedup.exact or spec.dedup.near else quantity("removed", 0, "share")
    found = None
    if spec.dedup.exact or spec.dedup.near:
        sizes = _shards(inputs)
        size = sum(one.text_size for one in inputs)
        found = dedup.Deduplication(plan, context, spec, sizes, size, rows, passed, text, alike, volumes.factor).add()
    kept = _kept(sheet, passed, removed)
    _select(plan, spec, context, inputs, shards, rows, alike, text if found else None)
    _disk(plan, spec, inputs, rows, kept, text_bytes, read, found)
    _told(plan, spec, rows, read, kept, found, shards)
    each = {one.name: one.rows.value * one.passed.value * (1 - removed.value) for one in inputs}
    plan.rows = Rows(kept, text, each)
    return plan


def _exact(value: Quantity) -> Quantity:
    return Quantity(value.name, value.value, value.unit, value.value, value.value)


def _shards(inputs: list[Input]) -> list[tuple[int, int]]:
    """(number, rows) of all shards, those of an input alike."""
    found: list[tuple[int, int]] = []
    for one in inputs:
        each = one.rows.value / max(one.shards, 1)
        found += [(len(found) + number, round(each)) for number in range(one.shards)]
    return found


def _annotate(
    plan: Plan, spec: CurateSpec, context: Context, inputs: list[Input], shards: int, start_up: Quantity
) -> None:
    sheet = plan.sheet
    sheet.section = "annotate"
    measured = context.rates.measured.get("annotate")
    if measured is not None:
        rows = sheet.total("rows", "rows", *(one.rows for one in inputs))
        cpu = sheet.product("annotate: CPU", "CPU-s", rows, measured, source=measured.source)
    else:
        costs = []
        for one in inputs:
            costs.append(sheet.product(f"{one.name}: read", "CPU-s", one.rows, one.read, source=one.read.source))
            costs.append(
                sheet.product(f"{one.name}: annotate", "CPU-s", one.rows, one.annotate, source=one.annotate.source)
            )
        slots = min(shards, context.cpus() / spec.resources.cpus_per_task)
        workers = sheet.given("workers that start", max(1, round(slots)), "", "CPUs, at most one for each shard")
        costs.append(sheet.product("start-up", "CPU-s", workers, start_up, source=start_up.source))
        cpu = sheet.total("annotate: CPU", "CPU-s", *costs)
    read = sum(one.read_bytes.value for one in inputs)
    written = sum(one.rows.value * one.annotated_bytes.value for one in inputs)
    task = spec.resources
    units = max(shards, 1)
    plan.stages.append(
        Stage("annotate", cpu, units, task.memory_per_task, task.cpus_per_task, read + written, requests=4 * units)
    )
    if spec.clean.boilerplate:
        counted = sheet.product("boilerplate: CPU", "CPU-s", cpu, quantity("", 0.5, "of annotate", "assumed", 1.5))
        plan.stages.append(
            Stage("boilerplate", counted, units, task.memory_per_task, task.cpus_per_task, 2 * read, requests=4 * units)
        )
    if spec.decontaminate:
        text = sum(one.rows.value * one.text.value for one in inputs)
        rate = context.rates.constant("decontaminate")
        scanned = sheet.product(
            "decontaminate: scan: CPU", "CPU-s", quantity("text", text, "B"), rate, source=rate.source
        )
        plan.stages.append(
            Stage("decontaminate: scan", scanned, units, task.memory_per_task, task.cpus_per_task, written)
        )


def _passed(sheet: Sheet, inputs: list[Input], rows: Quantity) -> Quantity:
    sheet.section = "kept rows"
    parts = [
        sheet.product(f"{one.name}: pass all rules", "rows", _exact(one.rows), one.passed, source=one.passed.source)
        for one in inputs
    ]
    return sheet.total("pass all rules", "rows", *parts)


def _kept(sheet: Sheet, passed: Quantity, removed: Quantity) -> Quantity:
    sheet.section = "kept rows"
    stays = Quantity("stay", 1 - removed.value, "share", 1 - removed.high, 1 - removed.low, "", removed.source)
    return sheet.product("kept rows", "rows", passed, stays, source=f"not removed as duplicates: {removed.source}")


def _select(
    plan: Plan,
    spec: CurateSpec,
    context: Context,
    inputs: list[Input],
    shards: int,
    rows: Quantity,
    alike: dedup.Alike,
    text: Quantity | None,
) -> None:
    sheet = plan.sheet
    sheet.section = "select"
    measured = context.rates.measured.get("select")
    if measured is not None:
        cpu = sheet.product("select: CPU", "CPU-s", rows, measured, source=measured.source)
    else:
        costs = [
            sheet.product(f"{one.name}: select", "CPU-s", one.rows, one.select, source=one.select.source)
            for one in inputs
        ]
        cpu = sheet.total("select: CPU", "CPU-s", *costs)
    task = spec.resources
    moved = sum(one.rows.value * (one.annotated_bytes.value + one.kept_bytes.value) for one in inputs)
    reserve = (float(task.memory_per_task), task.cpus_per_task)
    plan.stages.append(Stage("select", cpu, shards, *reserve, moved, requests=6 * shards))
    if _looks(spec):
        rate = context.rates.rate("sensitivity: rows")
        counted = sheet.product("sensitivity: rows: CPU", "CPU-s", rows, rate, source=rate.source)
        plan.stages.append(Stage("sensitivity: rows", counted, shards, *reserve, moved / 4))
    if text is not None:
        basis, parts, memory = dedup.looked_at(sheet, context, spec, rows, alike, text)
        walked = _looked_at(sheet, context, spec, rows, basis, parts, text)
        plan.stages.append(Stage("sensitivity: groups", walked, parts, memory, task.cpus_per_task))


def _looks(spec: CurateSpec) -> bool:
    """Whether the report tells what other thresholds would keep."""
    return spec.report.sensitivity and bool(thresholds.active_rules(spec.filters, spec.language.min_confidence))


def _looked_at(
    sheet: Sheet, context: Context, spec: CurateSpec, rows: Quantity, basis: Quantity, parts: int, text: Quantity
) -> Quantity:
    """The stage `sensitivity: groups`: each part reads all rows for its own, and walks these at other thresholds.

    Without thresholds to look at it reads the groups and no text.
    """
    rate = context.rates.rate("sensitivity: groups", text.value)
    if "sensitivity: groups" in context.rates.measured:
        return sheet.product("sensitivity: groups: CPU", "CPU-s", rows, rate, source=rate.source)
    if not _looks(spec):
        members = context.rates.rate("dedup: groups", rows.value)
        return sheet.product("sensitivity: groups: CPU", "CPU-s", rows, members, source=members.source)
    read = context.rates.rate("dedup: candidates", text.value)
    times = quantity("", parts, "parts")
    reading = sheet.product("sensitivity: groups: read", "CPU-s", rows, read, times, source=read.source)
    walking = sheet.product("sensitivity: groups: walk", "CPU-s", basis, rate, source=rate.source)
    return sheet.total("sensitivity: groups: CPU", "CPU-s", reading, walking)


def _disk(
    plan: Plan,
    spec: CurateSpec,
    inputs: list[Input],
    rows: Quantity,
    kept: Quantity,
    text: Quantity,
    read: Quantity,
    found: dedup.Deduplicated | None,
) -> None:
    sheet = plan.sheet
    sheet.section = "disk"

    def mean(name: str) -> Quantity:
        """A figure of the inputs, weighted by their rows."""
        total = sum(one.rows.value for one in inputs)
        values = [
            sum(one.rows.value * getattr(getattr(one, name), bound) for one in inputs) / max(total, 1)
            for bound in ("value", "low", "high")
        ]
        source = getattr(inputs[0], name).source if inputs else ""
        return Quantity(name, values[0], "B/row", values[1], values[2], "", source)

    source = mean("annotated_bytes").source
    annotated = sheet.product("annotated shards", "B", rows, mean("annotated_bytes"), source=source)
    stays = sheet.product("kept", "B", kept, mean("kept_bytes"), source=source)
    lost = Quantity("", max(rows.value - kept.value, 0), "rows", max(rows.low - kept.high, 0), rows.high - kept.low)
    rejected = sheet.product(
        "rejected", "B", lost, mean("rejected_bytes"), source=f"output.rejected: {spec.output.rejected}"
    )
    index = sheet.product("dedup_index", "B", kept, mean("index_bytes"), source=source)
    parts = [annotated, stays, rejected, index]
    lasting = sheet.total("disk that stays", "B", *parts)
    spilled = [found.spill] if found else []
    peak = sheet.total("disk at the peak", "B", lasting, *spilled) if spilled else lasting
    amplified = sheet.quotient("storage amplification", "x what is read", peak, _exact(read))
    plan.figures += [peak, amplified]


def _told(
    plan: Plan,
    spec: CurateSpec,
    rows: Quantity,
    read: Quantity,
    kept: Quantity,
    found: dedup.Deduplicated | None,
    shards: int,
) -> None:
    sheet = plan.sheet
    sheet.section = "together"
    cpu = sheet.total("CPU", "CPU-s", *(stage.cpu for stage in plan.stages))
    memory = max((stage.memory for stage in plan.stages), default=0)
    largest = sheet.given("memory of the largest task", memory, "B", "resources.memory_per_task, or one task for all")
    exchange = [found.exchanged, found.spill] if found else []
    share = sheet.quotient("kept share", "share", kept, _exact(rows))
    count = sheet.given("shards", shards, "", "units of annotate and select")
    chunk = rows.value / max(shards, 1)
    if chunk > CHUNK_RECORDS:
        sheet.assume(f"A killed annotate task loses {CHUNK_RECORDS:,} records at most: long shards commit chunks.")
    plan.figures[:0] = [rows, read, count, cpu, *exchange, largest, kept, share]
