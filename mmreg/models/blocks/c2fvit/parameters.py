"""What C2FViT's numbers mean: translation, rotation, shear and scale about a point."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mmreg.spatial import affine_matrix, homogeneous, rotation_matrix


def parameter_count(ndim: int) -> int:
    """Numbers of an affine map: 12 in 3-D, 6 in 2-D."""
    return ndim * (ndim + 1)


def affine_from_parameters(parameters: Tensor, centre: Tensor) -> Tensor:
    """``M = C Sh Sc R C^-1 T``: a point is translated, then rotated, scaled and sheared about ``centre``.

    Args:
        parameters: ``(N, 12)`` (``(N, 6)`` in 2-D), each in [-1, 1]: translation; angles in units of pi, about x, y, z;
            shears in units of pi, above the diagonal, row by row; scale factors minus 1, times 2.
        centre: ``(N, ndim)``, in the frame of the result.

    Returns:
        ``(N, ndim+1, ndim+1)`` on coordinates in [-1, 1], components x, y, z: the reversed axes.

    Source: Mok and Chung, CVPR 2022 (C2FViT); golden baselines/c2fvit ``affine_alone_*``.
    """
    ndim = centre.shape[1]
    pairs = ndim * (ndim - 1) // 2
    move, angles, shears, scales = parameters.split([ndim, pairs, pairs, ndim], dim=1)
    stretch = affine_matrix(torch.zeros_like(move), scale=1 + scales / 2, shear=math.pi * shears)
    linear = stretch[:, :ndim, :ndim] @ rotation_matrix(math.pi * angles)
    offset = (linear @ (move - centre).unsqueeze(-1)).squeeze(-1) + centre
    return homogeneous(linear, offset)
