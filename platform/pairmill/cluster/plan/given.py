"""Files that a plan may be given: the cluster, and volumes of what cannot be read from here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator

from pairmill.errors import SpecError
from pairmill.spec.base import Bytes, Model

#: Dense bf16 peak of one GPU, FLOP/s, and its memory (data sheets of the maker).
GPUS = {
    "T4": (65e12, 16e9),  # fp16: it has no bf16
    "L4": (121e12, 24e9),
    "A10G": (70e12, 24e9),
    "A100": (312e12, 80e9),
    "H100": (989e12, 80e9),
    "H200": (989e12, 141e9),
    "B200": (2250e12, 180e9),
}


class Nodes(Model):
    """Machines of one kind."""

    name: str = Field(min_length=1)
    count: int = Field(1, gt=0)
    cpus: float = Field(gt=0, description="That Ray may use.")
    memory: Bytes = Field(description="That Ray may give to tasks; about 0.7 of the machine's.")
    gpus: int = Field(0, ge=0)
    gpu: str | None = Field(None, description=f"Kind of GPU: {', '.join(GPUS)}; others need gpu_flops and gpu_memory.")
    gpu_memory: Bytes | None = None
    gpu_flops: float | None = Field(None, gt=0, description="Dense bf16 peak of one GPU, FLOP/s.")
    price_per_hour: float = Field(0, ge=0, description="Of one machine.")

    @model_validator(mode="after")
    def _known_gpu(self) -> Nodes:
        if self.gpus and self.gpu not in GPUS and not (self.gpu_flops and self.gpu_memory):
            raise ValueError(
                f"gpu {self.gpu!r} is unknown. Known: {', '.join(GPUS)}; of others write gpu_flops and gpu_memory"
            )
        return self

    @property
    def peak(self) -> float:
        """FLOP/s of one of its GPUs."""
        return self.gpu_flops or GPUS[self.gpu or ""][0]

    @property
    def memory_of_gpu(self) -> float:
        return float(self.gpu_memory or GPUS[self.gpu or ""][1])


class Cluster(Model):
    """`--cluster FILE`."""

    name: str = "cluster"
    nodes: list[Nodes] = Field(min_length=1)
    speed: float = Field(1.0, gt=0, description="Of a CPU, relative to the one that the rates were measured on.")
    utilisation: float = Field(0.4, gt=0, le=1, description="Of a GPU's peak that training reaches.")
    node_bandwidth: Bytes = Field(1_000_000_000, description="Bytes a second between a node and the storage.")
    request_seconds: float = Field(0.02, ge=0, description="Of one read of an object or file in the storage.")
    currency: str = "USD"


class Volume(Model):
    """An input that cannot be read from here."""

    rows: float = Field(gt=0, description="Pairs that its parser emits.")
    text_bytes: float = Field(gt=0, description="UTF-8 of both sides of a pair, on average.")
    file_bytes: Bytes | None = Field(None, description="On disk, in all. Default: a third of the text.")
    kept_share: float = Field(0.7, ge=0, le=1, description="Of the rows, that pass all rules.")
    grouped_share: float = Field(0.4, ge=0, le=1, description="Of these, that are like another one.")
    duplicate_share: float = Field(0.2, ge=0, le=1, description="Of these, that deduplication removes.")
    spread: float = Field(1.3, ge=1, description="The factor within which the numbers are known.")
    source: str = Field(min_length=1, description="Where the numbers come from: stands in the plan.")


class Kept(Model):
    """A run that is not there yet: what it will have kept."""

    rows: float = Field(gt=0)
    text_bytes: float = Field(gt=0, description="UTF-8 of both sides of a pair, on average.")
    sources: dict[str, float] = Field({}, description="Rows by source.")
    source: str = Field(min_length=1, description="Where the numbers come from.")


class Shape(Model):
    """An encoder whose files are not here."""

    layers: int = Field(gt=0)
    hidden_size: int = Field(gt=0)
    intermediate_size: int = Field(gt=0)
    vocabulary: int = Field(gt=0)
    gated: bool = Field(False, description="A gated feed-forward has three matrices.")
    positions: int = Field(512, ge=0)
    max_length: int = Field(512, gt=0)
    bytes_per_token: float = Field(4.0, gt=0, description="UTF-8 of the data for a token of its tokenizer.")
    source: str = Field(min_length=1)


class Given(Model):
    """`--given FILE`: by the names that specs use."""

    inputs: dict[str, Volume] = Field({}, description="By the names of inputs.")
    runs: dict[str, Kept] = Field({}, description="By the names of runs.")
    models: dict[str, Shape] = Field({}, description="By path, package or run.")
    tasks: dict[str, float] = Field({}, description="Texts of evaluation tasks, by the task's name.")


Kind = TypeVar("Kind", Cluster, Given)


def read(option: str, file: str, kind: type[Kind]) -> Kind:
    """Read and check such a file. Raises SpecError that names the option, the place and what is allowed."""
    try:
        data: Any = yaml.safe_load(Path(file).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"{option} {file}: cannot be read: {str(error).splitlines()[0]}. Name a YAML file.") from None
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        told = [f"{'.'.join(map(str, item['loc'])) or 'the file'}: {item['msg']}" for item in error.errors()]
        keys = ", ".join(kind.model_fields)
        raise SpecError(f"{option} {file}: " + "; ".join(told) + f". Keys of the file: {keys}.") from None
