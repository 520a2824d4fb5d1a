"""The transpose of padding by repetition."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def fold_back(x: Tensor, margins: Sequence[int]) -> Tensor:
    """What lies in the margins of ``x`` ``(N, C, *spatial)``, as many voxels at either end of each axis, added to the
    border voxels; ``x`` is overwritten.

    Example:
        >>> import torch
        >>> fold_back(torch.ones(1, 1, 6), [2]).tolist()
        [[[3.0, 3.0]]]
    """
    for axis, margin in enumerate(margins, start=2):
        if margin:
            n = x.shape[axis] - 2 * margin
            inner = x.narrow(axis, margin, n)
            inner.narrow(axis, 0, 1).add_(x.narrow(axis, 0, margin).sum(axis, keepdim=True))
            inner.narrow(axis, n - 1, 1).add_(x.narrow(axis, margin + n, margin).sum(axis, keepdim=True))
            x = inner
    return x
