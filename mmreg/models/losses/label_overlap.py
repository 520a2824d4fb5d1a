"""Sums of linearly warped labels against fixed labels, without the one-hot volumes.

A linearly warped one-hot volume is non-zero, at each voxel, for the labels of the 2^ndim corners around the sampled
point only. The sums that soft Dice needs follow from those corners, whatever the number of classes: the cost is that
of warping one label map, the memory is a block of voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from mmreg.spatial import warp
from mmreg.spatial.constants import constant
from mmreg.spatial.precision import full_precision, without_autocast

from .base import prepare_mask
from .label_corners import Block, blocks, check_labels, class_index, corner_weights, interpolation_slopes, look_up


class ClassSums(NamedTuple):
    """Sums over space per sample and class, each (N, K): of ``p t``, of ``p`` and of ``t`` (or of their squares)."""

    both: Tensor
    warped: Tensor
    fixed: Tensor

    def without_first(self) -> ClassSums:
        """The same without the first class."""
        return ClassSums(*(x[:, 1:] for x in self))


def label_overlap(
    moving_labels: Tensor,
    fixed_labels: Tensor,
    displacement: Tensor,
    classes: Sequence[int],
    squared: bool = False,
    mask: Tensor | None = None,
) -> ClassSums:
    """Overlap of ``moving_labels``, warped linearly as soft one-hot, with ``fixed_labels``.

    Equal to one-hot encoding, warping with zero padding and summing, at a cost that does not depend on the number of
    classes. Differentiable in the displacement.

    Args:
        moving_labels: (N, 1, *M) integers.
        fixed_labels: (N, 1, *S) integers.
        displacement: (N, ndim, *S) voxels.
        classes: label values to count; all others are ignored.
        squared: sum ``p^2`` instead of ``p`` (``t^2 = t``).
        mask: (N, 1, *S) weights of the voxels in all sums.

    Saved for backward: the displacement by reference and two label maps as int32.
    """
    check_labels(moving_labels, fixed_labels, displacement)
    (displacement,) = full_precision(displacement)
    moving, fixed = (class_index(x, classes) for x in (moving_labels, fixed_labels))
    with without_autocast(displacement):
        mask = prepare_mask(mask, displacement)
        weight = None if mask is None else mask[:, 0].expand(fixed.shape)
        both, warped = _CornerSums.apply(displacement, moving, fixed, weight, len(classes), squared)
    sizes = _class_sizes(fixed, weight, len(classes))
    return ClassSums(both, warped, sizes.to(displacement.dtype))


def label_overlap_chunks(
    moving_labels: Tensor,
    fixed_labels: Tensor,
    displacement: Tensor,
    classes: Sequence[int],
    chunk: int = 4,
    squared: bool = False,
    padding: str = 'zeros',
) -> ClassSums:
    """The same sums of ``(N, 1, *S)`` by warping ``chunk`` one-hot channels at a time, each chunk recomputed in the
    backward pass.

    For what the corner sums do not cover (another padding). Memory: ``chunk`` volumes; time grows with the classes.
    Arguments as :func:`label_overlap`.
    """
    check_labels(moving_labels, fixed_labels, displacement)
    (displacement,) = full_precision(displacement)

    def sums(field: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        t = (fixed_labels == values).to(field.dtype)
        p = warp((moving_labels == values).to(field.dtype), field, padding=padding)
        return (p * t).flatten(2).sum(2), (p * p if squared else p).flatten(2).sum(2), t.flatten(2).sum(2)

    parts = []
    with without_autocast(displacement):
        for values in constant([int(c) for c in classes], displacement, torch.long).split(chunk):
            shaped = values.view(1, -1, *[1] * (displacement.dim() - 2))
            parts.append(checkpoint(sums, displacement, shaped, use_reentrant=False, preserve_rng_state=False))
    return ClassSums(*(torch.cat(column, 1) for column in zip(*parts)))


class _CornerSums(torch.autograd.Function):
    """Sums over the corners of the sampled points, block by block."""

    @staticmethod
    def forward(
        ctx: Any,
        displacement: Tensor,
        moving: Tensor,
        fixed: Tensor,
        mask: Tensor | None,
        classes: int,
        squared: bool,
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(displacement, moving, fixed, mask)
        ctx.settings = classes, squared
        # bins: class of the corner, and apart from them those where it is the fixed class too
        sums = displacement.new_zeros(len(displacement), 2, classes + 1, dtype=torch.float64)
        warped = sums[:, 0].clone()
        for n, bins in enumerate(sums):
            for block in blocks(displacement[n], moving[n], fixed[n], None if mask is None else mask[n], classes):
                weight = corner_weights(block.step) * block.weight
                _add_bins(bins, block.label + (classes + 1) * block.same, weight)
                if squared:
                    _add_bins(warped[n], block.label, weight * _shares(block))
        both = sums[:, 1, :classes]
        warped = warped[:, :classes] if squared else sums.sum(1)[:, :classes]
        return both.to(displacement.dtype), warped.to(displacement.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_both: Tensor, grad_warped: Tensor) -> tuple[Tensor | None, ...]:
        displacement, moving, fixed, mask = ctx.saved_tensors
        classes, squared = ctx.settings
        grad = torch.empty_like(displacement, memory_format=torch.contiguous_format)
        # what a corner pulls with, per class; labels that are not counted and points outside pull nowhere
        own, shared = (torch.cat([g, torch.zeros_like(g[:, :1])], 1) for g in (grad_warped, grad_both))
        for n in range(len(displacement)):
            table = torch.cat([torch.zeros_like(own[n]) if squared else own[n], shared[n]])
            table[classes + 1 :] += table[: classes + 1]
            for block in blocks(displacement[n], moving[n], fixed[n], None if mask is None else mask[n], classes):
                pull = look_up(table, block.label + (classes + 1) * block.same)
                if squared:
                    pull += 2 * look_up(own[n], block.label) * _shares(block)
                slopes = interpolation_slopes(pull * block.weight, block.step)
                grad[n, :, block.rows] = slopes.view(grad[n, :, block.rows].shape)
        return grad, None, None, None, None, None


def _shares(block: Block) -> Tensor:
    """At each corner, the value of the warped one-hot channel of that corner's class, (2,) * ndim + (B,)."""
    ndim = len(block.step)
    labels, weights = block.label.flatten(0, ndim - 1), corner_weights(block.step).flatten(0, ndim - 1)
    share = torch.zeros_like(weights)
    for label, weight in zip(labels, weights):
        share += (labels == label) * weight
    return share.view(block.label.shape)


def _add_bins(bins: Tensor, index: Tensor, weight: Tensor) -> None:
    """Add ``weight`` to the float64 ``bins`` at ``index``."""
    index, weight = index.flatten(), weight.flatten().double()
    if bins.device.type != 'cpu':  # no wait for the largest index, and the form that deterministic mode allows there
        bins.view(-1).scatter_add_(0, index.long(), weight)
    else:
        bins.view(-1).add_(torch.bincount(index, weight, minlength=bins.numel()))


def _class_sizes(fixed: Tensor, weight: Tensor | None, classes: int) -> Tensor:
    """Weighted number of voxels per class of class indices (N, *S): (N, classes), float64."""
    bins = torch.zeros(len(fixed), classes + 1, dtype=torch.float64, device=fixed.device)
    for n, row in enumerate(bins):
        _add_bins(row, fixed[n], torch.ones_like(fixed[n]) if weight is None else weight[n])
    return bins[:, :classes]
