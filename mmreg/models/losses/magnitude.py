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
    baselines/symnet ``magnitude``. A mask (N, 1, *S) weights voxels. Saved for backward:
    nothing but the fields, and a mask.

    Args:
        per_sample: balance every pair; False: only the batch on the whole, as published.
    """

    def __init__(self, per_sample: bool = True) -> None:
        super().__init__()
        self.per_sample = per_sample

    def penalty(self, forward: Tensor, backward: Tensor, mask: Tensor | None) -> Tensor:
        """Difference of the lengths of both fields ``(N, ndim, *S)``, component by component."""
        difference = forward.abs() - backward.abs()
        if mask is None:
            sums, total = difference.flatten(1).sum(1), difference.new_full((len(difference),), difference[0].numel())
        else:
            weight = mask.expand_as(difference)
            sums, total = (difference * weight).flatten(1).sum(1), weight.flatten(1).sum(1)
        if not self.per_sample:
            sums, total = sums.sum(), total.sum()
        return (sums / total.where(total > 0, total.new_ones(()))).abs().mean()
