"""Finite differences along the axes of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from mmreg.errors import InputError

from ._checks import coordinate_dtype, per_axis, spatial_ndim
from ._linear import linear_map

#: Schemes that keep the size of the grid.
SAME_SIZE = ('central', 'central_replicate', 'central_zeros')


def spatial_gradient(
    x: Tensor, scheme: str = 'central', spacing: float | Sequence[float] | None = None, crop: int | None = None
) -> Tensor:
    """Derivatives along every spatial axis.

    Args:
        x: ``(N, C, *spatial)``.
        scheme:
            * 'central': half the difference of both neighbours, one-sided at the border (as ``numpy.gradient``);
            * 'central_replicate': the same everywhere, the edge voxel repeated outside (half the slope at the border);
            * 'central_zeros': the same with zeros outside;
            * 'central_cropped': central, the border voxels removed (``crop`` defaults to 1);
            * 'forward', 'backward': difference to the next or previous voxel; each axis loses one voxel at the end
              or the beginning;
            * a word of '+' and '-', one sign per axis: forward or backward per axis, one voxel lost on every side.
        spacing: distance of voxels, one number or one per axis; 1 by default.
        crop: voxels removed on every side of the result.

    Returns:
        ``(N, C, ndim, *spatial')``; entry ``[:, :, j]`` is the derivative along axis ``j``.

    Raises:
        InputError: unknown scheme or a grid too small for it.

    Example:
        >>> spatial_gradient(torch.arange(4.0).square().view(1, 1, 4)).tolist()
        [[[[1.0, 2.0, 4.0, 5.0]]]]
    """
    ndim = spatial_ndim(x, 'x')
    steps = per_axis(1.0 if spacing is None else spacing, ndim, 'spacing')
    parts = differences(x, scheme, crop)
    return torch.stack([d if s == 1 else d / s for d, s in zip(parts, steps)], dim=2)


def differences(x: Tensor, scheme: str, crop: int | None = None) -> list[Tensor]:
    """Derivatives per voxel, one tensor ``(N, C, *spatial')`` per axis (see :func:`spatial_gradient`).

    Example:
        >>> [d.tolist() for d in differences(torch.arange(4.0).view(1, 1, 4), 'forward')]
        [[[[1.0, 1.0, 1.0]]]]
    """
    ndim = spatial_ndim(x, 'x')
    x = x.to(coordinate_dtype(x))
    size = x.shape[2:]
    if min(size) < 2:
        raise InputError(f'the derivative needs at least two voxels per axis, found a grid of size {tuple(size)}.')
    if scheme == 'central_cropped':
        scheme, crop = 'central', 1 if crop is None else crop
    if scheme in SAME_SIZE:
        parts = [_central(x, i + 2, scheme) for i in range(ndim)]
    else:
        parts = _one_sided(x, scheme)
    return [_crop(p, crop) for p in parts] if crop else parts


def _one_sided(x: Tensor, scheme: str) -> list[Tensor]:
    """Differences to one neighbour per axis, on the voxels that have all the neighbours the scheme may ask for."""
    ndim = x.dim() - 2
    if scheme in ('forward', 'backward'):
        signs = ('+' if scheme == 'forward' else '-') * ndim
        first, lost = (0 if scheme == 'forward' else 1), 1
    else:
        signs, first, lost = scheme, 1, 2
    if len(signs) != ndim or set(signs) - {'+', '-'}:
        known = (*SAME_SIZE, 'central_cropped', 'forward', 'backward')
        raise InputError(f'scheme is {scheme!r}, expected one of {known} or a word of {ndim} signs + and -.')
    parts = []
    for axis, sign in enumerate(signs):
        upper = _window(x, axis, first, lost, 1 if sign == '+' else 0)
        lower = _window(x, axis, first, lost, 0 if sign == '+' else -1)
        parts.append(upper - lower)
    return parts


def _window(x: Tensor, axis: int, first: int, lost: int, shift: int) -> Tensor:
    """The voxels from ``first`` on, ``lost`` fewer per axis, moved by ``shift`` along ``axis``."""
    for i, n in enumerate(x.shape[2:]):
        if n <= lost:
            raise InputError(
                f'the difference scheme needs more than {lost} voxels per axis, found {tuple(x.shape[2:])}.'
            )
        x = x.narrow(i + 2, first + (shift if i == axis else 0), n - lost)
    return x


def _crop(x: Tensor, crop: int) -> Tensor:
    if min(x.shape[2:]) <= 2 * crop:
        raise InputError(f'crop={crop} leaves nothing of a grid of size {tuple(x.shape[2:])}.')
    for i, n in enumerate(x.shape[2:]):
        x = x.narrow(i + 2, crop, n - 2 * crop)
    return x


def _central(x: Tensor, axis: int, scheme: str) -> Tensor:
    return linear_map(
        x, partial(_central_forward, axis=axis, scheme=scheme), partial(_central_adjoint, axis=axis, scheme=scheme)
    )


def _edge_weight(scheme: str) -> float:
    """Weight of the one-sided difference at the border."""
    return {'central': 1.0, 'central_replicate': 0.5}.get(scheme, 0.0)


def _central_forward(x: Tensor, axis: int, scheme: str) -> Tensor:
    n = x.shape[axis]
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    inner = out.narrow(axis, 1, n - 2)
    torch.sub(x.narrow(axis, 2, n - 2), x.narrow(axis, 0, n - 2), out=inner).mul_(0.5)
    first, last = out.narrow(axis, 0, 1), out.narrow(axis, n - 1, 1)
    if scheme == 'central_zeros':
        torch.mul(x.narrow(axis, 1, 1), 0.5, out=first)
        torch.mul(x.narrow(axis, n - 2, 1), -0.5, out=last)
    else:
        weight = _edge_weight(scheme)
        torch.sub(x.narrow(axis, 1, 1), x.narrow(axis, 0, 1), out=first).mul_(weight)
        torch.sub(x.narrow(axis, n - 1, 1), x.narrow(axis, n - 2, 1), out=last).mul_(weight)
    return out


def _central_adjoint(grad: Tensor, axis: int, scheme: str) -> Tensor:
    n = grad.shape[axis]
    out = torch.zeros_like(grad, memory_format=torch.contiguous_format)
    inner = grad.narrow(axis, 1, n - 2)
    out.narrow(axis, 2, n - 2).add_(inner, alpha=0.5)
    out.narrow(axis, 0, n - 2).sub_(inner, alpha=0.5)
    first, last = grad.narrow(axis, 0, 1), grad.narrow(axis, n - 1, 1)
    if scheme == 'central_zeros':
        out.narrow(axis, 1, 1).add_(first, alpha=0.5)
        out.narrow(axis, n - 2, 1).sub_(last, alpha=0.5)
        return out
    weight = _edge_weight(scheme)
    out.narrow(axis, 1, 1).add_(first, alpha=weight)
    out.narrow(axis, 0, 1).sub_(first, alpha=weight)
    out.narrow(axis, n - 1, 1).add_(last, alpha=weight)
    out.narrow(axis, n - 2, 1).sub_(last, alpha=weight)
    return out
