"""Sections that `kind: pretrain` and `kind: train` share: optimiser, checkpoints, evaluation, resources."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from pairmill.spec.base import Bytes, Model, switch

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Part of the run id.")]


class Optimizer(Model):
    """AdamW (arXiv 1711.05101); biases and layer norms are not decayed."""

    lr: float = Field(2e-5, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    eps: float = Field(1e-8, gt=0)
    clip: float | None = Field(1.0, gt=0, description="Largest norm of the gradient; null: no clipping.")
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: float = Field(0.1, ge=0, description="Below 1: a share of all steps; from 1 on: steps.")
    final: float = Field(0.0, ge=0, le=1, description="Learning rate at the end, as a share of lr.")


class Checkpoints(Model):
    steps: int | None = Field(None, gt=0)
    minutes: float | None = Field(10, gt=0)
    keep: int = Field(2, ge=1, description="Older ones are deleted.")


#: A figure of the evaluation in training.
HeldOut = Literal["accuracy", "loss", "cosine", "spearman", "alignment", "uniformity"]
LOWER_IS_BETTER = ("loss", "alignment", "uniformity")


class EarlyStopping(Model):
    metric: HeldOut = Field(
        "accuracy", description="A figure of the evaluation; its mean over the held-out groups that have it."
    )
    patience: int = Field(3, gt=0, description="Evaluations without a better value before training stops.")


class Evaluation(Model):
    """Of the rows that `holdout` of a data entry keeps out of training."""

    steps: int | None = Field(None, gt=0, description="Every so many steps; default: at start and end.")
    rows: int = Field(1000, gt=1, description="At most, of each entry and language pair.")
    early_stopping: Annotated[EarlyStopping | None, BeforeValidator(switch)] = None


class Resources(Model):
    """Never part of a run's identity: the same job with more workers is the same run."""

    workers: int = Field(1, gt=0, description="Ray Train workers: data parallel ranks.")
    gpus_per_worker: float = Field(0, ge=0)
    cpus_per_worker: float = Field(1, gt=0)
    threads: int | None = Field(None, gt=0, description="Of each worker; default: all of a lone worker's machine.")
    micro_batch: Bytes = Field(
        16_384,
        description="Tokens per forward pass; a larger batch goes through the gradient cache. "
        "Same gradients, but for the masks of dropout.",
    )
    gradient_checkpointing: bool = False
    compile: bool = Field(False, description="torch.compile the encoder.")
    fsdp: bool = Field(False, description="Shard parameters over the ranks (FSDP2).")
    max_failures: int = Field(3, ge=0, description="How often the workers are started again, each at a checkpoint.")
    cpus_per_task: float = Field(1, gt=0, description="Of a task that prepares data.")
    memory_per_task: Bytes = 1_000_000_000
    shard_size: Bytes = 32_000_000
    cpus: int | None = Field(None, gt=0, description="CPUs of the local Ray; default: all. A cluster has its own.")

    @model_validator(mode="after")
    def _not_compiled(self) -> Resources:
        if self.compile:
            raise ValueError("compile: each micro-batch has a shape of its own, so it compiles anew. Leave it out")
        return self


class Length(Model):
    """How long to train: `steps` or `epochs`."""

    steps: int | None = Field(None, gt=0)
    epochs: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _one(self) -> Length:
        if (self.steps is None) == (self.epochs is None):
            found = "both" if self.steps is not None else "neither"
            raise ValueError(f"found {found} of steps and epochs: write one, such as `steps: 1000`")
        return self


class Training(Length):
    """The keys that every kind of training has."""

    name: Name
    batch_size: int = Field(64, gt=1, description="Rows of a global batch, over all ranks.")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="bf16: autocast; the weights stay fp32.")
    evaluate: Evaluation = Evaluation()
    checkpoints: Checkpoints = Checkpoints()
    seed: int = Field(0, ge=0)
    resources: Resources = Resources()

    def check_batches(self, sizes: Iterable[int | None]) -> None:
        """ValueError where the batches of an entry (None: `batch_size`) cannot be divided among the workers."""
        workers = self.resources.workers
        wrong = next((size for size in (size or self.batch_size for size in sizes) if size % workers), None)
        if wrong is not None:
            raise ValueError(f"batch_size {wrong} cannot be divided among {workers} workers: use a multiple")
