"""Topology correction: folds found and smoothed away, where they are and nowhere else."""

from __future__ import annotations

import torch
from torch import Tensor

from mmreg.spatial import box_sum, gaussian_filter, jacobian_determinant

#: Voxels with a determinant below this are mended: a margin above a fold.
SMALLEST = 0.02
#: Standard deviation of the smoothing in voxels, and the half width of the neighbourhood that it acts on.
SIGMA, REACH = 0.6, 1


def folded(displacement: Tensor, below: float = 0.0) -> Tensor:
    """Where the Jacobian determinant (central differences) is ``below`` or less: ``(N, 1, *S)`` boolean."""
    return (jacobian_determinant(displacement) <= below).unsqueeze(1)


def unfold(displacement: Tensor, passes: int) -> Tensor:
    """Smooth the displacement around folds until there are none, ``passes`` times at most.

    Each pass blends the displacement with its Gaussian-smoothed self inside the neighbourhood of the voxels whose
    determinant is below :data:`SMALLEST`; the blend fades out, and everything else keeps its value.

    Args:
        displacement: ``(N, ndim, *S)`` voxels.
        passes: at most so many; 0 returns the displacement itself.
    """
    for _ in range(passes):
        bad = folded(displacement, SMALLEST)
        if not bool(bad.any()):
            break
        near = (box_sum(bad.float(), 2 * REACH + 1) > 0.5).float()
        weight = torch.maximum(gaussian_filter(near, SIGMA, truncate=2.0), bad.float())
        smooth = gaussian_filter(displacement, SIGMA, truncate=3.0, padding='border')
        displacement = smooth.sub_(displacement).mul_(weight).add_(displacement)
    return displacement
