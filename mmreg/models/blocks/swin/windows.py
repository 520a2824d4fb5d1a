"""Tokens to windows and back, and which tokens of a shifted window belong together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

#: How windows become tokens again: the inverse of the partition, or what TransMorph-Bayes's code does.
REVERSES = ('inverse', 'published_bayes')
#: What is added to the attention between tokens that are neighbours only through the cyclic shift.
_APART = -100.0


def pad_tokens(tokens: Tensor, multiple: Sequence[int]) -> Tensor:
    """``(N, *grid, C)`` with zeros at the end of each axis so that its size is a multiple."""
    missing = [-n % m for n, m in zip(tokens.shape[1:-1], multiple)]
    if not any(missing):
        return tokens
    return F.pad(tokens, [0, 0, *[w for m in reversed(missing) for w in (0, m)]])


def crop_tokens(tokens: Tensor, size: Sequence[int]) -> Tensor:
    """The first ``size`` tokens along each axis of ``(N, *grid, C)``."""
    for axis, n in enumerate(size, start=1):
        tokens = tokens.narrow(axis, 0, n)
    return tokens


def partition_windows(tokens: Tensor, window: Sequence[int]) -> Tensor:
    """``(N, *grid, C)`` to ``(N * windows, tokens of a window, C)``, both in raster order (last axis fastest).

    The grid is a multiple of the window.
    """
    ndim, channels = len(window), tokens.shape[-1]
    split = [tokens.shape[0]]
    for n, w in zip(tokens.shape[1:-1], window):
        split += [n // w, w]
    return tokens.view(*split, channels).permute(_partition_order(ndim)).flatten(0, ndim).flatten(1, -2)


def merge_windows(windows: Tensor, window: Sequence[int], size: Sequence[int], reverse: str = 'inverse') -> Tensor:
    """Undo :func:`partition_windows`: ``(N * windows, tokens of a window, C)`` to ``(N, *size, C)``.

    ``reverse='published_bayes'`` repeats a slip of TransMorph-Bayes that its weights are trained with: the axes are
    permuted as in the partition instead of its inverse, which in 3-D scrambles tokens between windows.
    """
    ndim, channels = len(window), windows.shape[-1]
    counts = [n // w for n, w in zip(size, window)]
    split = windows.view(-1, *counts, *window, channels)
    if reverse == 'inverse':
        order = [0, *[axis for k in range(ndim) for axis in (1 + k, 1 + ndim + k)], 1 + 2 * ndim]
    else:
        order = _partition_order(ndim)
    return split.permute(order).reshape(-1, *size, channels)


def _partition_order(ndim: int) -> list[int]:
    return [0, *range(1, 2 * ndim, 2), *range(2, 2 * ndim + 1, 2), 1 + 2 * ndim]


def shift_mask(
    size: Sequence[int], window: Sequence[int], shift: Sequence[int], device: torch.device | None = None
) -> Tensor:
    """What is added to the attention in windows of a shifted grid: 0 inside a region, -100 between regions.

    Args:
        size: Grid, a multiple of the window.
        window, shift: Per axis, ``0 < shift < window``.

    Returns:
        ``(windows, L, L)`` float32, L tokens per window.
    """
    regions = torch.zeros(tuple(size), dtype=torch.int64, device=device)
    for axis, (n, w, s) in enumerate(zip(size, window, shift)):
        index = torch.arange(n, device=device)
        part = (index >= n - w).long() + (index >= n - s).long()
        regions = regions * 3 + part.view([-1 if k == axis else 1 for k in range(len(size))])
    rows = partition_windows(regions[None, ..., None], window).squeeze(-1)
    return (rows[:, None, :] != rows[:, :, None]).float() * _APART
