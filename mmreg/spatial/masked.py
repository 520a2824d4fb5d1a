"""Means inside a mask."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """``sum(values * mask) / sum(mask)`` over batch, channels and voxels; the plain mean without mask.

    Args:
        values: ``(N, C, *spatial)``.
        mask: Weights that broadcast to ``values``. A mask that is zero everywhere gives 0 with zero gradient.

    Example:
        >>> masked_mean(torch.tensor([[[1.0, 3.0]]]), torch.tensor([[[0.0, 1.0]]])).item()
        3.0
    """
    if mask is None:
        return values.mean()
    mask = mask.expand_as(values)
    total = mask.sum()
    return (values * mask).sum() / torch.where(total > 0, total, torch.ones_like(total))
