"""Which voxels are displaced to a place inside the volume."""

from __future__ import annotations

import torch
from torch import Tensor

from ._checks import check_field, coordinate_dtype
from .grid import axis_index


@torch.no_grad()
def in_view(displacement: Tensor, tolerance: float = 1e-3) -> Tensor:
    """Where ``x + displacement(x)`` lies inside the volume spanned by the voxel centres.

    Args:
        displacement: ``(N, ndim, *spatial)`` voxels.
        tolerance: voxels beyond the outer centres that still count.

    Returns:
        ``(N, 1, *spatial)`` boolean.

    Source: golden baselines/sitreg ``lncc7 *`` (SITReg's losses see nothing outside).

    Example:
        >>> shift = torch.zeros(1, 2, 1, 3)
        >>> shift[:, 1] = 1
        >>> in_view(shift).tolist()
        [[[[True, True, False]]]]
    """
    check_field(displacement)
    size = displacement.shape[2:]
    dtype = coordinate_dtype(displacement)
    inside = torch.ones_like(displacement[:, 0], dtype=torch.bool)
    for i, n in enumerate(size):
        position = displacement[:, i].to(dtype) + axis_index(size, i, device=displacement.device, dtype=dtype)
        inside &= (position >= -tolerance) & (position <= n - 1 + tolerance)
    return inside.unsqueeze(1)
