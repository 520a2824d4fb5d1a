"""The pull-back: images, features and fields sampled at displaced positions, and values at points."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from mmreg.errors import InputError

from ._checks import PADDINGS, Padding, check_field, check_padding, coordinate_dtype, spatial_ndim
from .compiled.warping import (
    serves_slopes,
    serves_warp,
    warp_backward,
    warp_forward,
    warp_with_slopes,
    zero_gradient,
)
from .constants import constant
from .grid import axis_index, grid_adjoint, half_extent, identity_grid, write_grid
from .precision import without_autocast

MODES = ('linear', 'nearest')
_slopes_kept: ContextVar[bool] = ContextVar('mmreg_slopes_kept', default=False)


def warp(image: Tensor, displacement: Tensor, mode: str = 'linear', padding: Padding = 'zeros') -> Tensor:
    """Warp an image by a displacement: ``warped(x) = image(x + displacement(x))``.

    Args:
        image: ``(N, C, *spatial)``; an integer or boolean tensor only with ``mode='nearest'``.
        displacement: ``(N, ndim, *spatial)`` on the same grid, voxels, component order = axis order. A batch of one
            (image or displacement) serves all samples of the other.
        mode: 'linear' (multilinear) or 'nearest'.
        padding: value outside the volume: 'zeros', or 'border' for the nearest voxel of the volume.

    Returns:
        ``(N, C, *spatial)`` in the dtype of ``image``. Positions are float32 even under autocast (float64 for float64).

    Raises:
        InputError: shapes do not match, unknown mode or padding, integers to be interpolated as numbers.

    Source: spatial transformer (Jaderberg et al. 2015) with aligned corners; golden eoir/ops ``warp_*``.

    Example:
        >>> image = torch.arange(4.0).view(1, 1, 1, 4)
        >>> shift = torch.zeros(1, 2, 1, 4)
        >>> shift[:, 1] = 1
        >>> warp(image, shift).tolist()
        [[[[1.0, 2.0, 3.0, 0.0]]]]
    """
    _check_pair(image, displacement, mode)
    check_padding(padding)
    if mode == 'nearest':
        return _warp_nearest(image, displacement, padding)
    return linear_warp(image, displacement, padding)


@contextmanager
def keeping_slopes() -> Iterator[None]:
    """Inside the block, warps of one channel by a field that wants a gradient keep three volumes for it.

    The image is looked at once instead of twice; for whoever runs backward at once, as an optimisation does.

    Example:
        >>> field = torch.zeros(1, 3, 2, 2, 2, requires_grad=True)
        >>> with keeping_slopes():
        ...     warp(torch.arange(8.0).view(1, 1, 2, 2, 2), field).sum().backward()
        >>> field.grad[0, :, 0, 0, 0].tolist()
        [4.0, 2.0, 1.0]
    """
    before = _slopes_kept.set(True)
    try:
        yield
    finally:
        _slopes_kept.reset(before)


class _LinearWarp(torch.autograd.Function):
    """Linear warp that keeps the image and the displacement only: the sampling grid is made again when needed."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, displacement: Tensor, padding: int) -> Tensor:
        ctx.padding, ctx.with_slopes = padding, False
        if _slopes_kept.get() and ctx.needs_input_grad[:2] == (False, True) and serves_slopes(image, displacement):
            out, slopes = warp_with_slopes(image, displacement, bool(padding))
            ctx.with_slopes = True
            ctx.save_for_backward(slopes)
            return out
        ctx.save_for_backward(image, displacement)
        if serves_warp(image, displacement):
            return warp_forward(image, displacement, bool(padding))
        return torch.grid_sampler(image, write_grid(displacement), 0, padding, True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        if ctx.with_slopes:
            (slopes,) = ctx.saved_tensors
            return None, slopes * grad, None
        image, displacement = ctx.saved_tensors
        needs = list(ctx.needs_input_grad[:2])
        if serves_warp(image, displacement):
            to_image = zero_gradient(image) if needs[0] else None
            to_field = torch.zeros(displacement.shape, device=displacement.device) if needs[1] else None
            warp_backward(grad, image, displacement, bool(ctx.padding), to_image, to_field)
            return to_image, to_field, None
        ops = torch.ops.aten
        sampler = ops.grid_sampler_2d_backward if image.dim() == 4 else ops.grid_sampler_3d_backward
        grid = write_grid(displacement)
        to_image, to_grid = sampler(grad, image, grid, 0, ctx.padding, True, needs)
        return to_image if needs[0] else None, grid_adjoint(to_grid) if needs[1] else None, None


def linear_warp(image: Tensor, displacement: Tensor, padding: Padding) -> Tensor:
    """:func:`warp` in linear mode on ``(N, C, *spatial)`` without checks, in float32 or float64 whatever the autocast
    state.

    Example:
        >>> linear_warp(torch.ones(1, 1, 4, 4), torch.zeros(1, 2, 4, 4), 'zeros').mean().item()
        1.0
    """
    dtype = coordinate_dtype(image, displacement)
    source, field = image.to(dtype), displacement.to(dtype)
    if image.shape[0] != displacement.shape[0]:
        batch = max(image.shape[0], displacement.shape[0])
        source, field = source.expand(batch, *source.shape[1:]), field.expand(batch, *field.shape[1:])
    with without_autocast(image):
        if torch.compiler.is_compiling() and source is field:  # a graph takes no tensor twice
            field = field.view_as(field)
        out: Tensor = _LinearWarp.apply(source, field, PADDINGS.index(padding))  # type: ignore[no-untyped-call]
    return out.to(image.dtype)


def _check_pair(image: Tensor, displacement: Tensor, mode: str) -> None:
    check_field(displacement)
    if mode not in MODES:
        raise InputError(f'mode is {mode!r}, expected one of {MODES}.')
    if image.shape[2:] != displacement.shape[2:]:
        raise InputError(
            f'displacement lives on a grid of size {tuple(displacement.shape[2:])}, '
            f'expected the size of the image {tuple(image.shape[2:])}.'
        )
    if image.shape[0] != displacement.shape[0] and 1 not in (image.shape[0], displacement.shape[0]):
        raise InputError(f'displacement has batch size {displacement.shape[0]}, expected 1 or {image.shape[0]}.')
    if mode == 'linear' and not image.is_floating_point():
        raise InputError(
            f"image has dtype {image.dtype}, expected floating point: labels are warped with mode='nearest' "
            f'or warp_labels, never interpolated as numbers.'
        )


def nearest_index(displacement: Tensor, padding: Padding) -> tuple[Tensor, Tensor | None]:
    """Flat index of the voxel nearest to ``x + displacement(x)``.

    Returns:
        index ``(N, V)`` int64 and, for 'zeros', a mask ``(N, V)`` that is True inside the volume (else None).
        Half-way positions go to the even index, as in ``grid_sample``.

    Example:
        >>> index, inside = nearest_index(torch.zeros(1, 2, 2, 2), 'zeros')
        >>> index.tolist(), inside.tolist()
        ([[0, 1, 2, 3]], [[True, True, True, True]])
    """
    size = displacement.shape[2:]
    dtype = coordinate_dtype(displacement)
    flat = torch.zeros((displacement.shape[0], *size), dtype=torch.int64, device=displacement.device)
    inside: Tensor | None = None
    for i, n in enumerate(size):
        position = axis_index(size, i, device=displacement.device, dtype=dtype) + displacement[:, i].detach().to(dtype)
        position.round_()
        if padding == 'zeros':
            valid = (position >= 0) & (position <= n - 1)
            inside = valid if inside is None else inside.logical_and_(valid)
        index = position.nan_to_num_(nan=0.0).clamp_(0, n - 1).long()
        flat.mul_(n).add_(index)
    return flat.flatten(1), None if inside is None else inside.flatten(1)


def _warp_nearest(image: Tensor, displacement: Tensor, padding: Padding) -> Tensor:
    """Nearest-neighbour warp by integer look-up: exact for any dtype, differentiable towards the image only."""
    batch = max(image.shape[0], displacement.shape[0])
    index, inside = nearest_index(displacement, padding)
    channels = image.shape[1]
    source = image.flatten(2).expand(batch, -1, -1)
    out = source.gather(2, index.unsqueeze(1).expand(batch, channels, -1))
    if inside is not None:
        out = out.masked_fill(~inside.unsqueeze(1), 0)
    return out.view(batch, channels, *image.shape[2:])


def sample(image: Tensor, points: Tensor, padding: Padding = 'zeros') -> Tensor:
    """Linear interpolation of an image or field at points.

    Args:
        image: ``(N, C, *spatial)`` floating point.
        points: ``(N, P, ndim)`` voxel coordinates, component order = axis order.
        padding: 'zeros' or 'border', as in :func:`warp`.

    Returns:
        ``(N, C, P)`` in the dtype of ``image``. Landmarks of the fixed image move into the moving image by
        ``points + sample(displacement, points).mT``.

    Raises:
        InputError: shapes do not match or unknown padding.

    Example:
        >>> image = torch.arange(6.0).view(1, 1, 2, 3)
        >>> sample(image, torch.tensor([[[1.0, 0.5]]])).tolist()
        [[[3.5]]]
    """
    ndim = spatial_ndim(image, 'image')
    check_padding(padding)
    if points.dim() != 3 or points.shape[-1] != ndim:
        raise InputError(f'points have shape {tuple(points.shape)}, expected (N, P, {ndim}) voxel coordinates.')
    dtype = coordinate_dtype(image, points)
    halves = constant([half_extent(n) for n in image.shape[2:]], points, dtype)
    grid = (points.to(dtype) / halves - 1.0).flip(-1).view(*points.shape[:2], *[1] * (ndim - 1), ndim)
    batch = max(image.shape[0], points.shape[0])
    source, grid = image.to(dtype).expand(batch, *image.shape[1:]), grid.expand(batch, *grid.shape[1:])
    with without_autocast(image):
        out = F.grid_sample(source, grid, mode='bilinear', padding_mode=padding, align_corners=True)
    return out.flatten(2).to(image.dtype)


def warp_across(image: Tensor, displacement: Tensor, padding: Padding = 'zeros') -> Tensor:
    """Warp an image of another resolution: read it where the displaced voxels of the field's grid lie.

    Both grids have the same extent, with aligned corners: voxel ``x`` of the field's grid, of size ``m``, is
    ``x (n - 1) / (m - 1)`` of the image's. On equal grids this is :func:`warp`.

    Args:
        image: ``(N, C, *image_spatial)`` floating point.
        displacement: ``(N, ndim, *spatial)``, voxels of its own grid.
        padding: 'zeros' or 'border', as in :func:`warp`.

    Returns:
        ``(N, C, *spatial)`` in the dtype of ``image``.

    Raises:
        InputError: not a field or unknown padding.

    Source: the images that LapIRN compares at its coarser levels; golden baselines/lapirn_* ``lvl1_warped``.

    Example:
        >>> warp_across(torch.ones(1, 1, 8, 8), torch.zeros(1, 2, 4, 4)).shape
        torch.Size([1, 1, 4, 4])
    """
    ndim = check_field(displacement)
    size, full = displacement.shape[2:], image.shape[2:]
    if size == full:
        return warp(image, displacement, padding=padding)
    dtype = coordinate_dtype(image, displacement)
    ratio = constant([(n - 1) / max(m - 1, 1) for n, m in zip(full, size)], image, dtype)
    points = identity_grid(size, device=image.device, dtype=dtype) + displacement.to(dtype)
    return sample(image, points.flatten(2).mT * ratio, padding).view(-1, image.shape[1], *size[:ndim])
