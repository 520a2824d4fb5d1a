"""The diffusion regulariser: forward differences of a field, with a closed-form gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmreg.errors import ConfigError
from mmreg.registry import LOSSES
from mmreg.spatial.constants import constant

from .field_base import FieldLoss, forward_difference

Scales = Sequence[Sequence[float]]


@LOSSES.register_module()
class Diffusion(FieldLoss):
    r"""Smoothness by first differences: ``mean_a mean_{n,i,x} | f_ia (u_i(x + e_a) - u_i(x)) |^p``, in [0, inf).

    ``p`` is 1 or 2, ``f_ia`` the unit's factor (:class:`FieldLoss`). Every axis is averaged over its own pairs of
    neighbours, then the axes are averaged. Source: VoxelMorph, EOIR, LKU-Net, TextSCF and the spine system (whose
    ``loss_mult`` is part of the weight here). LapIRN's equals ``unit='voxel'`` with 4 times the weight.

    ``reduction='energy'`` is GraDIRN's: the sum over all components and axes, averaged over *all* voxels (the last
    difference of an axis counts as 0); the mask multiplies as a weight map. Otherwise a mask (N, 1, *S) makes each
    mean a weighted one, a pair weighing the product of its two voxels.

    Saved for backward: the field (and the mask), by reference; no other buffer.

    Args:
        penalty: 'l1' or 'l2'.
        unit: 'voxel', 'normalised', 'mm' or 'lku'.
        spacing: voxel size in mm for ``unit='mm'``.
        reduction: 'mean' or 'energy'.
    """

    def __init__(
        self,
        penalty: str = 'l2',
        unit: str = 'voxel',
        spacing: float | Sequence[float] | None = None,
        reduction: str = 'mean',
    ) -> None:
        super().__init__(unit, spacing)
        if penalty not in ('l1', 'l2'):
            raise ConfigError(f'Diffusion: penalty={penalty!r} is unknown, expected "l1" or "l2".')
        if reduction not in ('mean', 'energy'):
            raise ConfigError(f'Diffusion: reduction={reduction!r} is unknown, expected "mean" or "energy".')
        self.power = int(penalty[1])
        self.reduction = reduction

    def penalty(self, field: Tensor, labels: Tensor | None, mask: Tensor | None) -> Tensor:
        """Mean power of the first differences of ``field`` ``(N, ndim, *S)``."""
        value, step = self.lengths(field.shape[2:])
        scales = [[(v / s) ** self.power for v in value] for s in step]
        return _Differences.apply(field, mask, scales, self.power, self.reduction == 'energy')


class _Differences(torch.autograd.Function):
    """``sum_a c_a sum_{n,i,x} w_a |s_ai d_ai|^p`` with ``d`` the forward differences along axis ``a``."""

    @staticmethod
    def forward(ctx: Any, field: Tensor, mask: Tensor | None, scales: Scales, power: int, energy: bool) -> Tensor:
        ctx.save_for_backward(field, mask)
        ctx.settings = scales, power, energy
        total = field.new_zeros(())
        for axis, scale in enumerate(scales):
            if field.shape[axis + 2] < 2:
                continue
            weight, factor = _pair_weight(field, mask, axis, energy)
            total += factor * _power_sum(forward_difference(field, axis), weight, scale, power)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        field, mask = ctx.saved_tensors
        scales, power, energy = ctx.settings
        grad = torch.zeros_like(field)
        for axis, scale in enumerate(scales):
            dim, pairs = axis + 2, field.shape[axis + 2] - 1
            if pairs < 1:
                continue
            weight, factor = _pair_weight(field, mask, axis, energy)
            slope = forward_difference(field, axis)
            slope = slope.sign_() if power == 1 else slope
            slope *= _per_component(scale, field, power * factor * grad_output)
            if weight is not None:
                slope *= weight
            grad.narrow(dim, 1, pairs).add_(slope)
            grad.narrow(dim, 0, pairs).sub_(slope)
        return grad, None, None, None, None


def _pair_weight(field: Tensor, mask: Tensor | None, axis: int, energy: bool) -> tuple[Tensor | None, float | Tensor]:
    """Weight of each pair of neighbours (None: all 1) and the factor that turns the weighted sum into the mean."""
    ndim, dim, pairs = field.dim() - 2, axis + 2, field.shape[axis + 2] - 1
    voxels = field.numel() // ndim
    if energy:
        return None if mask is None else mask.narrow(dim, 0, pairs), 1.0 / voxels
    if mask is None:
        return None, 1.0 / (voxels // field.shape[dim] * pairs * ndim * ndim)
    weight = mask.narrow(dim, 0, pairs) * mask.narrow(dim, 1, pairs)
    total = weight.sum() * (field.shape[0] // mask.shape[0]) * ndim * ndim
    return weight, torch.where(total > 0, 1 / total, 0)


def _power_sum(difference: Tensor, weight: Tensor | None, scale: Sequence[float], power: int) -> Tensor:
    """``sum s_i w |d_i|^p``; overwrites ``difference``."""
    magnitude = difference.abs_() if power == 1 else difference.square_()
    if weight is not None:
        magnitude *= weight
    per_component = magnitude.sum(dim=[0, *range(2, magnitude.dim())])
    return per_component @ constant(scale, per_component)


def _per_component(scale: Sequence[float], field: Tensor, factor: Tensor) -> Tensor:
    """``factor * scale`` shaped to multiply (N, ndim, *S)."""
    values = constant(scale, field) * factor
    return values.view(1, -1, *[1] * (field.dim() - 2))
