"""Label maps moved by a displacement, without one-hot volumes."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from mmreg.errors import InputError
from mmreg.spatial._checks import Padding, check_field, check_padding, coordinate_dtype
from mmreg.spatial.grid import axis_index
from mmreg.spatial.warp import MODES, warp

#: Voxels handled at a time by the linear mode; bounds its memory, whatever the volume and the number of labels.
CHUNK = 1 << 18


def warp_labels(labels: Tensor, displacement: Tensor, mode: str = 'nearest', padding: Padding = 'zeros') -> Tensor:
    """Warp an integer label map.

    Args:
        labels: ``(N, 1, *spatial)``, integers, any number of classes.
        displacement: ``(N, ndim, *spatial)`` voxels, pull-back.
        mode: 'nearest', or 'linear': the label with the largest linearly interpolated weight, that is, the arg-max of
            the linearly warped one-hot encoding (smallest label when weights are equal). The encoding is never
            built: of the 2^ndim voxels around a position only the labels present are weighed.
        padding: outside the volume: 'zeros' (label 0) or 'border'.

    Returns:
        ``(N, 1, *spatial)``, dtype of ``labels``; not differentiable.

    Raises:
        InputError: labels are not integers, shapes do not match, unknown mode or padding.

    Source: golden eoir/ops ``warp_nearest`` and ``warp_onehot_argmax``.
    """
    if labels.is_floating_point() or labels.shape[1] != 1:
        raise InputError(
            f'labels have shape {tuple(labels.shape)} and dtype {labels.dtype}, expected integers (N, 1, *spatial).'
        )
    if mode not in MODES:
        raise InputError(f'mode is {mode!r}, expected one of {MODES}.')
    check_padding(padding)
    if mode == 'nearest':
        return warp(labels, displacement.detach(), 'nearest', padding)
    ndim = check_field(displacement)
    if labels.shape[2:] != displacement.shape[2:]:
        raise InputError(
            f'displacement lives on a grid of size {tuple(displacement.shape[2:])}, '
            f'expected the size of the labels {tuple(labels.shape[2:])}.'
        )
    batch = max(labels.shape[0], displacement.shape[0])
    out = labels.new_empty((batch, labels[0].numel()))
    for n in range(batch):
        source = labels[n if labels.shape[0] > 1 else 0].flatten()
        field = displacement[n if displacement.shape[0] > 1 else 0].detach()
        _vote(source, field.reshape(ndim, -1), tuple(labels.shape[2:]), padding, out[n])
    return out.view(batch, 1, *labels.shape[2:])


def _vote(source: Tensor, field: Tensor, size: tuple[int, ...], padding: Padding, out: Tensor) -> None:
    """Fill ``out`` (V,) with the heaviest label around each displaced position, chunk by chunk."""
    dtype = coordinate_dtype(field)
    axes = [axis_index(size, i, device=field.device, dtype=dtype).expand(size).reshape(-1) for i in range(len(size))]
    for start in range(0, out.numel(), CHUNK):
        part = slice(start, start + CHUNK)
        positions = [axes[i][part] + field[i, part].to(dtype) for i in range(len(size))]
        values, weights = _corners(source, positions, size, padding)
        best = values[0].clone()
        mixed = ((values != best).any(0) | (weights.sum(0) <= 0)).nonzero()[:, 0]
        best[mixed] = _heaviest(values[:, mixed], weights[:, mixed])
        out[part] = best


def _corners(source: Tensor, positions: list[Tensor], size: tuple[int, ...], padding: Padding) -> tuple[Tensor, Tensor]:
    """Labels and linear weights of the 2^ndim voxels around each position, both ``(2^ndim, V)``."""
    lower, upper_weight = [], []
    for position, n in zip(positions, size):
        position = position.nan_to_num(nan=-2.0).clamp(-2.0, n + 1.0)
        if padding == 'border':
            position = position.clamp(0, n - 1)
        floor = position.floor()
        lower.append(floor.long())
        upper_weight.append(position - floor)
    values, weights = [], []
    for corner in product((0, 1), repeat=len(size)):
        index = torch.zeros_like(lower[0])
        weight = torch.ones_like(upper_weight[0])
        for i, (step, n) in enumerate(zip(corner, size)):
            at = lower[i] + step
            inside = (at >= 0) & (at < n)
            weight = weight * (upper_weight[i] if step else 1 - upper_weight[i]) * inside
            index = index * n + at.clamp_(0, n - 1)
        values.append(source[index])
        weights.append(weight)
    return torch.stack(values), torch.stack(weights)


def _heaviest(values: Tensor, weights: Tensor) -> Tensor:
    """The label with the largest sum of weights in each column; the smaller one of equals; 0 if all weights are 0."""
    best = torch.zeros_like(values[0])
    top = torch.zeros_like(weights[0])
    for value in values:
        score = (weights * (values == value)).sum(0)
        better = (score > top) | ((score == top) & (score > 0) & (value < best))
        best = torch.where(better, value, best)
        top = torch.where(better, score, top)
    return best
