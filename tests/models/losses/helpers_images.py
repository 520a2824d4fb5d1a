"""Images and measuring tools for the tests of the image losses."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tests.golden import fill


def smooth_pair(
    shape: tuple[int, ...], batch: int = 1, channels: int = 1, dtype=torch.float64
) -> tuple[Tensor, Tensor]:
    """Two smooth images ``(batch, channels, *shape)`` in [0, 1], different from each other."""
    count = batch * channels
    volumes = [torch.from_numpy(fill.image(seed, shape, 1.5)).to(dtype) for seed in range(2 * count)]
    stacked = torch.stack(volumes).reshape(2, batch, channels, *shape)
    return stacked[0], stacked[1]


def noise_pair(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two float64 noise images in [0.1, 0.9] that ask for gradients."""
    generator = torch.Generator().manual_seed(seed)
    pair = 0.1 + 0.8 * torch.rand(2, *shape, dtype=torch.float64, generator=generator)
    return pair[0].requires_grad_(), pair[1].requires_grad_()


def blob_mask(shape: tuple[int, ...], batch: int = 1) -> Tensor:
    """Boolean ``(batch, 1, *shape)``, roughly half of the voxels."""
    return torch.stack([torch.from_numpy(fill.image(90 + b, shape, 1.5)) > 0.5 for b in range(batch)])[:, None]


def saved_bytes(function: Callable[[], Tensor], own: tuple[Tensor, ...] = ()) -> int:
    """Bytes that autograd keeps for backward while ``function`` runs, each storage once, without those of ``own``."""
    storages: dict[int, int] = {}
    known = {tensor.untyped_storage().data_ptr() for tensor in own}
    kept = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            storages[storage.data_ptr()] = storage.nbytes()
        kept.append(tensor)  # so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = function()
    assert result.grad_fn is not None
    return sum(storages.values())
