"""How a displacement deforms space: Jacobian matrix and determinant of ``id + displacement``."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmreg.errors import InputError

from ._checks import check_field, per_axis
from .compiled.deforming import determinant, serves_determinant
from .compiled.gpu import summing as gpu
from .compiled.gpu.switch import on_gpu
from .gradient import differences

UNITS = ('voxel', 'mm')


def jacobian_matrix(
    displacement: Tensor,
    spacing: float | Sequence[float] | None = None,
    scheme: str = 'central',
    crop: int | None = None,
    units: str = 'voxel',
) -> Tensor:
    """Jacobian matrix of the map ``x + displacement(x)``; the identity is added here.

    Args:
        displacement: ``(N, ndim, *spatial)``, component order = axis order.
        spacing: mm per voxel, one number or one per axis. Given it, derivatives are taken in millimetre space:
            entry ``ij`` is ``d phi_i [mm] / d x_j [mm]``; without it, in voxels.
        scheme: finite differences, see :func:`mmreg.spatial.spatial_gradient`.
        crop: voxels removed on every side.
        units: of the displacement's components, 'voxel' (everywhere in mmreg) or 'mm' (needs ``spacing``).

    Returns:
        ``(N, ndim, ndim, *spatial')``, entry ``[:, i, j]`` the derivative of component ``i`` along axis ``j``.

    Raises:
        InputError: not a field, unknown scheme or units, units 'mm' without spacing.

    Example:
        >>> jacobian_matrix(torch.zeros(1, 2, 4, 4))[0, :, :, 1, 1].tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    ndim = check_field(displacement)
    columns = _columns(displacement, spacing, scheme, crop, units)
    eye = torch.eye(ndim, dtype=columns[0].dtype, device=columns[0].device)
    return torch.stack(columns, dim=2) + eye.view(1, ndim, ndim, *[1] * ndim)


def jacobian_determinant(
    displacement: Tensor,
    spacing: float | Sequence[float] | None = None,
    scheme: str = 'central',
    crop: int | None = None,
    units: str = 'voxel',
) -> Tensor:
    """Determinant of the Jacobian of ``x + displacement(x)``, in closed form; a zero displacement gives exactly 1.

    Args:
        displacement: ``(N, ndim, *spatial)``, ndim 2 or 3.
        spacing: mm per voxel. For a displacement in voxels the determinant does not depend on it: lengths of both
            spaces scale alike. It matters for ``units='mm'``.
        scheme: finite differences, see :func:`mmreg.spatial.spatial_gradient`.
        crop: voxels removed on every side.
        units: of the displacement's components, 'voxel' or 'mm'.

    Returns:
        ``(N, *spatial')``: local volume ratio; values of 0 and below are folds.

    Raises:
        InputError: not a field, unknown scheme or units, units 'mm' without spacing.

    Example:
        >>> field = torch.stack(torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing='ij'))[None]
        >>> jacobian_determinant(field)[0, 1, 1].item()  # every length doubles
        4.0
    """
    check_field(displacement)
    plain = scheme == 'central' and crop in (None, 0) and units == 'voxel'
    if plain and on_gpu(displacement) and not (displacement.requires_grad and torch.is_grad_enabled()):
        return gpu.jacobian_determinant(displacement)
    if plain and serves_determinant(displacement):
        return determinant(displacement)
    columns = _columns(displacement, spacing, scheme, crop, units)
    return _determinant([[column[:, i] for column in columns] for i in range(len(columns))])


def _columns(
    displacement: Tensor, spacing: float | Sequence[float] | None, scheme: str, crop: int | None, units: str
) -> list[Tensor]:
    """Derivatives of the displacement along each axis, in the asked units."""
    if units not in UNITS or (units == 'mm' and spacing is None):
        raise InputError(
            f"units is {units!r} with spacing {spacing}, expected 'voxel', or 'mm' together with a spacing."
        )
    columns = differences(displacement, scheme, crop)
    if spacing is None:
        return columns
    steps = per_axis(spacing, len(columns), 'spacing')
    if units == 'mm':
        return [column / s for column, s in zip(columns, steps)]
    lengths = torch.tensor(steps, dtype=columns[0].dtype, device=columns[0].device)
    lengths = lengths.view(-1, *[1] * len(columns))
    return [column * (lengths / s) for column, s in zip(columns, steps)]


def _determinant(d: list[list[Tensor]]) -> Tensor:
    """Determinant of ``I + d``; rows are components, columns axes."""
    if len(d) == 2:
        return (d[0][0] + 1) * (d[1][1] + 1) - d[0][1] * d[1][0]
    a, b, c = d[0][0] + 1, d[1][1] + 1, d[2][2] + 1
    minor_a = b * c - d[1][2] * d[2][1]
    minor_b = d[1][0] * c - d[1][2] * d[2][0]
    minor_c = d[1][0] * d[2][1] - b * d[2][0]
    return a * minor_a - d[0][1] * minor_b + d[0][2] * minor_c
