"""The plan of a mine job: what counts is the search of nearest neighbours; sections without it read vectors once."""

from __future__ import annotations

from pairmill.cluster.plan import texts
from pairmill.cluster.plan.base import Context, Plan, Rows, Stage
from pairmill.cluster.plan.encoding import encode
from pairmill.cluster.plan.models import facts
from pairmill.cluster.plan.sheet import Quantity, quantity
from pairmill.embed.texts import UNIT_ROWS
from pairmill.embed.vectors import Vectors
from pairmill.mine import index
from pairmill.spec.mine import MineSpec


def plan_mine(spec: MineSpec, context: Context) -> Plan:
    plan = Plan("mine", spec.name)
    sheet = plan.sheet
    sheet.section = "rows"
    section = spec.section
    name = spec.run or ""
    if spec.run is None:
        sheet.assume("The two sides of bitext are taken to be as many texts as the embed run's plan says.")
        rows, text = _of_vectors(spec, context)
    else:
        read = texts.of_run(name, None, None, None, context)
        rows, text = read.rows, read.text
    rows = sheet.known(rows)
    want = spec.resources
    units = max(1.0, rows.value / UNIT_ROWS)
    reserve = (float(want.memory_per_task), want.cpus_per_task)
    rate = context.rates.rate("mine: texts")
    counted = sheet.product("texts: CPU", "CPU-s", rows, rate, source=rate.source)
    plan.stages.append(Stage("mine: texts", counted, 2 * units, *reserve, moved=rows.value * text.value))
    dims = _dims(spec, context)
    if section == "rerank":
        assert spec.rerank is not None
        found = facts(spec.rerank.model, context)
        tokens = sheet.product("tokens", "tokens", rows, quantity("", text.value / 4 + 3, "tokens"))
        encode(plan, "mine: rerank", found, rows, tokens, 0, want.cpus_per_task, want.memory_per_task, units, context)
    elif section == "groups":
        _groups(plan, spec, rows, dims, units, reserve, context)
    else:
        ways = {"margin": 2, "bitext": 2, "negatives": 1, "consistency": 1}[section]
        pool = min(rows.value, spec.consistency.pool) if spec.consistency else rows.value
        kind = index.choose(round(pool), dims, want.memory_per_task, spec.index)
        shards = -(-index.size_of(kind.kind, round(pool), dims, kind.links) // want.memory_per_task)
        sheet.given(
            "index", index.size_of(kind.kind, round(pool), dims, kind.links), "B", f"{kind}; in {shards} shards"
        )
        share = kind.probes / kind.lists if kind.kind.startswith("ivf") else 1.0
        looked = quantity("rows looked at", pool * share, "rows", f"{100 * share:.1f} % of {pool:,.0f}")
        each = quantity("", 2.0 * dims, "FLOP/row", f"2 x {dims}")
        flops = sheet.product(
            "FLOPs of the search", "FLOP", rows, sheet.known(looked), each, quantity("", ways, "ways")
        )
        speed = context.rates.constant("search")
        cpu = sheet.quotient("neighbours: CPU", "CPU-s", flops, speed, source=speed.source)
        again = ways * units * shards * index.size_of(kind.kind, round(pool), dims, kind.links) / max(shards, 1)
        plan.stages.append(
            Stage("mine: neighbours", cpu, ways * units, *reserve, moved=again, requests=ways * units * shards)
        )
    cpu = sheet.total("CPU", "CPU-s", *(stage.cpu for stage in plan.stages))
    plan.figures += [rows, cpu]
    if section in ("negatives", "bitext") or (spec.rerank is not None and spec.rerank.negatives):
        known = texts.planned(name, context) if spec.run else None
        kept = Quantity("kept rows", 0.9 * rows.value, "rows", 0.5 * rows.value, rows.value, "", "assumed")
        plan.rows = Rows(kept, text, known.sources if known else {})
    return plan


def _of_vectors(spec: MineSpec, context: Context) -> tuple[Quantity, Quantity]:
    assert spec.vectors is not None
    known = texts.planned(spec.vectors, context)
    if known is not None:
        return known.rows, known.text
    listed = Vectors.open(context.storage, spec.vectors).listed
    rows = sum(file["rows"] for file in listed) / 2
    return quantity("texts of a side", rows, "rows", f"run {spec.vectors}"), quantity(
        "text", 200, "B/row", "assumed", 2
    )


def _dims(spec: MineSpec, context: Context) -> int:
    """Of the vectors: those of a planned embed job, or of a finished run. Raises SpecError where there is neither."""
    if spec.vectors is None:
        return 0
    if spec.vectors in context.models:
        return int(context.models[spec.vectors].width)
    if spec.vectors in context.given.models:
        return context.given.models[spec.vectors].hidden_size
    return Vectors.open(context.storage, spec.vectors).dims


def _groups(
    plan: Plan, spec: MineSpec, rows: Quantity, dims: int, units: float, reserve: tuple[float, float], context: Context
) -> None:
    assert spec.groups is not None
    sheet = plan.sheet
    clusters = spec.groups.clusters or max(1, min(round(rows.value / 1000), 8192))
    crowd = rows.value / clusters
    each = quantity(
        "", 2.0 * dims * (clusters + crowd), "FLOP/row", f"2 x {dims} x ({clusters:,} clusters + {crowd:,.0f} rows)"
    )
    flops = sheet.product("FLOPs of k-means and of the clusters", "FLOP", rows, each, source=each.source)
    speed = context.rates.constant("search")
    cpu = sheet.quotient("groups: CPU", "CPU-s", flops, speed, source=speed.source)
    plan.stages.append(Stage("mine: groups", cpu, units, *reserve, moved=rows.value * dims * 8))
