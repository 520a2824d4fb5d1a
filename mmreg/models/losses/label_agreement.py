"""How much a linearly warped label map agrees with the fixed one, voxel by voxel, without one-hot volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmreg.spatial.precision import full_precision

from .label_corners import blocks, check_labels, class_index, corner_weights, interpolation_slopes


def label_agreement(
    moving_labels: Tensor, fixed_labels: Tensor, displacement: Tensor, classes: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """The warped one-hot volume of ``moving_labels`` at the channel of each voxel's fixed label.

    Equal to warping the one-hot volume linearly (zeros outside) and reading one channel per voxel, at a cost that does
    not depend on the number of classes. Differentiable in the displacement.

    Args:
        moving_labels: (N, 1, *M) integers.
        fixed_labels: (N, 1, *S) integers.
        displacement: (N, ndim, *S) voxels.
        classes: label values that count; voxels with another fixed label agree with nothing.

    Returns:
        Agreement (N, 1, *S) in [0, 1], and the position of each fixed label in ``classes`` as int32 (N, 1, *S),
        ``len(classes)`` where it is not listed.

    Saved for backward: the displacement by reference and two label maps as int32.
    """
    check_labels(moving_labels, fixed_labels, displacement)
    (displacement,) = full_precision(displacement)
    moving, fixed = (class_index(x, classes) for x in (moving_labels, fixed_labels))
    return _Agreement.apply(displacement, moving, fixed, len(classes)), fixed[:, None]


class _Agreement(torch.autograd.Function):
    """Sum of the weights of the corners that carry the fixed label, block by block."""

    @staticmethod
    def forward(ctx: Any, displacement: Tensor, moving: Tensor, fixed: Tensor, classes: int) -> Tensor:
        ctx.save_for_backward(displacement, moving, fixed)
        ctx.classes = classes
        agreement = displacement.new_empty(fixed[:, None].shape)
        for n, out in enumerate(agreement):
            for block in blocks(displacement[n], moving[n], fixed[n], None, classes):
                # outside the moving image the class is ``classes``, as for labels that do not count
                same = block.same & (block.label < classes)
                share = (corner_weights(block.step) * same).flatten(0, -2).sum(0)
                out[0, block.rows] = share.view(out[0, block.rows].shape)
        return agreement

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        displacement, moving, fixed = ctx.saved_tensors
        grad = torch.empty_like(displacement, memory_format=torch.contiguous_format)
        for n in range(len(displacement)):
            for block in blocks(displacement[n], moving[n], fixed[n], None, ctx.classes):
                same = block.same & (block.label < ctx.classes)
                pull = same * grad_output[n, 0, block.rows].flatten()
                slopes = interpolation_slopes(pull, block.step)
                grad[n, :, block.rows] = slopes.view(grad[n, :, block.rows].shape)
        return grad, None, None, None
