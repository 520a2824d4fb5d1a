"""Sampling slips of published code as displacements: what a field did where it was applied in another way."""

from __future__ import annotations

import torch
from torch import Tensor

from mmreg.errors import InputError

from ._checks import check_field, coordinate_dtype
from .grid import axis_index

#: How published code reads an image at ``x + displacement(x)``; see :func:`as_sampled`.
SAMPLERS = ('aligned', 'mixed_corners', 'mixed_corners_sizes')


def as_sampled(displacement: Tensor, sampler: str) -> Tensor:
    """The displacement whose exact warp is what published code computes with ``displacement``.

    ===================== ========================================= ================================
    sampler               code                                      where voxel x of n reads
    ===================== ========================================= ================================
    'aligned'             as here                                   ``x + u``
    'mixed_corners'       positions normalised for aligned corners, ``(x + u) n / (n - 1) - 1/2``
                          sampled without (TransMorph OASIS, TVF)
    'mixed_corners_sizes' the same, but ``u`` times ``2 / n``       ``x n / (n - 1) - 1/2 + u``
                          (TransMorph-bspl)
    ===================== ========================================= ================================

    Args:
        displacement: ``(N, ndim, *spatial)`` voxels.
        sampler: One of :data:`SAMPLERS`.

    Returns:
        ``(N, ndim, *spatial)`` voxels, float32 or float64; the input itself for 'aligned'.

    Raises:
        InputError: no field or an unknown sampler.

    Source: goldens baselines/transmorph_oasis, transmorph_tvf, transmorph_bspl.

    Example:
        >>> field = torch.ones(1, 2, 5, 5)
        >>> as_sampled(field, 'aligned') is field
        True
    """
    ndim = check_field(displacement)
    if sampler not in SAMPLERS:
        raise InputError(f'sampler is {sampler!r}, expected one of {SAMPLERS}.')
    if sampler == 'aligned':
        return displacement
    dtype, size = coordinate_dtype(displacement), tuple(displacement.shape[2:])
    parts = []
    for axis, n in enumerate(size):
        stretch = n / max(n - 1, 1)
        index = axis_index(size, axis, device=displacement.device, dtype=dtype)
        moved = displacement[:, axis].to(dtype) * (stretch if sampler == 'mixed_corners' else 1.0)
        parts.append(moved + (index * (stretch - 1) - 0.5))
    return torch.stack(parts, dim=1).reshape(-1, ndim, *size)
