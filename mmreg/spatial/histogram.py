"""Joint histograms of two images: how much an intensity belongs to each bin, and what they tell of each other."""

from __future__ import annotations

import torch
from torch import Tensor

#: Guards a bin width of zero on constant images, units of intensity.
_NARROW = 1e-6


def gaussian_weights(x: Tensor, centres: Tensor, width: Tensor, sigma_ratio: float, normalise: bool = True) -> Tensor:
    """Gaussian membership of every value in every bin.

    Args:
        x: values ``(B, V)``.
        centres: of the bins, ``(n,)``.
        width: distance of the centres, units of ``x``.
        sigma_ratio: standard deviation over ``width``.
        normalise: the memberships of each value sum to 1.

    Returns:
        ``(B, n, V)``: voxels last, so that every bin is walked along memory.
    """
    exponent = ((x[:, None] - centres[:, None]) / (sigma_ratio * width)).square() * -0.5
    # Far bins get e^-40 of the nearest one's least share: subnormal numbers would slow everything down tenfold.
    exponent = exponent.clamp(min=-40 - 0.125 / sigma_ratio**2)
    return exponent.softmax(1) if normalise else exponent.exp()


def cubic_weights(index: Tensor, bins: int) -> Tensor:
    """Cubic B-spline membership of continuous bin indices ``(B, V)`` -> ``(B, bins, V)``; voxels sum to 1."""
    distance = (index[:, None] - _bin_numbers(index, bins)).abs()
    near = (4 - 6 * distance.square() + 3 * distance.pow(3)) / 6
    far = (2 - distance).clamp(min=0).pow(3) / 6
    weights = torch.where(distance < 1, near, far)
    return weights / weights.sum(1, keepdim=True)


def box_weights(index: Tensor, bins: int) -> Tensor:
    """The nearest bin ``(B, bins, V)``, shared by both where two are equally near; no gradient. Shapes as
    :func:`cubic_weights`.
    """
    distance = (index.detach()[:, None] - _bin_numbers(index, bins)).abs()
    weights = (distance < 0.5).to(index.dtype) + 0.5 * (distance == 0.5)
    return weights / weights.sum(1, keepdim=True)


def _bin_numbers(index: Tensor, bins: int) -> Tensor:
    return torch.arange(bins, dtype=index.dtype, device=index.device)[:, None]


def spline_index(x: Tensor, low: Tensor, high: Tensor, bins: int) -> Tensor:
    """Continuous bin index of values ``(B, V)``, ``low`` to ``high`` spread over the bins with two empty ones at each
    end.
    """
    width = ((high - low) / (bins - 4)).clamp(min=_NARROW)
    return ((x - low) / width + 2).clamp(2, bins - 3)


def bin_centres(low: Tensor, high: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """Centres ``(n,)`` of equally spaced bins from ``low`` to ``high`` inclusive, and their distance."""
    width = ((high - low) / (bins - 1)).clamp(min=_NARROW)
    return low + width * torch.arange(bins, dtype=low.dtype, device=low.device), width


def mutual_information(joint: Tensor, eps: float = 1e-7) -> Tensor:
    """Mutual information in nats of joint histograms ``(B, n, m)`` (any positive sum) -> ``(B,)``."""
    joint = joint / joint.sum((1, 2), keepdim=True).clamp(min=1e-12)
    product = joint.sum(2, keepdim=True) * joint.sum(1, keepdim=True)
    return (joint * torch.log((joint + eps) / (product + eps) + eps)).sum((1, 2))


def normalised_information(joint: Tensor, eps: float = 1e-9) -> Tensor:
    """``(H_fixed + H_moving) / H_joint - 1`` of joint histograms ``(B, n, m)`` -> ``(B,)``: 0 (independent) to 1."""
    p = joint / joint.sum((1, 2), keepdim=True).clamp(min=1e-12)
    marginals = entropy(p.sum(2), eps) + entropy(p.sum(1), eps)
    return marginals / entropy(p.flatten(1), eps).clamp(min=1e-6) - 1


def entropy(p: Tensor, eps: float) -> Tensor:
    """``-sum p log(p + eps)`` in nats of distributions ``(B, n)`` -> ``(B,)``."""
    return -(p * torch.log(p + eps)).sum(1)
