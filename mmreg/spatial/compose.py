"""Two displacements in a row as one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ._checks import PADDINGS, Padding, check_field, check_padding, coordinate_dtype
from .compiled.warping import serves_warp, warp_backward, warp_forward
from .precision import without_autocast
from .warp import warp


def compose(outer: Tensor, inner: Tensor, padding: Padding = 'zeros') -> Tensor:
    """The displacement of the map ``id + outer`` after ``id + inner``: ``inner(x) + outer(x + inner(x))``.

    An image warped by ``outer`` and then by ``inner`` is the image warped once by the result.

    Args:
        outer: ``(N, ndim, *spatial)`` voxels; applied second to a point, first to an image.
        inner: ``(N, ndim, *spatial)`` voxels, on the same grid.
        padding: ``outer`` outside the volume: 'zeros' or 'border'.

    Returns:
        ``(N, ndim, *spatial)`` voxels, float32 or float64.

    Raises:
        InputError: shapes do not match or unknown padding.

    Source: golden eoir/ops ``compose``.

    Example:
        >>> shift = torch.zeros(1, 2, 5, 5)
        >>> shift[:, 0] = 1
        >>> compose(shift, shift)[0, :, 1, 1].tolist()
        [2.0, 0.0]
    """
    dtype = coordinate_dtype(outer, inner)
    outer, inner = outer.to(dtype), inner.to(dtype)
    if outer.shape == inner.shape and serves_warp(outer, inner):
        check_field(inner)
        check_padding(padding)
        with without_autocast(outer):
            return _composed(outer, inner, PADDINGS.index(padding))
    return warp(outer, inner, 'linear', padding).add_(inner)


def _composed(outer: Tensor, inner: Tensor, padding: int) -> Tensor:
    if outer is inner:
        return _Squared.apply(outer, padding)  # type: ignore[no-untyped-call]
    return _Composed.apply(outer, inner, padding)  # type: ignore[no-untyped-call]


class _Composed(torch.autograd.Function):
    """The warp and the sum in one pass over memory."""

    @staticmethod
    def forward(ctx: Any, outer: Tensor, inner: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(outer, inner)
        ctx.padding = padding
        return warp_forward(outer, inner, bool(padding), composed=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        outer, inner = ctx.saved_tensors
        first, second = ctx.needs_input_grad[:2]
        to_inner = grad.clone(memory_format=torch.contiguous_format) if second else None
        to_outer = torch.zeros(outer.shape, device=outer.device) if first else None
        warp_backward(grad, outer, inner, bool(ctx.padding), to_outer, to_inner)
        return to_outer, to_inner, None


class _Squared(torch.autograd.Function):
    """A field composed with itself: one gradient, added up in place."""

    @staticmethod
    def forward(ctx: Any, field: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(field)
        ctx.padding = padding
        return warp_forward(field, field, bool(padding), composed=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (field,) = ctx.saved_tensors
        total = grad.clone(memory_format=torch.contiguous_format)
        warp_backward(grad, field, field, bool(ctx.padding), total, total)
        return total, None
