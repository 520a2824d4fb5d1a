"""Sums of linearly warped labels against fixed labels, without the one-hot volumes.

A linearly warped one-hot volume is non-zero, at each voxel, for the labels of the 2^ndim corners around the sampled
point only. The sums that soft Dice needs follow from those corners, whatever the number of classes: the cost is that
of warping one label map, the memory is a block of voxels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from mmreg.errors import DataError
from mmreg.spatial import warp
from mmreg.spatial.grid import axis_index

from .base import full_precision, prepare_mask, without_autocast

#: Voxels handled at once: on the CPU few enough for the working buffers to stay in cache.
BLOCK = (1 << 14, 1 << 20)


class Overlap(NamedTuple):
    """Sums over space per sample and class, each (N, K): of ``p t``, of ``p`` and of ``t`` (or of their squares)."""

    both: Tensor
    warped: Tensor
    fixed: Tensor

    def without_first(self) -> Overlap:
        """The same without the first class."""
        return Overlap(*(x[:, 1:] for x in self))


def label_overlap(
    moving_labels: Tensor,
    fixed_labels: Tensor,
    displacement: Tensor,
    classes: Sequence[int],
    squared: bool = False,
    mask: Tensor | None = None,
) -> Overlap:
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
    _check(moving_labels, fixed_labels, displacement)
    (displacement,) = full_precision(displacement)
    moving, fixed = (class_index(x, classes) for x in (moving_labels, fixed_labels))
    with without_autocast(displacement):
        mask = prepare_mask(mask, displacement)
        weight = None if mask is None else mask[:, 0].expand(fixed.shape)
        both, warped = _CornerSums.apply(displacement, moving, fixed, weight, len(classes), squared)
    sizes = _class_sizes(fixed, weight, len(classes))
    return Overlap(both, warped, sizes.to(displacement.dtype))


def label_overlap_chunks(
    moving_labels: Tensor,
    fixed_labels: Tensor,
    displacement: Tensor,
    classes: Sequence[int],
    chunk: int = 4,
    squared: bool = False,
    padding: str = 'zeros',
) -> Overlap:
    """The same sums by warping ``chunk`` one-hot channels at a time, each chunk recomputed in the backward pass.

    For what the corner sums do not cover (another padding). Memory: ``chunk`` volumes; time grows with the classes.
    Arguments as :func:`label_overlap`.
    """
    _check(moving_labels, fixed_labels, displacement)
    (displacement,) = full_precision(displacement)

    def sums(field: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        t = (fixed_labels == values).to(field.dtype)
        p = warp((moving_labels == values).to(field.dtype), field, padding=padding)
        return (p * t).flatten(2).sum(2), (p * p if squared else p).flatten(2).sum(2), t.flatten(2).sum(2)

    parts = []
    with without_autocast(displacement):
        for values in torch.as_tensor(classes, device=displacement.device).split(chunk):
            shaped = values.view(1, -1, *[1] * (displacement.dim() - 2))
            parts.append(checkpoint(sums, displacement, shaped, use_reentrant=False, preserve_rng_state=False))
    return Overlap(*(torch.cat(column, 1) for column in zip(*parts)))


def class_index(labels: Tensor, classes: Sequence[int]) -> Tensor:
    """Position of each label (N, 1, *S) in ``classes`` as int32 (N, *S); ``len(classes)`` for labels not listed."""
    values, order = torch.as_tensor(list(classes), device=labels.device).sort()
    if len(values) == 0:
        return torch.zeros_like(labels[:, 0], dtype=torch.int32)
    place = torch.searchsorted(values, labels[:, 0].contiguous()).clamp_max_(len(values) - 1)
    return torch.where(values[place] == labels[:, 0], order[place], len(values)).int()


def _check(moving_labels: Tensor, fixed_labels: Tensor, displacement: Tensor) -> None:
    if fixed_labels.shape[2:] != displacement.shape[2:] or moving_labels.dim() != displacement.dim():
        raise DataError(
            f'Label overlap: moving labels {tuple(moving_labels.shape)}, fixed labels {tuple(fixed_labels.shape)} and '
            f'displacement {tuple(displacement.shape)} do not fit, expected (N, 1, *M), (N, 1, *S), (N, ndim, *S).'
        )


class _Block(NamedTuple):
    """Rows of voxels of one sample with the 2^ndim corners around their sampled points.

    ``rows`` along the first axis; ``label`` (2,) * ndim + (B,) class of each corner, ``same`` where it is the fixed
    class, ``step`` (ndim, B) position between the corners, ``weight`` the mask (B,) or 1.
    """

    rows: slice
    label: Tensor
    same: Tensor
    step: Tensor
    weight: Tensor | float


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
            for block in _blocks(displacement[n], moving[n], fixed[n], None if mask is None else mask[n], classes):
                weight = _corner_weights(block.step) * block.weight
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
            for block in _blocks(displacement[n], moving[n], fixed[n], None if mask is None else mask[n], classes):
                pull = _look_up(table, block.label + (classes + 1) * block.same)
                if squared:
                    pull += 2 * _look_up(own[n], block.label) * _shares(block)
                slopes = _interpolation_slopes(pull * block.weight, block.step)
                grad[n, :, block.rows] = slopes.view(grad[n, :, block.rows].shape)
        return grad, None, None, None, None, None


def _blocks(field: Tensor, moving: Tensor, fixed: Tensor, mask: Tensor | None, classes: int) -> Iterator[_Block]:
    """The voxels of one sample, some rows at a time; ``field`` (ndim, *S), class indices (*M) and (*S)."""
    size, ndim = fixed.shape, fixed.dim()
    # two voxels of margin: a point anywhere outside has all its corners in it
    padded = F.pad(moving, [2] * (2 * ndim), value=classes)
    strides = padded.stride()
    offsets = sum(
        torch.tensor([0, stride], device=field.device).view([2 if a == axis else 1 for a in range(ndim)] + [1])
        for axis, stride in enumerate(strides)
    )
    padded = padded.flatten()
    count = max(BLOCK[field.device.type != 'cpu'] // max(fixed[0].numel(), 1), 1)
    for start in range(0, size[0], count):
        rows = slice(start, min(start + count, size[0]))
        base, step = torch.zeros((), dtype=torch.long, device=field.device), []
        for axis, stride in enumerate(strides):
            index = axis_index(size, axis, device=field.device, dtype=field.dtype)
            point = field[axis, rows] + (index[rows] if axis == 0 else index)
            floor = point.floor()
            step.append((point - floor).flatten())
            base = base + (floor.nan_to_num_(nan=-2.0).clamp_(-2, moving.shape[axis]).long() + 2) * stride
        label = _look_up(padded, base.flatten() + offsets)
        target = fixed[rows].flatten()
        weight = 1.0 if mask is None else mask[rows].flatten()
        yield _Block(rows, label, label == target, torch.stack(step), weight)


def _look_up(table: Tensor, index: Tensor) -> Tensor:
    """``table[index]`` in the shape of ``index``."""
    return table.index_select(0, index.flatten()).view(index.shape)


def _corner_weights(step: Tensor) -> Tensor:
    """Linear weights (2,) * ndim + (B,) of the corners."""
    weight = step.new_ones(1)
    for t in step:
        weight = torch.stack([weight * (1 - t), weight * t], -2)
    return weight


def _shares(block: _Block) -> Tensor:
    """At each corner, the value of the warped one-hot channel of that corner's class, (2,) * ndim + (B,)."""
    ndim = len(block.step)
    labels, weights = block.label.flatten(0, ndim - 1), _corner_weights(block.step).flatten(0, ndim - 1)
    share = torch.zeros_like(weights)
    for label, weight in zip(labels, weights):
        share += (labels == label) * weight
    return share.view(block.label.shape)


def _interpolation_slopes(corner: Tensor, step: Tensor) -> Tensor:
    """Derivatives (ndim, B) of the linear interpolation of corner values (2,) * ndim + (B,) along each axis."""
    value = corner
    slopes: list[Tensor] = []
    for t in reversed(step):  # the last axis first: it is the last one left in front of B
        slopes = [torch.lerp(s[..., 0, :], s[..., 1, :], t) for s in slopes]
        slopes.append(value[..., 1, :] - value[..., 0, :])
        value = torch.lerp(value[..., 0, :], value[..., 1, :], t)
    return torch.stack(slopes[::-1])


def _add_bins(bins: Tensor, index: Tensor, weight: Tensor) -> None:
    """Add ``weight`` to the float64 ``bins`` at ``index``."""
    bins.view(-1).scatter_add_(0, index.flatten().long(), weight.flatten().double())


def _class_sizes(fixed: Tensor, weight: Tensor | None, classes: int) -> Tensor:
    """Weighted number of voxels per class of class indices (N, *S): (N, classes), float64."""
    bins = torch.zeros(len(fixed), classes + 1, dtype=torch.float64, device=fixed.device)
    for n, row in enumerate(bins):
        _add_bins(row, fixed[n], torch.ones_like(fixed[n]) if weight is None else weight[n])
    return bins[:, :classes]
