"""Affine maps: matrices from parameters, between frames, and as displacements."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmreg.errors import InputError

from ._checks import coordinate_dtype
from .grid import axis_index


def affine_displacement(matrix: Tensor, size: Sequence[int]) -> Tensor:
    """The displacement of an affine map on a grid: ``displacement(x) = A x + t - x``.

    Args:
        matrix: ``(ndim+1, ndim+1)`` or ``(N, ndim+1, ndim+1)``, voxels of the fixed grid -> voxels of the moving grid
            (see :func:`voxel_matrix` for one in millimetres).
        size: spatial size of the fixed grid.

    Returns:
        ``(N, ndim, *size)`` voxels, float32 or float64, differentiable towards the matrix.

    Raises:
        InputError: matrix and size do not belong together.

    Example:
        >>> affine_displacement(homogeneous(torch.eye(2), torch.tensor([1.0, -2.0])), (3, 4))[0, :, 0, 0].tolist()
        [1.0, -2.0]
    """
    ndim = len(size)
    if matrix.dim() not in (2, 3) or matrix.shape[-2:] != (ndim + 1, ndim + 1):
        raise InputError(
            f'matrix has shape {tuple(matrix.shape)}, expected (N, {ndim + 1}, {ndim + 1}) for {ndim} axes.'
        )
    matrix = matrix if matrix.dim() == 3 else matrix.unsqueeze(0)
    matrix = matrix.to(coordinate_dtype(matrix))
    linear = matrix[:, :ndim, :ndim] - torch.eye(ndim, dtype=matrix.dtype, device=matrix.device)
    ones = [1] * ndim
    field = matrix[:, :ndim, ndim].view(-1, ndim, *ones)
    for j in range(ndim):
        index = axis_index(size, j, device=matrix.device, dtype=matrix.dtype)
        field = field + linear[:, :, j].reshape(-1, ndim, *ones) * index
    return field


def voxel_matrix(affine: Tensor, fixed_affine: Tensor, moving_affine: Tensor) -> Tensor:
    """A map fixed world -> moving world in millimetres as a map fixed voxel -> moving voxel.

    Args:
        affine: ``(..., ndim+1, ndim+1)`` in world millimetres.
        fixed_affine: voxel -> world of the fixed grid.
        moving_affine: voxel -> world of the moving grid.

    Returns:
        Matrix of the same shape, float64.

    Example:
        >>> grid = torch.diag(torch.tensor([2.0, 2.0, 1.0]))  # voxels of 2 mm
        >>> shift = homogeneous(torch.eye(2), torch.tensor([6.0, 0.0]))  # 6 mm along the first axis
        >>> voxel_matrix(shift, grid, grid)[:-1, -1].tolist()
        [3.0, 0.0]
    """
    return torch.linalg.inv(moving_affine.double()) @ affine.double() @ fixed_affine.double()


def world_matrix(matrix: Tensor, fixed_affine: Tensor, moving_affine: Tensor) -> Tensor:
    """Inverse of :func:`voxel_matrix`: ``(.., ndim+1, ndim+1)``, fixed voxel -> moving voxel as fixed world -> moving
    world (mm), float64.

    Example:
        >>> grid = torch.diag(torch.tensor([2.0, 2.0, 1.0]))  # voxels of 2 mm
        >>> shift = homogeneous(torch.eye(2), torch.tensor([3.0, 0.0]))  # 3 voxels along the first axis
        >>> world_matrix(shift, grid, grid)[:-1, -1].tolist()
        [6.0, 0.0]
    """
    return moving_affine.double() @ matrix.double() @ torch.linalg.inv(fixed_affine.double())


def voxel_matrix_from_normalised(matrix: Tensor, size: Sequence[int], order: str = 'xyz') -> Tensor:
    """A map on [-1, 1] coordinates (aligned corners) as a map on voxels of the same grid.

    Args:
        matrix: ``(N, ndim+1, ndim+1)``, components in ``order``.
        size: of the grid.
        order: 'xyz', reversed axes as in ``affine_grid``, or 'ijk'.

    Returns:
        ``(N, ndim+1, ndim+1)`` in axis order, in the dtype of ``matrix``.

    Raises:
        InputError: unknown order, or matrix and size do not belong together.

    Example:
        >>> shift = homogeneous(torch.eye(2), torch.tensor([1.0, 0.0]))[None]  # half the extent along x, the last axis
        >>> voxel_matrix_from_normalised(shift, (5, 9))[0, :-1, -1].tolist()
        [0.0, 4.0]
    """
    ndim = len(size)
    if order not in ('xyz', 'ijk') or matrix.dim() != 3 or matrix.shape[-1] != ndim + 1:
        raise InputError(
            f'matrix has shape {tuple(matrix.shape)} in the order {order!r}, expected (N, {ndim + 1}, {ndim + 1}) in '
            "'xyz' or 'ijk'."
        )
    to_normalised = torch.zeros(ndim + 1, ndim + 1, dtype=torch.float64, device=matrix.device)
    for axis, n in enumerate(size):
        row = ndim - 1 - axis if order == 'xyz' else axis
        to_normalised[row, axis] = 2 / max(n - 1, 1)
        to_normalised[row, ndim] = -1
    to_normalised[ndim, ndim] = 1
    voxel = torch.linalg.inv(to_normalised) @ matrix.double() @ to_normalised
    return voxel.to(matrix.dtype)


def homogeneous(linear: Tensor, translation: Tensor) -> Tensor:
    """``(N, ndim, ndim)`` and ``(N, ndim)`` -> ``(N, ndim+1, ndim+1)``.

    Example:
        >>> homogeneous(torch.eye(2), torch.tensor([3.0, 4.0])).tolist()
        [[1.0, 0.0, 3.0], [0.0, 1.0, 4.0], [0.0, 0.0, 1.0]]
    """
    ndim = translation.shape[-1]
    top = torch.cat([linear, translation.unsqueeze(-1)], dim=-1)
    bottom = torch.zeros_like(top[..., :1, :])
    bottom = torch.cat([bottom[..., :ndim], torch.ones_like(bottom[..., :1])], dim=-1)
    return torch.cat([top, bottom], dim=-2)


def rotation_matrix(angles: Tensor) -> Tensor:
    """Rotation from angles in radians, each turning one array axis towards the next.

    Args:
        angles: ``(N, 1)`` in 2-D (axis 0 towards axis 1); ``(N, 3)`` in 3-D, about axes 0, 1, 2, applied to a point in
            this order: ``R = R_2 R_1 R_0``.

    Returns:
        ``(N, ndim, ndim)`` with determinant 1.

    Raises:
        InputError: neither one nor three angles.

    Example:
        >>> rotation_matrix(torch.tensor([[torch.pi / 2]])).round().int().tolist()
        [[[0, -1], [1, 0]]]
    """
    if angles.dim() != 2 or angles.shape[1] not in (1, 3):
        raise InputError(f'angles have shape {tuple(angles.shape)}, expected (N, 1) in 2-D or (N, 3) in 3-D, radians.')
    if angles.shape[1] == 1:
        return _plane_rotation(angles[:, 0], 0, 1, 2)
    first, second, third = (_plane_rotation(angles[:, k], (k + 1) % 3, (k + 2) % 3, 3) for k in range(3))
    return third @ second @ first


def _plane_rotation(angle: Tensor, a: int, b: int, ndim: int) -> Tensor:
    """Rotation that turns axis ``a`` towards axis ``b``."""
    cos, sin = angle.cos(), angle.sin()
    one, zero = torch.ones_like(cos), torch.zeros_like(cos)
    entries = [[one if i == j else zero for j in range(ndim)] for i in range(ndim)]
    entries[a][a], entries[b][b], entries[b][a], entries[a][b] = cos, cos, sin, -sin
    return torch.stack([torch.stack(row, dim=-1) for row in entries], dim=-2)


def rotation_from_vector(vector: Tensor) -> Tensor:
    """Rotation about an axis: ``(N, 3)``, direction = axis, length = angle in radians -> ``(N, 3, 3)``.

    Rodrigues' formula by the matrix exponential, differentiable at the zero vector.

    Example:
        >>> rotation_from_vector(torch.tensor([[0.0, 0.0, torch.pi / 2]])).round().int()[0, :, 0].tolist()
        [0, 1, 0]
    """
    if vector.dim() != 2 or vector.shape[1] != 3:
        raise InputError(f'vector has shape {tuple(vector.shape)}, expected (N, 3).')
    zero = torch.zeros_like(vector[:, 0])
    x, y, z = vector.unbind(1)
    skew = [torch.stack(row, dim=-1) for row in ((zero, -z, y), (z, zero, -x), (-y, x, zero))]
    return torch.linalg.matrix_exp(torch.stack(skew, dim=-2))


def affine_matrix(
    translation: Tensor,
    rotation: Tensor | None = None,
    scale: Tensor | None = None,
    shear: Tensor | None = None,
    centre: Tensor | None = None,
) -> Tensor:
    """Compose an affine map from its parts: scale, then shear, then rotate about ``centre``, then translate.

    Args:
        translation: ``(N, ndim)``.
        rotation: angles, see :func:`rotation_matrix`.
        scale: ``(N, ndim)`` factors per axis.
        shear: ``(N, ndim (ndim-1)/2)``, entries above the diagonal, row by row.
        centre: ``(N, ndim)`` or ``(ndim,)``, the point that rotation, scale and shear leave in place; zero by default.

    Returns:
        ``(N, ndim+1, ndim+1)``; unit and frame are those of the parameters.

    Raises:
        InputError: a part has the wrong number of parameters.

    Example:
        >>> affine_matrix(torch.tensor([[1.0, 2.0]]), scale=torch.tensor([[2.0, 1.0]]))[0].tolist()
        [[2.0, 0.0, 1.0], [0.0, 1.0, 2.0], [0.0, 0.0, 1.0]]
    """
    batch, ndim = translation.shape
    linear = torch.eye(ndim, dtype=translation.dtype, device=translation.device).expand(batch, ndim, ndim)
    if scale is not None:
        linear = _expect(scale, ndim, 'scale').unsqueeze(-1) * linear
    if shear is not None:
        rows, columns = torch.triu_indices(ndim, ndim, offset=1, device=linear.device).unbind(0)
        upper = torch.eye(ndim, dtype=linear.dtype, device=linear.device).repeat(batch, 1, 1)
        upper[:, rows, columns] = _expect(shear, len(rows), 'shear').to(upper.dtype)
        linear = upper @ linear
    if rotation is not None:
        linear = rotation_matrix(_expect(rotation, 1 if ndim == 2 else 3, 'rotation')) @ linear
    if centre is not None:
        centre = centre.to(linear).expand(batch, ndim)
        translation = translation + centre - (linear @ centre.unsqueeze(-1)).squeeze(-1)
    return homogeneous(linear, translation)


def _expect(part: Tensor, count: int, name: str) -> Tensor:
    if part.dim() != 2 or part.shape[1] != count:
        raise InputError(f'{name} has shape {tuple(part.shape)}, expected (N, {count}).')
    return part
