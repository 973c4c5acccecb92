"""Hours and cost on a cluster, stage by stage, and what it costs when something dies.

A stage's units run on as many slots as nodes have CPUs, memory and GPUs for. They go in waves: units / slots, rounded
up, each as long as a unit; the slowest unit of the last wave takes `STRAGGLER` times as long as the mean. The stage is
not done before its bytes are through the nodes' network and its requests answered. Stages follow each other. A node
without GPUs that a GPU stage does not use is paid all the same.
"""

from __future__ import annotations

import math

from pairmill.cluster.plan.base import Plan, Stage
from pairmill.cluster.plan.given import Cluster, Nodes
from pairmill.cluster.plan.sheet import Quantity, Sheet, quantity

STRAGGLER = 1.5
START_UP = 30.0  # seconds until Ray's workers and ours are there, each stage of a pipeline's step
MANIFEST = 0.02  # seconds in which a driver that is started again looks at a committed unit


def on_cluster(plan: Plan, cluster: Cluster) -> None:
    """Add the sections `time on ...` and `when something dies` to the plan's sheet, and hours and cost to figures."""
    sheet = plan.sheet
    sheet.section = f"time on {cluster.name}"
    for node in cluster.nodes:
        gpus = f", {node.gpus} {node.gpu or ''} GPUs" if node.gpus else ""
        told = f"{node.cpus:g} CPUs, {node.memory / 1e9:g} GB{gpus}"
        sheet.given(f"nodes {node.name}", node.count, "nodes", told)
    seconds = [_stage(sheet, stage, cluster) for stage in plan.all_stages]
    begin = sheet.given("start", START_UP * max(len(plan.steps), 1), "s", "Ray and the workers, each job")
    wall = sheet.total("time", "s", begin, *seconds)
    hours = sheet.product("hours", "hours", wall, quantity("", 1 / 3600, ""), source="/ 3600")
    price = sum(node.count * node.price_per_hour for node in cluster.nodes)
    plan.figures.append(hours)
    if price:
        rate = sheet.given("price of an hour", price, cluster.currency, "nodes x price_per_hour")
        plan.figures.append(sheet.product("cost", cluster.currency, hours, rate))
    _failures(sheet, plan, cluster)


def slots(stage: Stage, cluster: Cluster) -> int:
    """How many units of a stage run at a time; 0 where no node can run one."""
    return sum(node.count * _of_node(stage, node) for node in cluster.nodes)


def _of_node(stage: Stage, node: Nodes) -> int:
    room = [node.cpus / stage.cpus, node.memory / stage.memory]
    if stage.gpus:
        room.append(node.gpus / stage.gpus)
    return math.floor(min(room) + 1e-9)


def _stage(sheet: Sheet, stage: Stage, cluster: Cluster) -> Quantity:
    at_once = slots(stage, cluster)
    if not at_once:
        sheet.assume(
            f"{stage.name}: no node can run a task of {stage.cpus:g} CPUs, {stage.memory / 1e9:.1f} GB"
            f"{f' and {stage.gpus:g} GPUs' if stage.gpus else ''}: the job would be refused. Its time is left out."
        )
        return quantity(stage.name, 0.0, "s")
    units = max(1, round(stage.units))
    used = min(units, at_once)
    waves = math.ceil(units / at_once)
    bytes_ = stage.moved / (cluster.node_bandwidth * _nodes_used(stage, cluster, used))
    asked = stage.requests * cluster.request_seconds / used

    def time(cpu: float, flops: float) -> float:
        each = cpu / cluster.speed / units + flops / units
        return max(each * (waves - 1 + (STRAGGLER if units > 1 and not stage.gpus else 1.0)), bytes_) + asked

    told = f"{waves:,} waves of {used:,} tasks; {bytes_:,.0f} s for its bytes, {asked:,.0f} s for its reads"
    values = [
        time(getattr(stage.cpu, bound), _gpu_seconds(stage, cluster, bound)) for bound in ("value", "low", "high")
    ]
    return sheet.add(Quantity(stage.name, values[0], "s", values[1], values[2], told, "", sheet.section))


def _gpu_seconds(stage: Stage, cluster: Cluster, bound: str) -> float:
    """Of all its units together, one after the other."""
    node = next((node for node in cluster.nodes if node.gpus), None)
    if stage.flops is None or node is None:
        return 0.0
    spread = {"value": 1.0, "low": 1.5, "high": 0.6}[bound]
    reached = node.peak * min(cluster.utilisation * spread, 0.8)
    return float(getattr(stage.flops, bound)) / reached / max(stage.gpus, 1)


def _nodes_used(stage: Stage, cluster: Cluster, used: int) -> int:
    able = sum(node.count for node in cluster.nodes if _of_node(stage, node))
    return max(1, min(able, used))


def _failures(sheet: Sheet, plan: Plan, cluster: Cluster) -> None:
    """What is done again: a killed task its unit, a node the units that ran on it, a driver all that ran. Of the stage
    with the most work under way."""
    sheet.section = "when something dies"
    stages = [stage for stage in plan.all_stages if slots(stage, cluster) and stage.units > 1 and not stage.flops]
    if not stages:
        return

    def at_once(stage: Stage) -> float:
        return min(slots(stage, cluster), stage.units)

    busiest = max(stages, key=lambda stage: at_once(stage) * stage.cpu.value / stage.units)
    unit = sheet.quotient("a unit of " + busiest.name, "CPU-s", busiest.cpu, quantity("units", busiest.units, "units"))
    sheet.product("a killed task costs", "CPU-s", unit, quantity("", 0.5, "of it, on average"))
    node = max(cluster.nodes, key=lambda one: _of_node(busiest, one))
    here = quantity("", _of_node(busiest, node), "tasks of a node")
    half = quantity("", 0.5, "of each")
    sheet.product("a killed node costs", "CPU-s", unit, here, half)
    running = quantity("", at_once(busiest), "tasks")
    sheet.product("a killed driver costs", "CPU-s", unit, running, half)
    alone = [stage for stage in plan.all_stages if round(stage.units) <= 1 and not stage.flops]
    if alone:
        longest = max(alone, key=lambda stage: stage.cpu.value)
        sheet.product(f"killed in {longest.name}, a single task", "CPU-s", longest.cpu, half)
    committed = quantity("committed units", sum(stage.units for stage in plan.all_stages), "units")
    sheet.product("and to find what is done", "s", committed, quantity("", MANIFEST, "s"), source="one after the other")
