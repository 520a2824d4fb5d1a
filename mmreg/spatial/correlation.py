"""Correlation volumes of two feature maps, and the displacement that a softmax over one finds.

The local volume is never unfolded: forward and backward are shifted products, walked in blocks that fit a processor's
cache, and only the two feature maps are kept. The three functions that make it are bilinear and each other's
derivatives, so any order of derivative exists.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg.errors import InputError

from ._checks import Padding, check_padding, coordinate_dtype, per_axis, spatial_ndim
from .grid import identity_grid
from .precision import without_autocast

#: Elements of a block of features on a CPU: features, a shifted view and their product fit the second-level cache.
BLOCK = 1 << 18
_OUTSIDE = -1e9


def local_correlation(
    fixed: Tensor,
    moving: Tensor,
    radius: int | Sequence[int] = 1,
    normalise: bool = False,
    scale: bool = True,
    padding: Padding = 'zeros',
) -> Tensor:
    """Scalar products of every fixed feature with the moving features around it.

    ``volume_c(p) = s * sum_k fixed_k(p) * moving_k(p + o_c)``, offsets ``o_c`` from ``-radius`` to ``radius``, last
    axis fastest, ``s = C^(-1/2)`` or 1.

    Args:
        fixed, moving: ``(N, C, *spatial)`` features of equal shape.
        radius: voxels, one number or one per axis.
        normalise: divide both features by their length over the channels (at least 1e-12) first.
        scale: multiply by ``C^(-1/2)``.
        padding: ``moving`` outside the volume: 'zeros' or 'border'.

    Returns:
        ``(N, prod(2 radius + 1), *spatial)``, float32 or float64, also under autocast. Kept for backward: the
        two feature maps.

    Raises:
        InputError: shapes differ, the radius is no positive integer, unknown padding.

    Source: PWC-Net (Sun et al., CVPR 2018) in 2-D and 3-D; golden pyramid_designs/correlation.

    Example:
        >>> local_correlation(torch.rand(1, 4, 8, 8), torch.rand(1, 4, 8, 8), radius=1).shape
        torch.Size([1, 9, 8, 8])
    """
    radii = _radii(fixed, moving, radius)
    fixed, moving = _prepared(fixed, moving, normalise)
    margin = (0,) * len(radii)
    if check_padding(padding) == 'border':
        margin = radii
        moving = F.pad(moving, [r for r in reversed(radii) for _ in range(2)], mode='replicate')
    window = _Window(radii, margin, fixed.shape[1] ** -0.5 if scale else 1.0)
    return _Volume.apply(fixed, moving, window)  # type: ignore[no-untyped-call]


def global_correlation(fixed: Tensor, moving: Tensor, normalise: bool = False, scale: bool = True) -> Tensor:
    """Scalar products of every fixed feature with every moving feature: ``volume_j(p) = s <fixed(p), moving(q_j)>``.

    Args:
        fixed: ``(N, C, *spatial)`` features.
        moving: ``(N, C, *candidates)`` features, on a grid of any size.
        normalise, scale: as in :func:`local_correlation`.

    Returns:
        ``(N, prod(candidates), *spatial)``, candidates in row-major order.

    Raises:
        InputError: batch or channels differ.

    Example:
        >>> global_correlation(torch.rand(1, 4, 3, 5), torch.rand(1, 4, 3, 5)).shape
        torch.Size([1, 15, 3, 5])
    """
    _check_channels(fixed, moving)
    fixed, moving = _prepared(fixed, moving, normalise)
    with without_autocast(fixed):
        volume = torch.bmm(moving.flatten(2).transpose(1, 2), fixed.flatten(2))
    if scale:
        volume = volume * fixed.shape[1] ** -0.5
    return volume.view(fixed.shape[0], -1, *fixed.shape[2:])


def softmax_matching(
    fixed: Tensor, moving: Tensor, radius: int | Sequence[int] | None = 3, normalise: bool = True, scale: bool = True
) -> Tensor:
    """Expected offset under a softmax over the correlations: attention whose values are coordinates.

    ``u(p) = sum_c w_c(p) q_c - p`` with ``w = softmax(volume(p))`` over the candidates ``q_c``: those of a window (the
    ones outside the volume left out), or every voxel.

    Args:
        fixed, moving: ``(N, C, *spatial)`` features of equal shape.
        radius: of the window in voxels, one number or one per axis; None: every voxel.
        normalise, scale: as in :func:`local_correlation`.

    Returns:
        Displacement ``(N, ndim, *spatial)``, voxels, fixed -> moving.

    Raises:
        InputError: shapes differ, the radius is no positive integer.

    Source: golden pyramid_designs/correlation ``match*``.

    Example:
        >>> softmax_matching(torch.rand(1, 4, 8, 8), torch.rand(1, 4, 8, 8), radius=2).shape
        torch.Size([1, 2, 8, 8])
    """
    with without_autocast(fixed):
        if radius is None:
            return _match_everywhere(fixed, moving, normalise, scale)
        return _match_window(fixed, moving, _radii(fixed, moving, radius), normalise, scale)


def _match_window(fixed: Tensor, moving: Tensor, radii: tuple[int, ...], normalise: bool, scale: bool) -> Tensor:
    logits = local_correlation(fixed, moving, radii, normalise, scale)
    ones = logits.new_ones(1, 1, *fixed.shape[2:])
    inside = local_correlation(ones, ones, radii, scale=False)
    weights = torch.softmax(logits + (1 - inside) * _OUTSIDE, dim=1)
    offsets = logits.new_tensor(_offsets(radii))
    return torch.einsum('nk...,ki->ni...', weights, offsets)


def _match_everywhere(fixed: Tensor, moving: Tensor, normalise: bool, scale: bool) -> Tensor:
    """As an attention, which need not hold the volume."""
    _radii(fixed, moving, 1)
    fixed, moving = _prepared(fixed, moving, normalise)
    size = fixed.shape[2:]
    grid = identity_grid(size, device=fixed.device, dtype=fixed.dtype)
    keys, queries = moving.flatten(2).transpose(1, 2), fixed.flatten(2).transpose(1, 2)
    values = grid.flatten(1).t().expand(len(fixed), -1, -1)
    factor = fixed.shape[1] ** -0.5 if scale else 1.0
    expected = F.scaled_dot_product_attention(queries[:, None], keys[:, None], values[:, None], scale=factor)[:, 0]
    return expected.transpose(1, 2).reshape(-1, len(size), *size) - grid


@dataclass(frozen=True)
class _Window:
    """Offsets ``-radii .. radii``; the searched features have ``margin`` more voxels on either side of each axis."""

    radii: tuple[int, ...]
    margin: tuple[int, ...]
    factor: float

    def shifts(self, anchor: Sequence[int], search: Sequence[int], slab: slice) -> Iterator[tuple[int, Any, Any]]:
        """Per offset its channel and the views of anchor and searched features that meet, anchors within ``slab``."""
        for channel, offset in enumerate(_offsets(self.radii)):
            here, there = [], []
            for axis, (n, m) in enumerate(zip(anchor, search)):
                shift = offset[axis] + self.margin[axis]
                first, last = (slab.start, slab.stop) if axis == 0 else (0, n)
                first, last = max(first, -shift), min(last, m - shift)
                here.append(slice(first, max(first, last)))
                there.append(slice(first + shift, max(first, last) + shift))
            if all(part.stop > part.start for part in here):
                every = (slice(None), slice(None))
                yield channel, (*every, *here), (*every, *there)

    def slabs(self, features: Tensor) -> Iterator[slice]:
        """Parts of the first axis whose features fit a block."""
        n = features.shape[2]
        step = n
        if features.device.type == 'cpu':
            step = max(1, BLOCK * n // max(features.numel(), 1))
        for first in range(0, n, step):
            yield slice(first, min(n, first + step))


class _Volume(torch.autograd.Function):
    """``v_c(p) = s sum_k x_k(p) y_k(p + o_c)``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, window: _Window) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.window = window
        volume = x.new_zeros(x.shape[0], len(_offsets(window.radii)), *x.shape[2:])
        for slab in window.slabs(x):
            for channel, here, there in window.shifts(x.shape[2:], y.shape[2:], slab):
                target = volume[:, channel : channel + 1][here]
                torch.sum(x[here] * y[there], dim=1, keepdim=True, out=target)
        return volume if window.factor == 1 else volume.mul_(window.factor)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        x, y = ctx.saved_tensors
        to_x = _ToAnchor.apply(grads[0], y, ctx.window) if ctx.needs_input_grad[0] else None  # type: ignore
        to_y = _ToSearch.apply(grads[0], x, ctx.window) if ctx.needs_input_grad[1] else None  # type: ignore
        return to_x, to_y, None


class _ToAnchor(torch.autograd.Function):
    """``x_k(p) = s sum_c v_c(p) y_k(p + o_c)``."""

    @staticmethod
    def forward(ctx: Any, volume: Tensor, y: Tensor, window: _Window) -> Tensor:
        ctx.save_for_backward(volume, y)
        ctx.window = window
        x = y.new_zeros(*y.shape[:2], *volume.shape[2:])
        for slab in window.slabs(x):
            for channel, here, there in window.shifts(x.shape[2:], y.shape[2:], slab):
                x[here].addcmul_(volume[:, channel : channel + 1][here], y[there], value=window.factor)
        return x

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        volume, y = ctx.saved_tensors
        return _Volume.apply(grads[0], y, ctx.window), _ToSearch.apply(volume, grads[0], ctx.window), None  # type: ignore


class _ToSearch(torch.autograd.Function):
    """``y_k(q) = s sum_c v_c(q - o_c) x_k(q - o_c)``."""

    @staticmethod
    def forward(ctx: Any, volume: Tensor, x: Tensor, window: _Window) -> Tensor:
        ctx.save_for_backward(volume, x)
        ctx.window = window
        y = x.new_zeros(*x.shape[:2], *[n + 2 * m for n, m in zip(x.shape[2:], window.margin)])
        for slab in window.slabs(x):
            for channel, here, there in window.shifts(x.shape[2:], y.shape[2:], slab):
                y[there].addcmul_(volume[:, channel : channel + 1][here], x[here], value=window.factor)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        volume, x = ctx.saved_tensors
        return _Volume.apply(x, grads[0], ctx.window), _ToAnchor.apply(volume, grads[0], ctx.window), None  # type: ignore


def _offsets(radii: Sequence[int]) -> list[tuple[int, ...]]:
    return list(itertools.product(*[range(-r, r + 1) for r in radii]))


def _radii(fixed: Tensor, moving: Tensor, radius: int | Sequence[int]) -> tuple[int, ...]:
    ndim = spatial_ndim(fixed, 'fixed')
    if fixed.shape != moving.shape:
        raise InputError(f'moving has the shape {tuple(moving.shape)}, expected that of fixed, {tuple(fixed.shape)}.')
    radii = per_axis(radius, ndim, 'radius')
    if any(r != int(r) or r < 0 for r in radii) or math.prod(2 * int(r) + 1 for r in radii) == 1:
        raise InputError(f'radius is {radius!r}, expected positive integers.')
    return tuple(int(r) for r in radii)


def _check_channels(fixed: Tensor, moving: Tensor) -> None:
    spatial_ndim(fixed, 'fixed')
    if fixed.shape[:2] != moving.shape[:2] or fixed.dim() != moving.dim():
        raise InputError(
            f'moving has the shape {tuple(moving.shape)}, expected the batch, channels and axes of fixed, '
            f'{tuple(fixed.shape)}.'
        )


def _prepared(fixed: Tensor, moving: Tensor, normalise: bool) -> tuple[Tensor, Tensor]:
    dtype = coordinate_dtype(fixed, moving)
    fixed, moving = fixed.to(dtype), moving.to(dtype)
    if normalise:
        return F.normalize(fixed, dim=1, eps=1e-12), F.normalize(moving, dim=1, eps=1e-12)
    return fixed, moving
