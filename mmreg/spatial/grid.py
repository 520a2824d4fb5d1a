"""Coordinates: the identity grid in voxels, and displacements as the normalised grids of ``grid_sample``."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmreg.spatial._checks import check_field, coordinate_dtype
from mmreg.spatial._linear import linear_map


def axis_index(
    size: Sequence[int], axis: int, *, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Voxel index along one axis, shaped to broadcast over ``size``: ``(1, .., size[axis], .., 1)``."""
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
    """
    axes = [axis_index(size, i, device=device, dtype=dtype).expand(*size) for i in range(len(size))]
    return torch.stack(axes)


def normalised_step(n: int) -> float:
    """Length of one voxel in normalised coordinates of an axis of ``n`` voxels with aligned corners (0 if n = 1)."""
    return 2.0 / (n - 1) if n > 1 else 0.0


def _write_grid(displacement: Tensor) -> Tensor:
    """Normalised positions in memory order (N, *spatial, ndim), last array axis first, in one pass per axis."""
    batch, ndim, *size = displacement.shape
    dtype, device = displacement.dtype, displacement.device
    grid = torch.empty((batch, *size, ndim), dtype=dtype, device=device)
    for i, n in enumerate(size):
        step = normalised_step(n)
        base = axis_index(size, i, device=device, dtype=dtype).mul_(step).sub_(1.0)
        torch.add(base, displacement[:, i], alpha=step, out=grid[..., ndim - 1 - i])
    return grid


def _grid_adjoint(grad: Tensor) -> Tensor:
    """Adjoint of the linear part of :func:`_write_grid`."""
    batch, *size, ndim = grad.shape
    out = torch.empty((batch, ndim, *size), dtype=grad.dtype, device=grad.device)
    for i, n in enumerate(size):
        torch.mul(grad[..., ndim - 1 - i], normalised_step(n), out=out[:, i])
    return out


def _grid_tangent(displacement: Tensor) -> Tensor:
    """Linear part of :func:`_write_grid` (needed only for second derivatives)."""
    steps = torch.tensor([normalised_step(n) for n in displacement.shape[2:]], dtype=displacement.dtype)
    scaled = displacement * steps.to(displacement.device).view(-1, *[1] * (displacement.dim() - 2))
    return scaled.flip(1).movedim(1, -1)


class _SamplingGrid(torch.autograd.Function):
    """Affine map displacement -> sampling grid; keeps nothing for the backward pass."""

    @staticmethod
    def forward(ctx, displacement):  # type: ignore[no-untyped-def]
        return _write_grid(displacement)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return linear_map(grad, _grid_adjoint, _grid_tangent)


def sampling_grid(displacement: Tensor) -> Tensor:
    """Positions ``x + displacement(x)`` as ``grid_sample`` wants them.

    Args:
        displacement: ``(N, ndim, *spatial)`` in voxels, component order = axis order.

    Returns:
        ``(N, *spatial, ndim)``, normalised to [-1, 1] with aligned corners, components in reversed axis order, float32
        (float64 for a float64 displacement). A displacement along an axis of one voxel is ignored.
    """
    check_field(displacement)
    return _SamplingGrid.apply(displacement.to(coordinate_dtype(displacement)))  # type: ignore[no-untyped-call]
