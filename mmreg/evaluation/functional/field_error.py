"""Distance between a displacement field and the true one, and the box around a region of interest."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmreg.errors import DataError


def end_point_errors(displacement: Tensor, true: Tensor, spacing: Sequence[float] | None = None) -> Tensor:
    """Euclidean distance per voxel between two fields.

    Args:
        displacement: ``(ndim, *spatial)`` or ``(N, ndim, *spatial)`` in voxels.
        true: The same shape.
        spacing: Voxel size in mm per axis; without it the result is in voxels.

    Returns:
        ``(*spatial)`` or ``(N, *spatial)`` in mm (voxels).

    Raises:
        DataError: the shapes differ or are not those of a field.
    """
    if displacement.shape != true.shape:
        raise DataError(
            f'fields have the shapes {tuple(displacement.shape)} and {tuple(true.shape)}, expected one shape.'
        )
    return lengths(displacement - true, spacing)


def lengths(field: Tensor, spacing: Sequence[float] | None = None) -> Tensor:
    """Euclidean length per voxel, ``(..., ndim, *spatial)`` voxels to ``(..., *spatial)`` mm (voxels)."""
    axis = _component_axis(field)
    if spacing is not None:
        field = field * torch.tensor(tuple(spacing)).to(field).view(-1, *(1,) * field.shape[axis])
    return field.norm(dim=axis)


def percentile(values: Tensor, percent: float) -> float:
    """The value that ``percent`` of all values do not exceed (no interpolation, any size); NaN of nothing."""
    flat = values.flatten()
    if not flat.numel():
        return math.nan
    rank = max(1, math.ceil(percent / 100.0 * flat.numel()))
    return float(flat.kthvalue(rank).values)


def root_mean_square(errors: Tensor) -> float:
    """Square root of the mean square."""
    return float(errors.double().square().mean().sqrt())


def region_box(mask: np.ndarray, margin: float = 0.2, whole: bool = True) -> tuple[slice, ...]:
    """A box around a mask, wider by a share of the room that is left.

    On each axis both sides move out by ``floor(margin * m / 2)``, m the smaller distance of the box to the border.

    Args:
        mask: Non-empty mask.
        margin: That share.
        whole: False leaves the last row of the mask out, as published code does.

    Raises:
        DataError: the mask is empty.
    """
    inside = np.argwhere(mask)
    if not len(inside):
        raise DataError('the region of interest is empty, expected at least one voxel.')
    box = []
    for first, last, size in zip(inside.min(0), inside.max(0), mask.shape):
        stop = int(last) + int(whole)
        extra = math.floor(margin * min(int(first), size - stop) / 2)
        box.append(slice(int(first) - extra, stop + extra))
    return tuple(box)


def _component_axis(field: Tensor) -> int:
    for axis in (0, 1):
        if field.dim() > axis and field.shape[axis] == field.dim() - axis - 1:
            return axis
    raise DataError(f'a field has the shape {tuple(field.shape)}, expected (ndim, *spatial) or (N, ndim, *spatial).')
