"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685), through peft."""

from __future__ import annotations

from typing import Any, NamedTuple

from pairmill.errors import PairmillError
from pairmill.spec.model import Lora


class Share(NamedTuple):
    """How many parameters are trained."""

    trained: int
    total: int

    @property
    def percent(self) -> float:
        return 100 * self.trained / self.total


def add_lora(model: Any, lora: Lora) -> Any:
    """The model with adapters in its linear layers; all other weights are frozen. Raises PairmillError."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
        bias="none",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        import torch

        names = (name.rsplit(".", 1)[-1] for name, m in model.named_modules() if isinstance(m, torch.nn.Linear))
        linear = ", ".join(sorted(set(names)))
        raise PairmillError(f"model.lora.targets: {error} Linear layers of this model: {linear}.") from error


def merged(model: Any) -> Any:
    """The plain model with the adapters' products added to its weights; a model without adapters as it is."""
    return model.merge_and_unload() if hasattr(model, "peft_config") else model


def share(model: Any) -> Share:
    """The trained share of a model's parameters."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return Share(sum(size for size, trained in sizes if trained), sum(size for size, _ in sizes))
