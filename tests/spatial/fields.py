"""Fields with closed-form answers, in voxels of their grid."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mmreg.spatial import identity_grid

SIZES = [(14, 17), (10, 12, 9)]


def translation(size: tuple[int, ...], offsets: tuple[float, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    """Constant displacement ``(1, ndim, *size)``."""
    ndim = len(size)
    return torch.tensor(offsets, dtype=dtype).view(1, ndim, *[1] * ndim).expand(1, ndim, *size).contiguous()


def sinusoid(size: tuple[int, ...], amplitude: float = 0.5, periods: float = 1.0) -> tuple[Tensor, Tensor]:
    """``u_i(x) = a sin(k_{i+1} x_{i+1})``, each component along the next axis, and its exact Jacobian determinant."""
    ndim = len(size)
    grid = identity_grid(size, dtype=torch.float64)
    waves = [2 * math.pi * periods / (n - 1) for n in size]
    following = [(i + 1) % ndim for i in range(ndim)]
    field = torch.stack([amplitude * torch.sin(waves[j] * grid[j]) for j in following])
    slopes = [amplitude * waves[j] * torch.cos(waves[j] * grid[j]) for j in following]
    # The matrix is the identity plus a cycle of off-diagonal entries.
    product = torch.stack(slopes).prod(0)
    return field[None], 1 + (product if ndim == 3 else -product)


def smooth(size: tuple[int, ...], amplitude: float = 1.0, seed: int = 0, batch: int = 1) -> Tensor:
    """Random smooth displacement that vanishes at the border, float64."""
    generator = torch.Generator().manual_seed(seed)
    ndim = len(size)
    grid = identity_grid(size, dtype=torch.float64)
    window = torch.ones(size, dtype=torch.float64)
    field = torch.zeros(batch, ndim, *size, dtype=torch.float64)
    for i, n in enumerate(size):
        window = window * torch.sin(math.pi * grid[i] / (n - 1))
    for _ in range(3):
        phase = torch.rand(batch, ndim, *[1] * ndim, generator=generator, dtype=torch.float64) * 6.28
        weight = torch.rand(ndim, generator=generator, dtype=torch.float64) * 4
        argument = sum(w * g / (n - 1) for w, g, n in zip(weight, grid, size))
        field = field + torch.sin(argument + phase)
    field = field * window
    return field / field.abs().max() * amplitude
