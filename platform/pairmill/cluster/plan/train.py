"""The plan of training: `kind: train` and `kind: pretrain`.

tokens of a step = batch x texts of a row x tokens of a text. FLOPs of a token: the forward pass (`models.py`) times the
passes of training: forward and backward 3; forward once more where a batch goes through in several micro-batches
(gradient caching, arXiv 2101.06983), and once more with gradient checkpointing. Memory: `memory.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pairmill.cluster.plan import memory, texts
from pairmill.cluster.plan.base import Context, Plan, Stage
from pairmill.cluster.plan.gpus import gpu_hours
from pairmill.cluster.plan.models import Facts, facts
from pairmill.cluster.plan.sheet import Quantity, quantity
from pairmill.spec.data import DataEntry
from pairmill.spec.objectives import needs
from pairmill.spec.pretrain import PretrainSpec
from pairmill.spec.train import TrainSpec

Spec = TrainSpec | PretrainSpec


@dataclass(frozen=True)
class Entry:
    """What is trained on of one entry: rows, share of the batches, rows of a batch, tokens of a row."""

    name: str
    rows: Quantity
    share: float
    batch: int
    tokens: Quantity
    length: float  # mean tokens of a text
    taught: float  # share of the tokens that a teacher reads
    text: Quantity


def plan_train(spec: Spec, context: Context) -> Plan:
    """Raises SpecError where a model, a run or an input is neither here nor given."""
    plan = Plan(spec.kind, spec.name)
    sheet = plan.sheet
    sheet.section = "model"
    found = facts(spec.model, context)
    parameters = sheet.given("parameters", found.parameters, "", found.source)
    sheet.given("of these embeddings", found.embedding, "", found.source)
    entries = _entries(spec, found, context)
    _prepare(plan, spec, entries, context)
    steps = _steps(plan, spec, entries)
    tokens = _tokens(plan, spec, entries)
    flops = _flops(plan, spec, found, entries, tokens, steps, context)
    memory.add(plan, spec, found, tokens, context)
    _hours(plan, spec, flops, steps, tokens, context)
    plan.figures[:0] = [parameters, steps]
    context.models[spec.name] = found
    return plan


def _entries(spec: Spec, found: Facts, context: Context) -> list[Entry]:
    read = []
    for entry in spec.data:
        rows = (
            texts.of_run(entry.run, entry.sources, entry.languages, found, context)
            if entry.run
            else texts.of_input(entry.input, found, context)
        )
        read.append((entry, rows))
    weights = [entry.weight if entry.weight is not None else rows.rows.value**spec.mixing.alpha for entry, rows in read]
    if spec.mixing.schedule:
        weights = [spec.mixing.schedule[-1].weights.get(entry.name, 0.0) for entry, _ in read]
    made = []
    for (entry, rows), weight in zip(read, weights, strict=True):
        made.append(_entry(spec, entry, rows, weight / sum(weights), found))
    return made


def _entry(spec: Spec, entry: DataEntry, rows: texts.Texts, share: float, found: Facts) -> Entry:
    batch = entry.batch_size or spec.batch_size
    count = rows.rows
    if entry.limit:
        count = quantity(count.name, min(count.value, entry.limit), "rows", "limit")
    if isinstance(spec, PretrainSpec):
        both = rows.anchor.value + rows.positive.value if len(spec.sides) == 2 else rows.anchor.value
        if spec.pack == "concatenate":
            length = quantity("tokens", found.max_length, "tokens", "pack: concatenate")
            sequences = count.value * both / found.max_length
            count = quantity("sequences", sequences, "rows", f"{count.term()} of {both:,.0f} tokens", 1.1)
        else:
            length, count = rows.anchor, quantity("texts", len(spec.sides) * count.value, "rows", count.source)
        return Entry(entry.name, count, share, batch, length, length.value, 0.0, rows.text)
    asked = needs(entry.objective or spec.objective)
    positive = bool({"positive", "teacher_positive"} & asked) or not asked
    factor = 1 + entry.negatives if positive else entry.negatives
    tokens = rows.anchor.value + factor * rows.positive.value
    spread = max(rows.anchor.high / rows.anchor.value, rows.positive.high / max(rows.positive.value, 1))
    taught = sum(
        side.value
        for name, side in (("anchor", rows.anchor), ("positive", rows.positive))
        if f"teacher_{name}" in asked
    )
    named = quantity("tokens of a row", tokens, "tokens", rows.anchor.source, spread)
    doubled = 2 if entry.swap == "both" else 1
    count = quantity(count.name, doubled * count.value, "rows", count.source)
    return Entry(entry.name, count, share, batch, named, tokens / (1 + factor), taught / tokens, rows.text)


def _prepare(plan: Plan, spec: Spec, entries: list[Entry], context: Context) -> None:
    sheet = plan.sheet
    sheet.section = "prepare"
    costs, moved = [], 0.0
    for entry in entries:
        sheet.known(entry.rows)
        sheet.known(entry.tokens)
        rate = context.rates.constant("prepare")
        text = sheet.product(f"{entry.name}: text", "B", entry.rows, entry.text)
        costs.append(sheet.product(f"{entry.name}: prepare", "CPU-s", text, rate, source=rate.source))
        moved += 2 * entry.rows.value * (4 * entry.tokens.value + 64)
    exchanged = sheet.given("exchange of prepared rows", moved / 2, "B", "rows x (4 B a token + 64 B), written once")
    cpu = sheet.total("prepare: CPU", "CPU-s", *costs)
    want = spec.resources
    units = max(1.0, sum(entry.rows.value * entry.text.value for entry in entries) / want.shard_size)
    task = float(want.memory_per_task)
    plan.stages.append(Stage("prepare", cpu, units, task, want.cpus_per_task, 2 * moved, requests=4 * units))
    plan.figures.append(exchanged)


def _steps(plan: Plan, spec: Spec, entries: list[Entry]) -> Quantity:
    sheet = plan.sheet
    sheet.section = "steps"
    if spec.steps is not None:
        return sheet.given("steps", spec.steps, "steps", "steps")
    batches = [
        sheet.quotient(f"{entry.name}: batches an epoch", "", entry.rows, quantity("batch", entry.batch, "rows"))
        for entry in entries
    ]
    epoch = sheet.total("batches an epoch", "", *batches)
    epochs = quantity("epochs", spec.epochs or 1, "epochs")
    if spec.accumulate == 1:
        return sheet.product("steps", "steps", epoch, epochs, source="epochs")
    each = quantity("accumulate", 1 / spec.accumulate, "")
    return sheet.product("steps", "steps", epoch, epochs, each, source="epochs / accumulate")


def _tokens(plan: Plan, spec: Spec, entries: list[Entry]) -> Quantity:
    """Tokens of an optimiser step, over all workers."""
    sheet = plan.sheet
    sheet.section = "steps"
    parts = [
        sheet.product(
            f"{entry.name}: tokens of a batch",
            "tokens",
            quantity("batch", entry.batch, "rows"),
            entry.tokens,
            quantity("share", entry.share, "share"),
            source="batch x tokens of a row x share of the batches",
        )
        for entry in entries
    ]
    if spec.accumulate > 1:
        parts = [sheet.product("of a step", "tokens", part, quantity("", spec.accumulate, "batches")) for part in parts]
    return sheet.total("tokens of a step", "tokens", *parts)


def _flops(
    plan: Plan, spec: Spec, found: Facts, entries: list[Entry], tokens: Quantity, steps: Quantity, context: Context
) -> Quantity:
    sheet = plan.sheet
    sheet.section = "FLOPs"
    length = sum(entry.share * entry.length for entry in entries)
    forward = sheet.given(
        "forward pass of a token",
        found.forward(length),
        "FLOP/token",
        f"2 x {found.parameters - found.embedding:,.0f} + 4 x {found.layers} layers x {length:.0f} x {found.width}",
    )
    passes, why = _passes(spec, tokens.value)
    times = sheet.given("passes", passes, "forward passes", why)
    trained = sheet.product("FLOPs of training", "FLOP", steps, tokens, forward, times)
    parts = [trained]
    if isinstance(spec, PretrainSpec):
        head = 2 * found.width * found.vocabulary * spec.masking.share
        each = quantity("", 3 * head, "FLOP/token")
        source = f"3 passes x 2 x {found.width} x {found.vocabulary:,} tokens x {spec.masking.share:g} hidden"
        parts.append(sheet.product("FLOPs of the vocabulary", "FLOP", steps, tokens, each, source=source))
    elif spec.teacher is not None:
        teacher = found if spec.teacher == "initial" else facts(spec.teacher, context)
        share = sum(entry.share * entry.taught for entry in entries)
        each = quantity("", teacher.forward(length), "FLOP/token")
        read = quantity("", share, "share")
        parts.append(
            sheet.product(
                "FLOPs of the teacher", "FLOP", steps, tokens, read, each, source="a forward pass of its texts"
            )
        )
    return sheet.total("FLOPs", "FLOP", *parts)


def _passes(spec: Spec, tokens: float) -> tuple[float, str]:
    model, want = spec.model, spec.resources
    part = model.lora is not None or model.trained != "all"
    passes, why = (2.0, "forward, and backward through frozen matrices") if part else (3.0, "forward 1 + backward 2")
    cached = tokens / spec.accumulate / want.workers > want.micro_batch and not isinstance(spec, PretrainSpec)
    if cached:
        passes, why = passes + 1, f"{why} + forward 1 of the gradient cache"
    if want.gradient_checkpointing:
        passes, why = passes + 1, f"{why} + forward 1 of gradient checkpointing"
    return passes, why


def _hours(plan: Plan, spec: Spec, flops: Quantity, steps: Quantity, tokens: Quantity, context: Context) -> None:
    sheet, want = plan.sheet, spec.resources
    sheet.section = "time"
    plan.figures.append(flops)
    if not want.gpus_per_worker:
        rate = context.rates.constant("train")
        cpu = sheet.quotient("train: CPU", "CPU-s", flops, rate, source=rate.source)
        plan.stages.append(
            Stage(
                "train",
                cpu,
                want.workers,
                4e9,
                want.threads or want.cpus_per_worker,
                moved=tokens.value * steps.value * 4,
            )
        )
        plan.figures.append(cpu)
        return
    hours = gpu_hours(sheet, flops, context)
    beside = sheet.given("train: CPU beside the GPUs", 0, "CPU-s", "the readers' threads, not counted")
    plan.stages.append(
        Stage(
            "train",
            beside,
            want.workers,
            8e9,
            want.cpus_per_worker,
            4 * tokens.value * steps.value,
            0,
            flops,
            want.gpus_per_worker,
        )
    )
    plan.figures.append(hours)
