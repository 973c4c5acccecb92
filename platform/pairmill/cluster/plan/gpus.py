"""FLOPs on GPUs as hours."""

from __future__ import annotations

from pairmill.cluster.plan.base import Context
from pairmill.cluster.plan.given import GPUS, Nodes
from pairmill.cluster.plan.sheet import Quantity, Sheet, quantity

REFERENCE = "H100"  # where no cluster says which GPU
UTILISATION = 0.4


def gpu_node(context: Context) -> Nodes | None:
    """The cluster's nodes with GPUs."""
    nodes = context.cluster.nodes if context.cluster else []
    return next((node for node in nodes if node.gpus), None)


def gpu_hours(sheet: Sheet, flops: Quantity, context: Context) -> Quantity:
    """Hours of one GPU, at the share of its peak that the cluster file says or UTILISATION."""
    node = gpu_node(context)
    kind = (node.gpu or node.name) if node else REFERENCE
    peak = sheet.given("peak of a GPU", node.peak if node else GPUS[REFERENCE][0], "FLOP/s", f"{kind}, dense bf16")
    share = context.cluster.utilisation if context.cluster else UTILISATION
    used = sheet.given("utilisation", share, "share", "assumed", 0.6 * share, min(1.5 * share, 0.8))
    reached = sheet.product("reached", "FLOP/s", peak, used)
    seconds = sheet.quotient("GPU-seconds", "s", flops, reached)
    return sheet.product("GPU-hours", "GPU-h", seconds, quantity("", 1 / 3600, ""), source="/ 3600")
