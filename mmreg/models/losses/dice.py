"""Overlap of labels: soft Dice and the generalised Dice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmreg.errors import ConfigError, DataError
from mmreg.registry import LOSSES
from mmreg.spatial import resize
from mmreg.spatial.precision import full_precision, without_autocast

from .base import LabelLoss, prepare_mask, same_shape
from .label_overlap import ClassSums, label_overlap


class _DiceBase(LabelLoss):
    """What both Dice losses do before they turn class sums into a number."""

    def __init__(self, squared: bool, background: bool, eps: float) -> None:
        super().__init__()
        self.squared, self.background, self.eps = squared, background, eps

    def forward(self, warped_onehot: Tensor, fixed_onehot: Tensor, mask: Tensor | None = None) -> Tensor:
        """Loss of soft ``warped_onehot`` (N, K, *S) against ``fixed_onehot`` (N, K, *S) or labels (N, 1, *S).

        Integer labels are taken as class numbers 0..K-1; where the sizes differ, ``warped_onehot`` is resized to
        theirs (linear, corner aligned). ``mask`` (N, 1, *S) weights voxels.
        """
        (warped,) = full_precision(warped_onehot)
        with without_autocast(warped):
            if warped.shape[2:] != fixed_onehot.shape[2:]:
                warped = resize(warped, size=tuple(fixed_onehot.shape[2:]))
            fixed = _as_onehot(fixed_onehot, warped)
            same_shape(self, warped=warped, fixed=fixed)
            overlap = class_sums(warped, fixed, prepare_mask(mask, warped), self.squared)
            return self.from_overlap(overlap if self.background else overlap.without_first())

    def from_labels(
        self,
        moving_labels: Tensor,
        fixed_labels: Tensor,
        displacement: Tensor,
        classes: Sequence[int],
        mask: Tensor | None = None,
    ) -> Tensor:
        """The same loss on label maps (N, 1, *S), the moving one warped linearly by ``displacement``.

        Equal to warping the one-hot volume of ``classes`` (the first one is the background) without ever holding it:
        see :func:`label_overlap`. Differentiable in ``displacement`` (N, ndim, *S).
        """
        chosen = list(classes) if self.background else list(classes)[1:]
        return self.from_overlap(label_overlap(moving_labels, fixed_labels, displacement, chosen, self.squared, mask))

    def from_overlap(self, overlap: ClassSums) -> Tensor:
        """The loss from sums per sample and class."""
        raise NotImplementedError


@LOSSES.register_module()
class Dice(_DiceBase):
    r"""Soft Dice loss: ``1 - mean_{n,k} (2 sum_x p t + smooth) / (sum_x p^q + sum_x t^q + eps)``, in [0, 1].

    ``p`` is the warped one-hot volume, ``t`` the fixed one. ``q = 2`` with ``squared``. Samples and classes weigh the
    same. No unit. Source: Milletari et al., 3DV 2016 (squared denominator). Published forms:

    * EOIR's training loss: ``Dice(absent='zero')``; its ``DiceLoss(n, is_square)``: the same with ``squared``.
    * TextSCF, LKU-Net, TransMorph on OASIS: ``Dice(squared=True, absent='zero')``.
    * The spine system: ``Dice(background=False, smooth=1e-5)``.

    Saved for backward: ``p`` and ``t`` by reference, and sums; no further volume.

    Args:
        squared: squares in the denominator.
        background: count channel 0.
        absent: a class in neither volume is left out ('ignore') or counts as no overlap ('zero', as published: a
            constant in the loss). A sample without any class contributes 0.
        eps: added to the denominator.
        smooth: added to the numerator.
    """

    def __init__(
        self,
        squared: bool = False,
        background: bool = True,
        absent: str = 'ignore',
        eps: float = 1e-5,
        smooth: float = 0.0,
    ) -> None:
        super().__init__(squared, background, eps)
        if absent not in ('ignore', 'zero'):
            raise ConfigError(f'Dice: absent={absent!r} is unknown, expected "ignore" or "zero".')
        self.absent, self.smooth = absent, smooth

    def from_overlap(self, overlap: ClassSums) -> Tensor:
        """One minus the mean Dice over sums ``(N, K)``."""
        both = overlap.warped + overlap.fixed
        loss = 1 - (2 * overlap.both + self.smooth) / (both + self.eps)
        if self.absent == 'zero':
            return loss.mean()
        present = (both.detach() > 0).to(loss.dtype)
        return (loss * present).sum() / present.sum().clamp_min(1)


@LOSSES.register_module()
class GeneralisedDice(_DiceBase):
    r"""Generalised Dice: ``1 - mean_n 2 sum_k w_k sum_x p t / (sum_k w_k (sum_x p + sum_x t) + eps)``, in [0, 1].

    ``w_k = 1 / (sum_x t)^2`` (``weighting='square'``), ``1 / sum_x t`` ('simple') or 1 ('uniform'): small structures
    count as much as large ones. A class that the fixed labels lack gets the largest weight of the sample's other
    classes. No unit. Source: Sudre et al., DLMIA 2017. Saved for backward: as :class:`Dice`.

    Args:
        weighting: 'square', 'simple' or 'uniform'.
        background: count channel 0.
        eps: added to the denominator.
    """

    def __init__(self, weighting: str = 'square', background: bool = True, eps: float = 1e-5) -> None:
        super().__init__(False, background, eps)
        powers = {'square': 2, 'simple': 1, 'uniform': 0}
        if weighting not in powers:
            raise ConfigError(f'GeneralisedDice: weighting={weighting!r} is unknown, expected {list(powers)}.')
        self.power = powers[weighting]

    def from_overlap(self, overlap: ClassSums) -> Tensor:
        """One minus the Dice of sums ``(N, K)`` weighted by the classes' sizes."""
        size = overlap.fixed.detach()
        weight = torch.where(size > 0, size.clamp_min(torch.finfo(size.dtype).tiny) ** -self.power, 0)
        weight = torch.where(size > 0, weight, weight.amax(1, keepdim=True))
        # relative weights: the eps then means the same for a large and for a small structure
        weight = weight / weight.amax(1, keepdim=True).clamp_min(torch.finfo(size.dtype).tiny)
        both = (weight * (overlap.warped + overlap.fixed)).sum(1)
        loss = 1 - 2 * (weight * overlap.both).sum(1) / (both + self.eps)
        return (loss * (both.detach() > 0)).mean()


def class_sums(warped: Tensor, fixed: Tensor, mask: Tensor | None = None, squared: bool = False) -> ClassSums:
    """Sums over space of two soft one-hot volumes (N, K, *S): their product, and each (squared if asked)."""
    return ClassSums(*_ClassSums.apply(warped, fixed, mask, squared))


class _ClassSums(torch.autograd.Function):
    """Class by class, so that a product never takes more than one channel; the backward needs ``p``, ``t`` only."""

    @staticmethod
    def forward(ctx: Any, warped: Tensor, fixed: Tensor, weight: Tensor | None, squared: bool) -> tuple[Tensor, ...]:
        ctx.save_for_backward(warped, fixed, weight)
        ctx.squared = squared
        sums = warped.new_empty(3, *warped.shape[:2])
        for k in range(warped.shape[1]):
            p, t = warped[:, k], fixed[:, k].to(warped.dtype)
            values = (p * t, p * p if squared else p, t * t if squared else t)
            for row, value in enumerate(values):
                value = value if weight is None else value * weight[:, 0]
                sums[row, :, k] = value.flatten(1).sum(1)
        return sums.unbind(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_both: Tensor, grad_warped: Tensor, grad_fixed: Tensor) -> tuple[Tensor | None, ...]:
        warped, fixed, weight = ctx.saved_tensors
        shape = (*grad_both.shape, *[1] * (warped.dim() - 2))

        def gradient(this: Tensor, other: Tensor, own: Tensor) -> Tensor:
            grad = other.to(warped.dtype) * grad_both.view(shape)
            grad = (
                grad.addcmul_(this.to(warped.dtype), 2 * own.view(shape)) if ctx.squared else grad.add_(own.view(shape))
            )
            return grad if weight is None else grad.mul_(weight)

        return (
            gradient(warped, fixed, grad_warped) if ctx.needs_input_grad[0] else None,
            gradient(fixed, warped, grad_fixed) if ctx.needs_input_grad[1] else None,
            None,
            None,
        )


def _as_onehot(fixed: Tensor, like: Tensor) -> Tensor:
    """Integer labels (N, 1, *S) as one-hot (bool) with the channels of ``like``; anything else as it is."""
    if fixed.is_floating_point() or fixed.shape[1] == like.shape[1]:
        return fixed
    if fixed.shape[1] != 1:
        raise DataError(f'Dice: fixed labels of shape {tuple(fixed.shape)}, expected (N, 1, *S) or one-hot.')
    classes = torch.arange(like.shape[1], device=fixed.device).view(1, -1, *[1] * (fixed.dim() - 2))
    return fixed == classes
