"""Every change of frame or unit: voxels, normalised coordinates, world millimetres, other grids.

World millimetres are those of the affine that is given (RAS+ inside mmreg). Points have their components last,
``(..., ndim)``; fields have them on axis 1. Components are in array-axis order unless ``order='xyz'``, the reversed
order of ``grid_sample`` and of several published networks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmreg.errors import InputError

from ._checks import Padding, check_field, coordinate_dtype
from .grid import identity_grid
from .warp import sample

ORDERS = ('ijk', 'xyz')


def _reorder(x: Tensor, order: str, dim: int) -> Tensor:
    if order not in ORDERS:
        raise InputError(f'order is {order!r}, expected one of {ORDERS}.')
    return x.flip(dim) if order == 'xyz' else x


def _halves(size: Sequence[int], like: Tensor) -> Tensor:
    """Half the extent of each axis in voxels, ``(n - 1) / 2``: one unit of normalised length."""
    return torch.tensor([max(n - 1, 1) / 2 for n in size], dtype=coordinate_dtype(like), device=like.device)


def voxel_to_normalised(points: Tensor, size: Sequence[int], order: str = 'ijk') -> Tensor:
    """Voxel coordinates ``(..., ndim)`` in axis order -> [-1, 1] with aligned corners, components in ``order``.

    Example:
        >>> voxel_to_normalised(torch.tensor([[0.0, 4.0]]), (5, 9)).tolist()
        [[-1.0, 0.0]]
    """
    return _reorder(points / _halves(size, points) - 1, order, -1)


def normalised_to_voxel(points: Tensor, size: Sequence[int], order: str = 'ijk') -> Tensor:
    """[-1, 1] coordinates ``(..., ndim)`` with components in ``order`` -> voxel coordinates in axis order.

    Example:
        >>> normalised_to_voxel(torch.tensor([[-1.0, 0.0]]), (5, 9)).tolist()
        [[0.0, 4.0]]
    """
    return (_reorder(points, order, -1) + 1) * _halves(size, points)


def displacement_to_normalised(displacement: Tensor, order: str = 'ijk') -> Tensor:
    """Displacement ``(N, ndim, *spatial)`` in voxels of its grid -> normalised lengths, components in ``order``.

    Example:
        >>> displacement_to_normalised(torch.ones(1, 2, 5, 9))[0, :, 0, 0].tolist()
        [0.5, 0.25]
    """
    ndim = check_field(displacement)
    halves = _halves(displacement.shape[2:], displacement).view(-1, *[1] * ndim)
    return _reorder(displacement / halves, order, 1)


def displacement_to_voxel(displacement: Tensor, order: str = 'ijk') -> Tensor:
    """Normalised displacement ``(N, ndim, *spatial)`` with components in ``order`` -> voxels in axis order.

    Example:
        >>> displacement_to_voxel(torch.ones(1, 2, 5, 9))[0, :, 0, 0].tolist()
        [2.0, 4.0]
    """
    ndim = check_field(displacement)
    halves = _halves(displacement.shape[2:], displacement).view(-1, *[1] * ndim)
    return _reorder(displacement, order, 1) * halves


def _split(affine: Tensor, ndim: int) -> tuple[Tensor, Tensor]:
    if affine.shape[-2:] != (ndim + 1, ndim + 1):
        raise InputError(f'affine has shape {tuple(affine.shape)}, expected ({ndim + 1}, {ndim + 1}).')
    return affine[..., :ndim, :ndim], affine[..., :ndim, ndim]


def apply_affine(matrix: Tensor, points: Tensor) -> Tensor:
    """Points ``(..., ndim)`` through a matrix ``(ndim+1, ndim+1)``, or ``(N, P, ndim)`` through one matrix per sample.

    Computed in the precision of the more precise of both, returned in the precision of the points.

    Example:
        >>> matrix = torch.tensor([[2.0, 0.0, 1.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
        >>> apply_affine(matrix, torch.tensor([[1.0, 3.0]])).tolist()
        [[3.0, 6.0]]
    """
    dtype = coordinate_dtype(matrix, points)
    linear, offset = _split(matrix.to(device=points.device, dtype=dtype), points.shape[-1])
    moved = points.to(dtype) @ linear.transpose(-1, -2)
    moved = moved + (offset.unsqueeze(-2) if offset.dim() > 1 else offset)
    return moved.to(coordinate_dtype(points))


def voxel_to_world(points: Tensor, affine: Tensor) -> Tensor:
    """Voxel coordinates ``(..., ndim)`` -> world millimetres, by the grid's voxel-to-world matrix.

    Example:
        >>> voxel_to_world(torch.tensor([[1.0, 3.0]]), torch.diag(torch.tensor([2.0, 0.5, 1.0]))).tolist()
        [[2.0, 1.5]]
    """
    return apply_affine(affine, points)


def world_to_voxel(points: Tensor, affine: Tensor) -> Tensor:
    """World millimetres ``(..., ndim)`` -> voxel coordinates, by the grid's voxel-to-world matrix.

    Example:
        >>> world_to_voxel(torch.tensor([[2.0, 1.5]]), torch.diag(torch.tensor([2.0, 0.5, 1.0]))).tolist()
        [[1.0, 3.0]]
    """
    return apply_affine(torch.linalg.inv(affine.double()), points)


def _rotate_field(linear: Tensor, field: Tensor) -> Tensor:
    """Vectors of a field through a linear map, matrix ``(ndim, ndim)`` or ``(N, ndim, ndim)``."""
    linear = linear.to(device=field.device, dtype=coordinate_dtype(field))
    flat = field.to(linear.dtype).flatten(2)
    return (linear @ flat).view(field.shape)


def displacement_to_world(displacement: Tensor, affine: Tensor) -> Tensor:
    """Displacement ``(N, ndim, *spatial)`` in voxels of its grid -> world millimetre vectors on the same grid.

    Example:
        >>> grid = torch.diag(torch.tensor([2.0, 0.5, 1.0]))  # voxels of 2 x 0.5 mm
        >>> displacement_to_world(torch.ones(1, 2, 4, 4), grid)[0, :, 0, 0].tolist()
        [2.0, 0.5]
    """
    return _rotate_field(_split(affine, check_field(displacement))[0], displacement)


def displacement_from_world(displacement: Tensor, affine: Tensor) -> Tensor:
    """World millimetre vectors ``(N, ndim, *spatial)`` on a grid -> displacement in voxels of that grid.

    Example:
        >>> grid = torch.diag(torch.tensor([2.0, 0.5, 1.0]))  # voxels of 2 x 0.5 mm
        >>> displacement_from_world(torch.ones(1, 2, 4, 4), grid)[0, :, 0, 0].tolist()
        [0.5, 2.0]
    """
    linear = _split(affine, check_field(displacement))[0]
    return _rotate_field(torch.linalg.inv(linear.double()), displacement)


def displacement_to_grid(
    displacement: Tensor, affine: Tensor, target_affine: Tensor, target_size: Sequence[int], padding: Padding = 'border'
) -> Tensor:
    """The same motion in space, sampled on another grid and expressed in its voxels.

    Args:
        displacement: ``(N, ndim, *spatial)`` voxels of its own grid.
        affine: ``(ndim+1, ndim+1)`` voxel -> world mm of that grid.
        target_affine: the same for the other grid.
        target_size: spatial size of the other grid.
        padding: the displacement outside its own grid: 'border' or 'zeros'.

    Returns:
        ``(N, ndim, *target_size)`` voxels of the other grid.

    Raises:
        InputError: shapes do not match or unknown padding.

    Example:
        >>> coarse = torch.diag(torch.tensor([2.0, 2.0, 1.0]))
        >>> displacement_to_grid(torch.ones(1, 2, 8, 8), torch.eye(3), coarse, (4, 4))[0, :, 0, 0].tolist()
        [0.5, 0.5]
    """
    ndim = check_field(displacement)
    dtype = coordinate_dtype(displacement)
    to_source = torch.linalg.inv(affine.double()) @ target_affine.double()
    voxels = identity_grid(target_size, device=displacement.device, dtype=dtype).flatten(1).mT
    points = apply_affine(to_source, voxels).expand(displacement.shape[0], -1, -1)
    vectors = sample(displacement.to(dtype), points, padding=padding)
    linear = torch.linalg.inv(_split(to_source, ndim)[0])
    return _rotate_field(linear, vectors).view(displacement.shape[0], ndim, *target_size)
