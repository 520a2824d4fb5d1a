"""Weights of joint label fusion, and the similarity of patches."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import torch
from torch import Tensor

from mmreg.spatial import box_sum

#: Voxels whose systems of equations are solved together.
_TOGETHER = 1 << 18


def patch_similarity(first: np.ndarray, second: np.ndarray, radius: int) -> np.ndarray:
    """Local correlation of two images, mapped from -1..1 to 0..1, ``S`` float32; 0.5 where either is constant.

    Example:
        >>> ramp = np.arange(36, dtype=np.float32).reshape(6, 6)
        >>> bool(np.allclose(patch_similarity(ramp, 2 * ramp + 1, 1), 1, atol=1e-3))
        True
    """
    a, b = (torch.from_numpy(np.ascontiguousarray(one, dtype=np.float64))[None, None] for one in (first, second))
    count = _sums(torch.ones_like(a), radius)
    mean_a, mean_b = _sums(a, radius) / count, _sums(b, radius) / count
    var_a = (_sums(a * a, radius) / count - mean_a**2).clamp_min(0)
    var_b = (_sums(b * b, radius) / count - mean_b**2).clamp_min(0)
    cov = _sums(a * b, radius) / count - mean_a * mean_b
    flat = 1e-10 * float(torch.maximum(a.square().mean(), b.square().mean()) + 1e-30)
    known = (var_a > flat) & (var_b > flat)
    found = torch.where(known, cov / (var_a * var_b).clamp_min(1e-300).sqrt(), torch.zeros_like(cov))
    return ((found.clamp(-1, 1) + 1) / 2)[0, 0].to(torch.float32).numpy()


def joint_weights(
    image: np.ndarray, atlases: np.ndarray, radius: int, alpha: float, beta: float, where: np.ndarray | None = None
) -> np.ndarray:
    """Voting weights of atlases from the errors that they are expected to make together.

    With ``d_i(y) = |A_i(y) - T(y)|`` of images whose patches are normalised to mean 0 and deviation 1, the expected
    common errors are ``M_ij(x) = (sum over the patch of d_i d_j) ** beta``, and the weights the solution of
    ``min w' (M + alpha I) w`` with sum 1: ``w = (M + alpha I)^-1 1 / (1' (M + alpha I)^-1 1)``, with M scaled by its
    mean diagonal so that alpha has no unit.

    Args:
        image: ``S``, the scan T.
        atlases: ``(N, *S)``, the atlases A_i in it.
        radius: Of the patch, voxels.
        alpha: Added to the diagonal.
        beta: Exponent of the errors.
        where: ``S`` bool: where weights are needed; elsewhere they are equal.

    Returns:
        ``(N, *S)`` float32, sum 1; negative weights are possible, as in the source.

    Source: Wang, Suh, Das, Pluta, Craige, Yushkevich, Multi-Atlas Segmentation with Joint Label Fusion, IEEE TPAMI
    2013, equations 6 to 12 (without its local search, since atlases are registered deformably).
    """
    count = len(atlases)
    weights = np.full(atlases.shape, 1 / count, np.float32)
    place = np.ones(image.shape, bool) if where is None else where
    if not place.any():
        return weights
    target = _normalised_patches(image, radius)
    errors = [(_normalised_patches(atlas, radius) - target).abs_() for atlas in atlases]
    inside = torch.from_numpy(place)
    matrix = torch.empty((int(inside.sum()), count, count), dtype=torch.float64)
    for i, j in combinations_with_replacement(range(count), 2):
        common = _sums(errors[i] * errors[j], radius)[0, 0][inside].clamp_min(0) ** beta
        matrix[:, i, j] = matrix[:, j, i] = common
    scale = matrix.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-12)
    matrix = matrix / scale[:, None, None] + alpha * torch.eye(count, dtype=torch.float64)
    found = torch.cat([_solved(part) for part in matrix.split(_TOGETHER)])
    weights[:, place] = found.T.to(torch.float32).numpy()
    return weights


def _solved(matrix: Tensor) -> Tensor:
    """``(V, N)`` weights from ``(V, N, N)`` matrices."""
    ones = torch.ones(matrix.shape[:2], dtype=matrix.dtype)
    solution = torch.linalg.solve(matrix, ones)
    return solution / solution.sum(1, keepdim=True)


def _normalised_patches(array: np.ndarray, radius: int) -> Tensor:
    """Each voxel less the mean of its patch, over the patch's deviation, ``(1, 1, *S)``."""
    image = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))[None, None]
    count = _sums(torch.ones_like(image), radius)
    mean = _sums(image, radius) / count
    variance = (_sums(image * image, radius) / count - mean**2).clamp_min(0)
    floor = 1e-4 * float(image.var()) + 1e-12
    return (image - mean) / (variance + floor).sqrt()


def _sums(image: Tensor, radius: int) -> Tensor:
    """Sums over windows of ``2 radius + 1`` voxels; beyond the border there is nothing."""
    return box_sum(image, 2 * radius + 1)
