"""Images at scattered points, and joint histograms of what they show there, by the kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .library import call, has, serves


def serves_points(volume: Tensor, points: Tensor) -> bool:
    """Whether the functions of this module take them: float32 on the CPU, and an image has three axes.

    Args:
        volume: An image ``(1, C, D, H, W)``, or its values at points ``(B, C, P)``.
        points: ``(B, 3, P)`` positions, or weights ``(B, P)``.
    """
    return (
        has('mmreg_points', 'mmreg_histogram', 'mmreg_histogram_gradient')
        and serves(volume, points)
        and (volume.dim() == 3 or (volume.dim() == 5 and len(volume) == 1))
    )


def at_points(image: Tensor, position: Tensor) -> Tensor:
    """Linear interpolation at points, outside the nearest voxel; differentiable by the position.

    Args:
        image: ``(1, C, D, H, W)``.
        position: ``(B, 3, P)``, voxels from the middle.

    Returns:
        ``(B, C, P)``.
    """
    return _AtPoints.apply(position, image)  # type: ignore[no-untyped-call, no-any-return]


class _AtPoints(torch.autograd.Function):
    """The slopes are found with the values: one look at the eight voxels around a point."""

    @staticmethod
    def forward(ctx: Any, position: Tensor, image: Tensor) -> Tensor:
        position, image = position.contiguous(), image.contiguous()
        maps, _, points = position.shape
        channels = image.shape[1]
        out = torch.empty(maps, channels, points)
        slopes = torch.empty(maps, channels, 3, points) if ctx.needs_input_grad[0] else None
        call('mmreg_points', image, position, out, slopes, channels, list(image.shape[2:]), maps, points)
        ctx.save_for_backward(slopes)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (slopes,) = ctx.saved_tensors
        return (slopes * grad[:, :, None]).sum(1), None


def histogram(values: Tensor, weights: Tensor, rows: Tensor, bins: int) -> Tensor:
    """Joint histograms ``(B, C, bins, bins)``; values count by a cubic B-spline along the last axis.

    Args:
        values: ``(B, C, P)`` in [0, 1].
        weights: ``(B, P)``.
        rows: ``(C, P)`` int64: of each point the first bin of its row, a multiple of ``bins``.
        bins: Four or more.
    """
    joint = torch.zeros(*values.shape[:2], bins, bins)
    call('mmreg_histogram', values.contiguous(), weights.contiguous(), rows.contiguous(), joint, *values.shape, bins)
    return joint


def histogram_gradient(
    values: Tensor, weights: Tensor, rows: Tensor, slope: Tensor, outer: Tensor, bins: int
) -> tuple[Tensor, Tensor]:
    """Gradients ``(B, C, P)`` by values and by weights of scores of :func:`histogram`.

    Args:
        values: As given to :func:`histogram`.
        weights: The same.
        rows: The same.
        slope: ``(B * C, bins, bins)``, derivatives of the scores by the histograms.
        outer: ``(B, C)``, gradient by the scores.
        bins: Four or more.
    """
    to_values, to_weights = torch.empty(values.shape), torch.empty(values.shape)
    call(
        'mmreg_histogram_gradient', values.contiguous(), weights.contiguous(), rows.contiguous(), slope.contiguous(),
        outer.contiguous(), to_values, to_weights, *values.shape, bins,
    )  # fmt: skip
    return to_values, to_weights
