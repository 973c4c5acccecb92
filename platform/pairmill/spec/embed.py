"""`kind: embed`: vectors of kept pairs or files of texts, by a trained or given model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pairmill.spec.base import Bytes, Model
from pairmill.spec.model import Place
from pairmill.spec.texts import TextSet, check_sets
from pairmill.spec.training import Name

Precision = Literal["fp32", "bf16", "fp16", "int8"]


class EmbeddingModel(Place):
    """`model:` of a job that embeds."""

    trust_remote_code: bool = Field(False, description="Run Python code that comes with the model.")
    pooling: Literal["mean", "cls", "last"] | None = Field(None, description="Default: the model's own, else mean.")
    max_length: int | None = Field(None, gt=1, description="Tokens per text; default: the model's own, else 512.")
    prompts: dict[str, str] = Field(
        {}, description="Texts put before the others, by name: {query: 'query: '}; beside the model's own."
    )


class EmbedResources(Model):
    """Never part of a run's identity."""

    workers: int | None = Field(None, gt=0, description="Units done at a time; default: as many as the cluster takes.")
    threads: int = Field(1, gt=0, description="Of a worker, which reserves as many CPUs.")
    gpus_per_worker: float = Field(0, ge=0)
    micro_batch: Bytes | None = Field(
        None, description="Tokens per forward pass. Default: 4,096 on a CPU, 65,536 on a GPU."
    )
    memory_per_task: Bytes = Field(2_000_000_000, description="Reserved per worker on the cluster.")
    shard_size: Bytes = Field(32_000_000, description="Bytes of text per unit, of files that can be cut.")
    cpus: int | None = Field(None, gt=0, description="CPUs of the local Ray; default: all. A cluster has its own.")

    @property
    def cpus_per_task(self) -> float:
        return self.threads


class EmbedSpec(Model):
    kind: Literal["embed"]
    name: Name
    model: EmbeddingModel
    data: list[TextSet] = Field(min_length=1)
    precision: Precision = Field(
        "fp32", description="bf16, fp16: weights and activations of 16 bits; int8: ONNX Runtime on the CPU."
    )
    dims: int | None = Field(None, gt=0, description="Only the first so many numbers; default: all.")
    normalize: bool = Field(True, description="Vectors of length 1, behind the cut to `dims`.")
    store: Literal["float32", "float16"] = "float32"
    resources: EmbedResources = EmbedResources()

    @model_validator(mode="after")
    def _consistent(self) -> EmbedSpec:
        check_sets(self.data)
        if self.precision == "int8" and self.resources.gpus_per_worker:
            raise ValueError("precision: int8 runs on CPUs: leave resources.gpus_per_worker out, or use fp16 or bf16")
        return self
