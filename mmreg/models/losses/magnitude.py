"""Two displacements that should be of equal length on the whole."""

from __future__ import annotations

from torch import Tensor

from mmreg.registry import LOSSES

from .consistency import ConsistencyLoss


@LOSSES.register_module()
class MagnitudeBalance(ConsistencyLoss):
    r"""Difference of two fields' sizes, ``mean_n | sum_{i,x} |f| - sum_{i,x} |b| | / (ndim V)``, in [0, inf), voxels.

    ``V`` is the number of voxels. With the two halves of a symmetric method (``on='half'``), 0 puts the image in the
    middle half way: neither image does all of the moving. Source: Mok and Chung, CVPR 2020 (SYMNet); golden
    baselines/symnet ``magnitude``. A mask (N, 1, *S) weights voxels. Saved for backward: the signs of both fields.
    """

    def __init__(self) -> None:
        super().__init__()

    def penalty(self, forward: Tensor, backward: Tensor, mask: Tensor | None) -> Tensor:
        difference = forward.abs() - backward.abs()
        if mask is None:
            return difference.flatten(1).mean(1).abs().mean()
        weight = mask.expand_as(difference).flatten(1)
        total = weight.sum(1)
        sums = (difference.flatten(1) * weight).sum(1)
        return (sums / total.where(total > 0, total.new_ones(()))).abs().mean()
