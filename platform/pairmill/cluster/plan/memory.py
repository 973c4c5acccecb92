"""The memory of a training worker, and the micro-batch that fits it.

Weights, gradients and both moments of AdamW in fp32 are 16 bytes a trained parameter (over the workers with FSDP); a
frozen one takes 4. The activations of a micro-batch come on top; a larger batch goes through in several.
"""

from __future__ import annotations

from pairmill.cluster.plan.base import Context, Plan
from pairmill.cluster.plan.given import GPUS
from pairmill.cluster.plan.gpus import REFERENCE, gpu_node
from pairmill.cluster.plan.models import Facts, facts
from pairmill.cluster.plan.sheet import Quantity, Sheet, quantity
from pairmill.spec import model as spec_model
from pairmill.spec.pretrain import PretrainSpec
from pairmill.spec.train import TrainSpec
from pairmill.spec.training import Resources

USABLE = 0.9  # of a GPU's memory


def add(plan: Plan, spec: TrainSpec | PretrainSpec, found: Facts, tokens: Quantity, context: Context) -> None:
    """Add the lines; `tokens` are those of an optimiser step over all workers."""
    sheet, want = plan.sheet, spec.resources
    sheet.section = "memory of a worker"
    fixed = _fixed(plan.sheet, spec, found, context)
    own = min(tokens.value / want.workers / spec.accumulate, want.micro_batch)
    size = found.activations(spec.precision, want.gradient_checkpointing)
    told = f"{found.layers} layers, {spec.precision}: docs/plan.md"
    each = sheet.given("activations of a token", size, "B/token", told, 0.8 * size, 1.25 * size)
    micro = quantity("tokens of a micro-batch", own, "token", "resources.micro_batch, or a worker's part of the batch")
    active = sheet.product("activations", "B", micro, each)
    plan.figures.append(sheet.total("memory of a worker", "B", *fixed, active))
    room, what = _room(want, context)
    fits = max(room - sum(one.value for one in fixed), 0) / size
    told = f"({what}, {room / 1e9:.1f} GB, less what is fixed) / activations"
    plan.figures.append(sheet.given("micro-batch that fits", fits, "tokens", told))
    rows = fits * want.workers / max(tokens.value / spec.batch_size / spec.accumulate, 1)
    told = "over all workers; a larger one goes through in parts"
    sheet.given("batch that fits without the gradient cache", rows, "rows", told)
    if fits < own:
        sheet.assume(
            f"A micro-batch of {own:,.0f} tokens does not fit {what}: lower resources.micro_batch to {fits:,.0f}."
        )


def _fixed(sheet: Sheet, spec: TrainSpec | PretrainSpec, found: Facts, context: Context) -> list[Quantity]:
    """What a worker holds whatever the batch."""
    trained, told = _trained(spec.model, found)
    shards = spec.resources.workers if spec.resources.fsdp else 1
    state = f"12 B x {trained:,.0f} ({told}) / {shards}"
    whole = f"4 B x {found.parameters:,.0f} / {shards}"
    fixed = [
        sheet.given("gradients and moments", 12 * trained / shards, "B", state),
        sheet.given("weights", 4 * found.parameters / shards, "B", whole),
    ]
    if isinstance(spec, TrainSpec) and spec.teacher is not None:
        teacher = found if spec.teacher == "initial" else facts(spec.teacher, context)
        fixed.append(sheet.given("teacher", 4 * teacher.parameters, "B", f"4 B x {teacher.parameters:,.0f}"))
    return fixed


def _trained(model: spec_model.Encoder, found: Facts) -> tuple[float, str]:
    if model.lora is not None:
        rank = model.lora.rank
        return 2.0 * found.layers * rank * 2 * found.width, f"LoRA of rank {rank} on two matrices a layer"
    if model.trained == "new-tokens" and model.extend_vocabulary is not None:
        return float(model.extend_vocabulary.tokens * found.width), "new tokens"
    return (found.embedding, "embeddings") if model.trained == "embeddings" else (found.parameters, "all parameters")


def _room(want: Resources, context: Context) -> tuple[float, str]:
    """Bytes that a worker may hold, and in words whose."""
    if not want.gpus_per_worker:
        return context.largest_memory() / want.workers, "what a node offers, by worker"
    node = gpu_node(context)
    size, name = (node.memory_of_gpu, node.gpu or node.name) if node else (GPUS[REFERENCE][1], REFERENCE)
    return USABLE * size, f"{USABLE:g} of the memory of one {name}"
