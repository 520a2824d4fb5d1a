"""Uniform cubic B-splines: control points to a dense field."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from mmreg.errors import InputError

from ._checks import check_field, coordinate_dtype, per_axis
from .precision import without_autocast


def cubic_bspline(t: Tensor) -> Tensor:
    """The cubic B-spline of ``t`` ``(*S)``: ``2/3 - t^2 + |t|^3/2`` for ``|t| < 1``, ``(2 - |t|)^3/6`` up to 2,
    else 0.

    Example:
        >>> cubic_bspline(torch.tensor([0.0, 1.0, 2.0])).mul(6).tolist()
        [4.0, 1.0, 0.0]
    """
    t = t.abs()
    return torch.where(t < 1, 2 / 3 - t.square() + t**3 / 2, (2 - t).clamp(min=0) ** 3 / 6)


def control_size(size: Sequence[int], spacing: int | Sequence[int]) -> tuple[int, ...]:
    """Control points per axis for a grid of ``size``: ``ceil((n - 1) / spacing) + 3``.

    Example:
        >>> control_size((16, 12), 4)
        (7, 6)
    """
    steps = per_axis(spacing, len(size), 'spacing')
    return tuple(math.ceil((n - 1) / s) + 3 for n, s in zip(size, steps))


def bspline_field(control: Tensor, size: Sequence[int], spacing: int | Sequence[int]) -> Tensor:
    """The field whose cubic B-spline coefficients are ``control``; point k of an axis sits at voxel ``(k - 1) s``.

    Args:
        control: ``(N, ndim, *control_size)`` in voxels of the dense grid.
        size: of the dense grid.
        spacing: voxels between control points, one number or one per axis.

    Returns:
        ``(N, ndim, *size)`` float32 (float64 for float64).

    Raises:
        InputError: fewer control points than ``size`` needs.

    Source: Rueckert et al., TMI 1999, as in MIDIR; golden gradirn/annex_ffd ``ffd_disp``.

    Example:
        >>> bspline_field(torch.ones(1, 2, *control_size((16, 12), 4)), (16, 12), 4).shape
        torch.Size([1, 2, 16, 12])
    """
    check_field(control, 'control')
    found, needed = tuple(control.shape[2:]), control_size(size, spacing)
    if any(have < need for have, need in zip(found, needed)):
        raise InputError(f'control has {found} points, expected at least {needed} for a grid of {tuple(size)}.')
    field = control.to(coordinate_dtype(control))
    with without_autocast(field):
        for axis, step in enumerate(per_axis(spacing, len(size), 'spacing')):
            basis = _basis(size[axis], field.shape[axis + 2], step, field.device).to(field.dtype)
            field = torch.tensordot(field, basis, dims=([axis + 2], [1])).movedim(-1, axis + 2)
    return field.contiguous()


def _basis(voxels: int, points: int, spacing: float, device: torch.device) -> Tensor:
    """``(voxels, points)`` float64: what every control point contributes to every voxel; made on the device itself."""
    positions = torch.arange(voxels, dtype=torch.float64, device=device)[:, None] / spacing + 1
    return cubic_bspline(positions - torch.arange(points, dtype=torch.float64, device=device))


def bspline_refine(control: Tensor, size: Sequence[int], factors: Sequence[float]) -> Tensor:
    """The spline whose coefficients are the voxels of a coarse grid, on a grid ``factors`` times finer.

    Outer edges are aligned: fine voxel p sits at ``(p + 1/2) / factor - 1/2`` of the coarse grid. Coefficients outside
    are those of the edge. Values are not converted.

    Args:
        control: ``(N, C, *coarse)``; coefficients, not values at the voxels.
        size: of the fine grid.
        factors: fine voxels per coarse one, per axis.

    Returns:
        ``(N, C, *size)`` float32 (float64 for float64).

    Source: Honkamaa and Marttinen, MELBA 2024 (SITReg); golden baselines/sitreg.

    Example:
        >>> bspline_refine(torch.ones(1, 1, 4, 4), (8, 8), (2.0, 2.0)).shape
        torch.Size([1, 1, 8, 8])
    """
    out = control.to(coordinate_dtype(control))
    with without_autocast(out):
        for axis, (voxels, factor) in enumerate(zip(size, factors)):
            basis = _edge_basis(voxels, out.shape[axis + 2], factor, out.device).to(out.dtype)
            out = torch.tensordot(out, basis, dims=([axis + 2], [1])).movedim(-1, axis + 2)
    return out.contiguous()


def _edge_basis(voxels: int, points: int, factor: float, device: torch.device) -> Tensor:
    """``(voxels, points)`` float64; points beyond the edges count for the edge."""
    positions = (torch.arange(voxels, dtype=torch.float64, device=device)[:, None] + 0.5) / factor - 0.5
    weights = cubic_bspline(positions - torch.arange(-2, points + 2, device=device))
    basis = weights[:, 2:-2].clone()
    basis[:, 0] += weights[:, :2].sum(1)
    basis[:, -1] += weights[:, -2:].sum(1)
    return basis


@lru_cache(maxsize=64)
def invertible_bound(factors: tuple[int, ...]) -> tuple[float, ...]:
    """Largest coefficient, in coarse voxels, up to which :func:`bspline_refine` is sure to make an invertible step.

    ``displacement_i = f_i * spline_i`` on the fine grid, read linearly, then changes by less than the distance of two
    voxels (largest component), so that ``id + displacement`` is invertible by fixed point.

    Args:
        factors: fine voxels per coarse one, whole numbers, per axis.

    Returns:
        One bound per component.

    Source: Honkamaa and Marttinen, MELBA 2024 (SITReg), the bound of their control points.

    Example:
        >>> len(invertible_bound((2, 2, 2)))
        3
    """
    lines = [_phases(f) for f in factors]
    steepest = 0.0
    for first in range(len(lines[0][0])):
        chosen = [(value[first : first + 1], slope[first : first + 1]) for value, slope in lines[:1]] + lines[1:]
        steepest = max(steepest, _steepest(chosen))
    return tuple(1 / (f * steepest) for f in factors)


def _phases(factor: int) -> tuple[Tensor, Tensor]:
    """Values and forward differences ``(factor, 6)`` of the shifted splines at the fine voxels of one coarse voxel."""
    positions = (torch.arange(factor, dtype=torch.float64, device='cpu')[:, None] + 0.5) / factor - 0.5
    reach = torch.arange(-2, 4, dtype=torch.float64, device='cpu')
    value = cubic_bspline(positions - reach)
    return value, cubic_bspline(positions + 1 / factor - reach) - value


def _steepest(lines: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Largest sum over coefficients of the absolute sum of slopes along all axes."""
    ndim = len(lines)
    total: Tensor | float = 0.0
    for axis in range(ndim):
        product: Tensor = torch.ones((), dtype=torch.float64, device='cpu')
        for other, (value, slope) in enumerate(lines):
            part = slope if other == axis else value
            product = product[..., None, None] * part  # (phases, points) of every axis in turn
        total = total + product
    assert isinstance(total, Tensor)
    points = tuple(range(1, 2 * ndim, 2))
    return float(total.abs().sum(points).max())
