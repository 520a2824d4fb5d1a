"""Inverse consistency of a forward and a backward field."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmreg.spatial import compose


def inverse_consistency_error(
    forward: Tensor, backward: Tensor, spacing: Sequence[float] | None = None, margin: int = 0
) -> Tensor:
    """How far each voxel of the fixed grid misses itself after going forward and back: ``|fwd + bwd(x + fwd)|``.

    Args:
        forward: ``(ndim, *spatial)`` voxels, fixed -> moving.
        backward: ``(ndim, *spatial)`` voxels, moving -> fixed, on the same grid; outside it keeps its border value.
        spacing: Voxel size in mm; without it the result is in voxels.
        margin: Voxels left out per side.

    Returns:
        ``(*spatial)`` distances (cropped by ``margin``); 0 for fields that are exact inverses.
    """
    loop = compose(backward[None], forward[None], padding='border')[0]
    if spacing is not None:
        loop = loop * torch.tensor(tuple(spacing)).to(loop).view(-1, *(1,) * (loop.dim() - 1))
    distance = loop.norm(dim=0)
    return distance[tuple(slice(margin, n - margin) for n in distance.shape)]
