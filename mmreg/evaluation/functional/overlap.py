"""Overlap of label maps: Dice of all labels from one joint histogram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmreg.errors import DataError

#: Above this largest label the values are renumbered before the histogram, which has their square as its size.
_DENSE_LIMIT = 2048

LabelMap = np.ndarray | Tensor


class Overlap(NamedTuple):
    """Voxel counts per label, each an int64 array ``(L,)``: ``labels``, both, first map, second map."""

    labels: np.ndarray
    both: np.ndarray
    first: np.ndarray
    second: np.ndarray


def joint_histogram(first: LabelMap, second: LabelMap) -> tuple[np.ndarray, np.ndarray]:
    """How often each pair of labels meets in two label maps of one shape.

    Args:
        first: Integer labels >= 0 of any shape (numpy or torch, any device).
        second: The same shape.

    Returns:
        ``values`` (K,), sorted, among them all labels that occur, and ``counts`` (K, K) int64, ``counts[i, j]`` voxels
        with ``first == values[i]`` and ``second == values[j]``.

    Raises:
        DataError: shapes differ, values are negative or not integers.
    """
    a, b = _flat(first, 'first'), _flat(second, 'second')
    if tuple(first.shape) != tuple(second.shape):
        raise DataError(f'label maps have shapes {tuple(first.shape)} and {tuple(second.shape)}, expected one shape.')
    if a.numel() == 0:
        return np.zeros(0, np.int64), np.zeros((0, 0), np.int64)
    lowest, highest = torch.stack([torch.stack(torch.aminmax(x)).long() for x in (a, b)]).unbind(1)
    if lowest.min() < 0:
        raise DataError(f'a label map holds the value {int(lowest.min())}, expected labels from 0 on.')
    size = int(highest.max()) + 1
    values = np.arange(size)
    if size > _DENSE_LIMIT:
        unique, inverse = torch.unique(torch.cat([a, b.to(a.dtype)]), return_inverse=True)
        values, size = unique.cpu().numpy().astype(np.int64), unique.numel()
        a, b = inverse[: a.numel()], inverse[a.numel() :]
    # The narrowest index type: half of the time goes into making it.
    index = next(t for t in (torch.int16, torch.int32, torch.int64) if size * size <= torch.iinfo(t).max)
    joint = a.to(index).mul(size).add_(b.to(index))
    return values, torch.bincount(joint, minlength=size * size).reshape(size, size).cpu().numpy()


def overlap(first: LabelMap, second: LabelMap, labels: Sequence[int] | None = None) -> Overlap:
    """Voxel counts of each label in both maps, in the first and in the second.

    Args:
        first: Integer labels >= 0 of any shape.
        second: The same shape.
        labels: Which labels; default: all that occur in either map, without background 0.
    """
    values, counts = joint_histogram(first, second)
    rows, columns = counts.sum(1), counts.sum(0)
    if labels is None:
        chosen = values[(values > 0) & (rows + columns > 0)]
    else:
        chosen = np.asarray(list(labels), dtype=np.int64)
    where = np.searchsorted(values, chosen)
    known = where < len(values)
    where = np.where(known, where, 0)
    if len(values):
        known &= values[where] == chosen
    if not len(values):
        nothing = np.zeros(len(chosen), np.int64)
        return Overlap(chosen, nothing, nothing, nothing)
    return Overlap(chosen, *(np.where(known, c[where], 0) for c in (np.diagonal(counts), rows, columns)))


def dice(
    first: LabelMap,
    second: LabelMap,
    labels: Sequence[int] | None = None,
    *,
    epsilon: float = 0.0,
    absent: float = np.nan,
) -> np.ndarray:
    """Dice overlap ``2 |A and B| / (|A| + |B| + epsilon)`` per label, in [0, 1], 1 is perfect.

    Args:
        first: Hard integer labels >= 0 of any shape.
        second: The same shape.
        labels: Which labels; default: all that occur in either map, without background 0.
        epsilon: Added to the denominator (published code uses 1e-5 or 1e-7; 0 is exact).
        absent: Value of a label that occurs in neither map; NaN leaves it out of :func:`numpy.nanmean`, 0 is the
            published habit of validation loops.

    Returns:
        (L,) float64.

    Source: Dice 1945; ``eoir.md`` 5.3, golden ``eoir/metrics``.
    """
    counts = overlap(first, second, labels)
    total = (counts.first + counts.second).astype(np.float64)
    score = 2.0 * counts.both / np.where(total > 0, total + epsilon, 1.0)
    return np.where(total > 0, score, absent)


def _flat(labels: LabelMap, name: str) -> Tensor:
    """Labels as a flat integer tensor without a copy where their type allows."""
    if isinstance(labels, np.ndarray):
        if labels.dtype == np.uint16:  # torch has hardly any operation for it
            labels = labels.astype(np.int32)
        elif labels.dtype in (np.uint32, np.uint64):
            labels = labels.astype(np.int64)
        labels = torch.from_numpy(np.ascontiguousarray(labels))
    if labels.dtype == torch.bool:
        labels = labels.to(torch.uint8)
    if labels.is_floating_point():
        raise DataError(f'the {name} label map is {labels.dtype}, expected hard integer labels (take the arg-max).')
    return labels.detach().reshape(-1)
