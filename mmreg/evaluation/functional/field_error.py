"""Distance between a displacement field and the true one, and the box around a region of interest."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mmreg.errors import DataError


def end_point_errors(
    displacement: Tensor, true: Tensor, spacing: Sequence[float] | None = None, batched: bool | None = None
) -> Tensor:
    """Euclidean distance per voxel between two fields.

    Args:
        displacement: ``(ndim, *spatial)`` or ``(N, ndim, *spatial)`` in voxels.
        true: The same shape.
        spacing: Voxel size in mm per axis; without it the result is in voxels.
        batched: Whether the first axis counts fields, see :func:`lengths`.

    Returns:
        ``(*spatial)`` or ``(N, *spatial)`` in mm (voxels).

    Raises:
        DataError: the shapes differ or are not those of a field.

    Example:
        >>> end_point_errors(torch.ones(3, 2, 8, 8), torch.zeros(3, 2, 8, 8)).shape
        torch.Size([3, 8, 8])
    """
    if displacement.shape != true.shape:
        raise DataError(
            f'fields have the shapes {tuple(displacement.shape)} and {tuple(true.shape)}, expected one shape.'
        )
    return lengths(displacement - true, spacing, batched)


def lengths(field: Tensor, spacing: Sequence[float] | None = None, batched: bool | None = None) -> Tensor:
    """Euclidean length per voxel, ``(ndim, *spatial)`` or ``(N, ndim, *spatial)`` voxels to mm (voxels).

    Args:
        field: The vectors.
        spacing: Voxel size in mm per axis; without it the result is in voxels.
        batched: Whether the first axis counts fields. None: as the shape and the number of spacings say; the one shape
            that says both, ``(3, 2, *, *)``, is a batch of three fields in two dimensions.

    Raises:
        DataError: the shape is not that of a field, or the spacing has another number of axes.
    """
    axis = _component_axis(field, None if spacing is None else len(tuple(spacing)), batched)
    if spacing is not None:
        field = field * torch.tensor(tuple(spacing)).to(field).view(-1, *(1,) * field.shape[axis])
    return field.norm(dim=axis)


def percentile(values: Tensor, percent: float) -> float:
    """The value that ``percent`` of all ``values`` ``(*S)`` do not exceed (no interpolation, any size); NaN of
    nothing.
    """
    flat = values.flatten()
    if not flat.numel():
        return math.nan
    rank = max(1, math.ceil(percent / 100.0 * flat.numel()))
    return float(flat.kthvalue(rank).values)


def root_mean_square(errors: Tensor) -> float:
    """Square root of the mean square of ``errors`` ``(*S)``."""
    return float(errors.double().square().mean().sqrt())


def _component_axis(field: Tensor, spacings: int | None, batched: bool | None) -> int:
    """The axis of the components: 0 of ``(ndim, *spatial)``, 1 of ``(N, ndim, *spatial)``."""
    fitting = []
    for axis in (1, 0):  # five axes are always a batch: there are no fields in four dimensions
        ndim = field.dim() - axis - 1
        told = batched is None or batched == bool(axis)
        if told and ndim in (2, 3) and field.shape[axis] == ndim and spacings in (None, ndim):
            fitting.append(axis)
    if fitting:
        return fitting[0]
    mm = '' if spacings is None else f' with {spacings} spacings'
    raise DataError(
        f'a field has the shape {tuple(field.shape)}{mm}, expected (ndim, *spatial) or (N, ndim, *spatial).'
    )
