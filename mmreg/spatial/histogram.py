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

    Example:
        >>> centres, width = bin_centres(torch.tensor(0.0), torch.tensor(1.0), 3)
        >>> gaussian_weights(torch.tensor([[0.5]]), centres, width, 0.5).sum().round(decimals=4).item()
        1.0
    """
    exponent = ((x[:, None] - centres[:, None]) / (sigma_ratio * width)).square() * -0.5
    # Far bins get e^-40 of the nearest one's least share: subnormal numbers would slow everything down tenfold.
    exponent = exponent.clamp(min=-40 - 0.125 / sigma_ratio**2)
    return exponent.softmax(1) if normalise else exponent.exp()


def cubic_weights(index: Tensor, bins: int) -> Tensor:
    """Cubic B-spline membership of continuous bin indices ``(B, V)`` -> ``(B, bins, V)``; voxels sum to 1.

    Example:
        >>> cubic_weights(torch.tensor([[3.0]]), 7).mul(6).round().flatten().tolist()
        [0.0, 0.0, 1.0, 4.0, 1.0, 0.0, 0.0]
    """
    distance = (index[:, None] - _bin_numbers(index, bins)).abs()
    near = (4 - 6 * distance.square() + 3 * distance.pow(3)) / 6
    far = (2 - distance).clamp(min=0).pow(3) / 6
    weights = torch.where(distance < 1, near, far)
    return weights / weights.sum(1, keepdim=True)


def box_weights(index: Tensor, bins: int) -> Tensor:
    """The nearest bin ``(B, bins, V)``, shared by both where two are equally near; no gradient. Shapes as
    :func:`cubic_weights`.

    Example:
        >>> box_weights(torch.tensor([[3.2, 2.5]]), 5)[0].T.tolist()
        [[0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.5, 0.5, 0.0]]
    """
    distance = (index.detach()[:, None] - _bin_numbers(index, bins)).abs()
    weights = (distance < 0.5).to(index.dtype) + 0.5 * (distance == 0.5)
    return weights / weights.sum(1, keepdim=True)


def _bin_numbers(index: Tensor, bins: int) -> Tensor:
    return torch.arange(bins, dtype=index.dtype, device=index.device)[:, None]


def spline_index(x: Tensor, low: Tensor, high: Tensor, bins: int) -> Tensor:
    """Continuous bin index of values ``(B, V)``, ``low`` to ``high`` spread over the bins with two empty ones at each
    end.

    Example:
        >>> spline_index(torch.tensor([[0.0, 1.0]]), torch.tensor(0.0), torch.tensor(1.0), 8).tolist()
        [[2.0, 5.0]]
    """
    width = ((high - low) / (bins - 4)).clamp(min=_NARROW)
    return ((x - low) / width + 2).clamp(2, bins - 3)


def bin_centres(low: Tensor, high: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """Centres ``(n,)`` of equally spaced bins from ``low`` to ``high`` inclusive, and their distance.

    Example:
        >>> centres, width = bin_centres(torch.tensor(0.0), torch.tensor(1.0), 5)
        >>> centres.tolist(), width.item()
        ([0.0, 0.25, 0.5, 0.75, 1.0], 0.25)
    """
    width = ((high - low) / (bins - 1)).clamp(min=_NARROW)
    return low + width * torch.arange(bins, dtype=low.dtype, device=low.device), width


def mutual_information(joint: Tensor, eps: float = 1e-7) -> Tensor:
    """Mutual information in nats of joint histograms ``(B, n, m)`` (any positive sum) -> ``(B,)``.

    Example:
        >>> mutual_information(torch.eye(4)[None]).exp().round().item()  # four intensities, each tells the other
        4.0
        >>> round(mutual_information(torch.ones(1, 4, 4)).item(), 5)  # independent
        0.0
    """
    joint = joint / joint.sum((1, 2), keepdim=True).clamp(min=1e-12)
    product = joint.sum(2, keepdim=True) * joint.sum(1, keepdim=True)
    return (joint * torch.log((joint + eps) / (product + eps) + eps)).sum((1, 2))


def normalised_information(joint: Tensor, eps: float = 1e-9) -> Tensor:
    """``(H_fixed + H_moving) / H_joint - 1`` of joint histograms ``(B, n, m)`` -> ``(B,)``: 0 (independent) to 1.

    Example:
        >>> round(normalised_information(torch.eye(4)[None]).item(), 5)
        1.0
    """
    p = joint / joint.sum((1, 2), keepdim=True).clamp(min=1e-12)
    marginals = entropy(p.sum(2), eps) + entropy(p.sum(1), eps)
    return marginals / entropy(p.flatten(1), eps).clamp(min=1e-6) - 1


def entropy(p: Tensor, eps: float) -> Tensor:
    """``-sum p log(p + eps)`` in nats of distributions ``(B, n)`` -> ``(B,)``.

    Example:
        >>> entropy(torch.full((1, 4), 0.25), 0.0).exp().round().item()
        4.0
    """
    return -(p * torch.log(p + eps)).sum(1)
