"""Parameters in shards over the ranks (`resources.fsdp`), by PyTorch's FSDP2 (Zhao et al. 2023, arXiv 2304.11277).

Each layer's parameters are gathered when a pass comes to it and let go behind it. Gradients are summed, not averaged,
as the loss is that of the whole batch. All ranks must make equally many passes: see `World.passes`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def shard(model: nn.Module, device: torch.device) -> None:
    """Shard a model that all ranks hold alike, layer by layer, over all ranks."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard

    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    layers = [layer for module in model.modules() if isinstance(module, nn.ModuleList) for layer in module]
    for module in [*layers, model]:
        fully_shard(module, mesh=mesh, reshard_after_forward=True)
        assert isinstance(module, FSDPModule), "fully_shard makes it one"
        module.set_gradient_divide_factor(1.0)
        module.set_force_sum_reduction_for_comms(True)


def is_sharded(tensor: Any) -> bool:
    return hasattr(tensor, "full_tensor")


def whole(tensor: Any) -> Tensor:
    """The tensor out of its shards; all ranks must ask."""
    found: Tensor = tensor.full_tensor() if is_sharded(tensor) else tensor
    return found


def like(tensor: Tensor, parameter: Any) -> Tensor:
    """A whole tensor in the shards of a parameter of the same shape."""
    if not is_sharded(parameter) or tensor.shape != parameter.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(parameter.device), parameter.device_mesh, parameter.placements)
