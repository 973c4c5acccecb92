"""The plans of jobs that make vectors: embed and evaluate."""

from __future__ import annotations

from collections import Counter

from pairmill.cluster.plan import texts
from pairmill.cluster.plan.base import Context, Plan, Rows, Stage
from pairmill.cluster.plan.gpus import gpu_hours
from pairmill.cluster.plan.models import Facts, facts
from pairmill.cluster.plan.sheet import Quantity, quantity
from pairmill.embed import texts as embedded
from pairmill.spec.embed import EmbedSpec
from pairmill.spec.evaluate import EvaluateSpec, Task
from pairmill.spec.texts import TEXT, TextSet


def plan_embed(spec: EmbedSpec, context: Context) -> Plan:
    plan = Plan("embed", spec.name)
    sheet = plan.sheet
    sheet.section = "texts"
    found = facts(spec.model, context)
    parts = []
    for given in spec.data:
        parts += _sides(given, found, context)
    count = sheet.total("texts", "rows", *(sheet.known(rows) for rows, _ in parts))
    tokens = sheet.total(
        "tokens", "tokens", *(sheet.product("tokens", "tokens", rows, each, source=each.source) for rows, each in parts)
    )
    want = spec.resources
    units = max(1.0, count.value / embedded.UNIT_ROWS)
    encode(
        plan, "embed", found, count, tokens, want.gpus_per_worker, want.threads, want.memory_per_task, units, context
    )
    width = 2 if spec.store == "float16" else 4
    dims = spec.dims or found.width
    vectors = sheet.product(
        "vectors", "B", count, quantity("", dims * width + 8.0, "B/row"), source=f"{dims} x {width} B + id"
    )
    plan.figures[:0] = [count, tokens]
    plan.figures.append(vectors)
    plan.rows = Rows(parts[0][0], quantity("text", 200, "B/row", "assumed", 2))
    context.models[spec.name] = found
    return plan


def _sides(given: TextSet, found: Facts, context: Context) -> list[tuple[Quantity, Quantity]]:
    """(texts, tokens of one) of each side of a set."""
    if given.run:
        read = texts.of_run(given.run, given.sources, given.languages, found, context)
        return [(read.rows, getattr(read, side)) for side in given.sides]
    assert given.input is not None, "a set has a run or an input"
    if given.name in context.given.inputs:
        volume = context.given.inputs[given.name]
        rows = quantity("texts", volume.rows, "rows", volume.source, volume.spread)
        text = quantity("text", 2 * volume.text_bytes, "B/row", volume.source, volume.spread)
        return [(rows, texts.tokens_of_bytes(text, found))]
    looked_up = embedded.find(context.storage, 0, given, 32_000_000)
    first = next(iter(embedded.read(looked_up.parts[0], TEXT, Counter())))[1][: texts.SAMPLE]
    size = sum(file.text_size for file in looked_up.files)
    mean = sum(len(text.encode()) for text in first) / max(len(first), 1)
    rows = quantity("texts", size / max(1.05 * mean, 1), "rows", f"bytes of the files / {mean:.0f} B a text", 1.25)
    return [(rows, texts.tokens_of(list(first), found))]


def encode(
    plan: Plan,
    name: str,
    found: Facts,
    count: Quantity,
    tokens: Quantity,
    gpus: float,
    cpus: float,
    memory: float,
    units: float,
    context: Context,
) -> None:
    """Add the forward pass of all tokens, on GPUs or CPUs."""
    sheet = plan.sheet
    sheet.section = "encoding"
    length = tokens.value / max(count.value, 1)
    forward = sheet.given(
        "forward pass of a token",
        found.forward(length),
        "FLOP/token",
        f"2 x {found.parameters - found.embedding:,.0f} + 4 x {found.layers} x {length:.0f} x {found.width}",
    )
    flops = sheet.product("FLOPs", "FLOP", tokens, forward)
    rate = context.rates.constant("tokenise")
    tokenised = sheet.product("tokenise: CPU", "CPU-s", tokens, rate, source=rate.source)
    plan.figures.append(flops)
    moved = count.value * (found.width * 4 + 100)
    if gpus:
        plan.stages.append(Stage(name, tokenised, units, memory, cpus, moved, 4 * units, flops, gpus))
        plan.figures += [tokenised, gpu_hours(sheet, flops, context)]
        return
    if name in context.rates.measured:
        each = context.rates.measured[name]
        cpu = sheet.product(f"{name}: CPU", "CPU-s", count, each, source=each.source)
        plan.stages.append(Stage(name, cpu, units, memory, cpus, moved, 4 * units))
        plan.figures.append(cpu)
        return
    speed = context.rates.constant("encode")
    encoded = sheet.quotient("encode: CPU", "CPU-s", flops, speed, source=speed.source)
    cpu = sheet.total(f"{name}: CPU", "CPU-s", encoded, tokenised)
    plan.stages.append(Stage(name, cpu, units, memory, cpus, moved, 4 * units))
    plan.figures.append(cpu)


def plan_evaluate(spec: EvaluateSpec, context: Context) -> Plan:
    plan = Plan("evaluate", spec.name)
    sheet = plan.sheet
    sheet.section = "tasks"
    found = facts(spec.model, context)
    counts = [_texts_of(task, context) for task in spec.tasks]
    if spec.map is not None:
        counts.append(quantity("map", 2.0 * spec.map.pairs, "rows", "both sides of its pairs, at most", 1.1))
    count = sheet.total("texts", "rows", *(sheet.known(one) for one in counts))
    length = quantity("tokens", min(40.0, found.max_length), "tokens", "assumed of a text of a task", 2.0)
    tokens = sheet.product("tokens", "tokens", count, length, source=length.source)
    want = spec.resources
    units = max(1.0, float(len(spec.tasks)))
    encode(
        plan, "evaluate", found, count, tokens, want.gpus_per_task, want.cpus_per_task, want.memory_per_task, units,
        context,
    )  # fmt: skip
    rate = context.rates.constant("evaluate: intervals")
    drawn = sheet.product("scores and intervals: CPU", "CPU-s", count, rate, source=rate.source)
    plan.stages.append(Stage("intervals", drawn, units, want.memory_per_task))
    plan.figures[:0] = [count]
    return plan


def _texts_of(task: Task, context: Context) -> Quantity:
    """Texts of a task: declared, or two for each record of its files."""
    if task.called in context.given.tasks:
        return quantity(task.called, context.given.tasks[task.called], "rows", "--given", 1.1)
    if task.mteb is not None:
        return quantity(task.called, 20_000, "rows", "assumed of a task of mteb's: say how many with --given", 5.0)
    from pairmill.evaluate import records
    from pairmill.evaluate.subsets import needed_columns

    total = 0.0
    for part, given in task.files().items():
        for file in records.find(given, needed_columns(task, part, given)):
            total += file.text_size / 150
    return quantity(task.called, total, "rows", "bytes of its files / 150 B a text; `where` may leave many out", 3.0)
