"""Coordinates: the identity grid in voxels, and displacements as the normalised grids of ``grid_sample``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ._checks import check_field, coordinate_dtype
from ._checks import voxel_size as voxel_size


def axis_index(
    size: Sequence[int], axis: int, *, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Voxel index along one axis, shaped to broadcast over ``size``: ``(1, .., size[axis], .., 1)``.

    Example:
        >>> axis_index((2, 3), 1).tolist()
        [[0.0, 1.0, 2.0]]
    """
    shape = [1] * len(size)
    shape[axis] = size[axis]
    return torch.arange(size[axis], device=device, dtype=dtype).view(shape)


def identity_grid(
    size: Sequence[int], *, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Voxel coordinates of every voxel.

    Args:
        size: spatial shape.
        device: where to put it.
        dtype: floating-point type.

    Returns:
        ``(ndim, *size)``; entry ``[i, x]`` is the index of voxel ``x`` along array axis ``i``.

    Example:
        >>> identity_grid((2, 3)).tolist()
        [[[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]], [[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]]]
    """
    axes = [axis_index(size, i, device=device, dtype=dtype).expand(*size) for i in range(len(size))]
    return torch.stack(axes)


def half_extent(n: int) -> float:
    """Voxels per unit of normalised coordinate on an axis of ``n`` voxels, ``(n - 1) / 2``; 1 for a single voxel.

    Example:
        >>> half_extent(5), half_extent(1)
        (2.0, 1.0)
    """
    return (n - 1) / 2 if n > 1 else 1.0


def write_grid(displacement: Tensor) -> Tensor:
    """:func:`sampling_grid` of ``(N, ndim, *spatial)`` without gradient: planar in memory, three in-place passes per
    axis.

    The arithmetic, ``(index + displacement) / half - 1``, rounds exactly as the published ``2 (p / (n-1) - 1/2)``.

    Example:
        >>> write_grid(torch.zeros(1, 2, 3, 3))[0, 0, 0].tolist()  # x, y of the first voxel
        [-1.0, -1.0]
    """
    ndim, size = displacement.shape[1], displacement.shape[2:]
    grid = torch.empty_like(displacement, memory_format=torch.contiguous_format)
    for i, n in enumerate(size):
        plane = grid[:, ndim - 1 - i]
        index = axis_index(size, i, device=displacement.device, dtype=displacement.dtype)
        torch.add(displacement[:, i], index, out=plane)
        plane.div_(half_extent(n)).sub_(1.0)
    return grid.movedim(1, -1)


def grid_adjoint(grad: Tensor) -> Tensor:
    """Gradient towards the grid ``(N, *spatial, ndim)`` -> gradient towards the displacement.

    Example:
        >>> grid_adjoint(torch.ones(1, 3, 5, 2))[0, :, 0, 0].tolist()
        [1.0, 0.5]
    """
    batch, *size, ndim = grad.shape
    out = torch.empty((batch, ndim, *size), dtype=grad.dtype, device=grad.device)
    for i, n in enumerate(size):
        torch.div(grad[..., ndim - 1 - i], half_extent(n), out=out[:, i])
    return out


class _SamplingGrid(torch.autograd.Function):
    """Affine map displacement -> sampling grid; keeps nothing for the backward pass."""

    @staticmethod
    def forward(ctx: Any, displacement: Tensor) -> Tensor:
        return write_grid(displacement)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grid_adjoint(grad)


def sampling_grid(displacement: Tensor) -> Tensor:
    """Positions ``x + displacement(x)`` as ``torch.nn.functional.grid_sample`` wants them.

    Args:
        displacement: ``(N, ndim, *spatial)`` in voxels, component order = axis order.

    Returns:
        ``(N, *spatial, ndim)``, normalised to [-1, 1] with aligned corners, components in reversed axis order, float32
        (float64 for a float64 displacement). A displacement along an axis of one voxel has no effect.

    Example:
        >>> sampling_grid(torch.zeros(1, 2, 3, 3))[0, 0, 2].tolist()  # x, y of the last voxel of the first row
        [1.0, -1.0]
    """
    check_field(displacement)
    return _SamplingGrid.apply(displacement.to(coordinate_dtype(displacement)))  # type: ignore[no-untyped-call]
