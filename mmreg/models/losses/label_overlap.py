"""Sums of linearly warped labels against fixed labels, without the one-hot volumes.

A linearly warped one-hot volume is non-zero, at each voxel, for the labels of the 2^ndim corners around the sampled
point only. The sums that soft Dice needs follow from those corners, whatever the number of classes: the cost is that
of warping one label map, the memory is a block of voxels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from mmreg.errors import DataError
from mmreg.spatial import warp

from .base import full_precision, prepare_mask, without_autocast

#: Voxels handled at once: small enough for the working buffers to stay in cache.
BLOCK = 1 << 16


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
    ones = torch.ones_like(fixed) if weight is None else weight
    sizes = torch.stack([_bins(f, w, len(classes)) for f, w in zip(fixed, ones)])
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
    """One block of voxels of one sample.

    ``fixed`` are classes, ``weight`` the mask, ``corners`` (class, weights per axis, side per axis), one per corner.
    """

    slice: slice
    fixed: Tensor
    weight: Tensor | float
    corners: list[tuple[Tensor, list[Tensor], tuple[int, ...]]]


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
        both = displacement.new_zeros(len(displacement), classes, dtype=torch.float64)
        warped = torch.zeros_like(both)
        for n, field in enumerate(displacement):
            for block in _blocks(field, moving[n], fixed[n], None if mask is None else mask[n], classes):
                weights = [_product(w) for _, w, _ in block.corners]
                both[n] += _bins(block.fixed, _share(block, weights, block.fixed) * block.weight, classes)
                for (label, _, _), weight in zip(block.corners, weights):
                    value = weight * _share(block, weights, label) if squared else weight
                    warped[n] += _bins(label, value * block.weight, classes)
        return both.to(displacement.dtype), warped.to(displacement.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_both: Tensor, grad_warped: Tensor) -> tuple[Tensor | None, ...]:
        displacement, moving, fixed, mask = ctx.saved_tensors
        classes, squared = ctx.settings
        grad = torch.zeros_like(displacement)
        for n, field in enumerate(displacement):
            # one more entry: labels that are not counted and points outside pull nowhere
            pull_both, pull_warped = (torch.cat([g[n], g.new_zeros(1)]) for g in (grad_both, grad_warped))
            flat = grad[n].view(len(field), -1)
            for block in _blocks(field, moving[n], fixed[n], None if mask is None else mask[n], classes):
                weights = [_product(w) for _, w, _ in block.corners] if squared else []
                for label, per_axis, side in block.corners:
                    pull = pull_warped[label]
                    if squared:
                        pull = pull * 2 * _share(block, weights, label)
                    pull = (pull + torch.where(label == block.fixed, pull_both[label], 0)) * block.weight
                    for axis, s in enumerate(side):
                        others = _product([w for a, w in enumerate(per_axis) if a != axis])
                        flat[axis, block.slice] += pull * others if s else -pull * others
        return grad, None, None, None, None, None


def _blocks(field: Tensor, moving: Tensor, fixed: Tensor, mask: Tensor | None, classes: int) -> Iterator[_Block]:
    """The voxels of one sample, ``BLOCK`` at a time; ``field`` (ndim, *S), label indices (*M) and (*S)."""
    size, shape = fixed.shape, moving.shape
    moving, fixed, field = moving.flatten(), fixed.flatten(), field.flatten(1)
    for start in range(0, len(fixed), BLOCK):
        part = slice(start, min(start + BLOCK, len(fixed)))
        low: list[Tensor] = []
        step: list[Tensor] = []
        rest = torch.arange(part.start, part.stop, device=field.device)
        for axis in reversed(range(len(size))):
            point = (rest % size[axis]).to(field.dtype) + field[axis, part]
            rest = rest // size[axis]
            floor = point.floor()
            low.insert(0, floor.clamp(-2, shape[axis]).long())
            step.insert(0, point - floor)
        corners = [
            (_label_at(moving, shape, low, side, classes), [t if s else 1 - t for t, s in zip(step, side)], side)
            for side in product((0, 1), repeat=len(size))
        ]
        yield _Block(part, fixed[part].long(), 1.0 if mask is None else mask.flatten()[part], corners)


def _label_at(moving: Tensor, shape: Sequence[int], low: list[Tensor], side: Sequence[int], outside: int) -> Tensor:
    """Class index at the corner ``low + side``, ``outside`` where that is no voxel."""
    index, inside = torch.zeros_like(low[0]), torch.ones_like(low[0], dtype=torch.bool)
    for n, place, s in zip(shape, low, side):
        place = place + s
        valid = (place >= 0) & (place < n)
        inside = inside & valid
        index = index * n + place.clamp(0, n - 1)
    return torch.where(inside, moving[index].long(), outside)


def _share(block: _Block, weights: list[Tensor], label: Tensor) -> Tensor:
    """Value of the warped one-hot channel ``label`` at each voxel of the block."""
    return torch.stack([torch.where(other == label, w, 0) for (other, _, _), w in zip(block.corners, weights)]).sum(0)


def _bins(label: Tensor, weight: Tensor, classes: int) -> Tensor:
    """Sum of ``weight`` per class in float64; the last bin, of what is not counted, is dropped."""
    sums = torch.zeros(classes + 1, dtype=torch.float64, device=label.device)
    return sums.scatter_add_(0, label.flatten().long(), weight.flatten().double())[:classes]


def _product(factors: Sequence[Tensor]) -> Tensor:
    result = factors[0]
    for factor in factors[1:]:
        result = result * factor
    return result
