"""Label maps moved by a displacement, without one-hot volumes."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from mmreg.errors import InputError

from ._checks import Padding, check_field, check_padding, coordinate_dtype
from .grid import axis_index
from .warp import MODES, warp

#: Voxels handled at a time by the linear mode: bounds its memory, whatever the volume and the number of labels.
CHUNK = 1 << 17

#: Marks a voxel outside the volume.
NOWHERE = torch.iinfo(torch.int64).min


def warp_labels(labels: Tensor, displacement: Tensor, mode: str = 'nearest', padding: Padding = 'zeros') -> Tensor:
    """Warp an integer label map.

    Args:
        labels: ``(N, 1, *spatial)``, integers, any number of classes.
        displacement: ``(N, ndim, *spatial)`` voxels, pull-back. A batch of one serves all samples of the other.
        mode: 'nearest', or 'linear': the label with the largest linearly interpolated weight, that is, the arg-max of
            the linearly warped one-hot encoding (smallest label when weights are equal). The encoding is never
            built: only the labels of the 2^ndim voxels around a position are weighed.
        padding: outside the volume: 'zeros' (label 0) or 'border'.

    Returns:
        ``(N, 1, *spatial)``, dtype of ``labels``; not differentiable.

    Raises:
        InputError: labels are not integers, shapes do not match, unknown mode or padding.

    Source: golden eoir/ops ``warp_nearest`` and ``warp_onehot_argmax``.

    Example:
        >>> labels = torch.tensor([[[[0, 1, 2, 3]]]])
        >>> shift = torch.zeros(1, 2, 1, 4)
        >>> shift[:, 1] = 1
        >>> warp_labels(labels, shift).tolist()
        [[[[1, 2, 3, 0]]]]
    """
    if labels.is_floating_point() or labels.dim() < 4 or labels.shape[1] != 1:
        raise InputError(
            f'labels have shape {tuple(labels.shape)} and dtype {labels.dtype}, expected integers (N, 1, *spatial).'
        )
    if mode not in MODES:
        raise InputError(f'mode is {mode!r}, expected one of {MODES}.')
    check_padding(padding)
    check_field(displacement)
    if mode == 'nearest':
        return warp(labels, displacement.detach(), 'nearest', padding)
    if labels.shape[2:] != displacement.shape[2:]:
        raise InputError(
            f'displacement lives on a grid of size {tuple(displacement.shape[2:])}, '
            f'expected the size of the labels {tuple(labels.shape[2:])}.'
        )
    return _vote(labels, displacement.detach(), padding)


def _vote(labels: Tensor, field: Tensor, padding: Padding) -> Tensor:
    """The heaviest label around each displaced position, sample by sample and some rows at a time."""
    size = tuple(labels.shape[2:])
    batch = max(labels.shape[0], field.shape[0])
    out = labels.new_empty((batch, *size))
    step = max(1, CHUNK // max(1, out[0, 0].numel()))
    for n in range(batch):
        source = _Source(labels[n % labels.shape[0], 0])
        for first in range(0, size[0], step):
            part = field[n % field.shape[0], :, first : first + step]
            lower, upper = _positions(part, first, size, padding)
            out[n, first : first + step] = source.vote(lower, upper).view(part.shape[1:])
    return out.unsqueeze(1)


def _positions(field: Tensor, first: int, size: tuple[int, ...], padding: Padding) -> tuple[list[Tensor], list[Tensor]]:
    """Per axis the voxel below each displaced position and the fraction above it, for the rows from ``first`` on."""
    lower, upper = [], []
    dtype = coordinate_dtype(field)
    for i, n in enumerate(size):
        index = axis_index(size, i, device=field.device, dtype=dtype)
        index = index[first : first + field.shape[1]] if i == 0 else index
        position = (index + field[i].to(dtype)).nan_to_num_(nan=-1.0).flatten()
        # At -1 and at n every voxel of the volume has weight zero.
        position.clamp_(*((-1, n) if padding == 'zeros' else (0, n - 1)))
        floor = position.floor()
        upper.append(position.sub_(floor))
        lower.append(floor.long())
    return lower, upper


class _Source:
    """A label map inside a frame of voxels that are nowhere, so that every neighbour can be looked up."""

    def __init__(self, labels: Tensor) -> None:
        framed = torch.full([n + 3 for n in labels.shape], NOWHERE, dtype=torch.int64, device=labels.device)
        framed[tuple(slice(1, n + 1) for n in labels.shape)] = labels
        self.strides = framed.stride()
        self.values = framed.flatten()
        self.corners = list(product((0, 1), repeat=labels.dim()))

    def vote(self, lower: list[Tensor], upper: list[Tensor]) -> Tensor:
        """The heaviest label around each position, 0 where there is none."""
        base = torch.zeros_like(lower[0])
        for index, stride in zip(lower, self.strides):
            base.add_(index, alpha=stride).add_(stride)
        best = self.values[base]
        mixed = torch.zeros_like(best, dtype=torch.bool)
        for corner in self.corners[1:]:
            mixed |= self._look_up(base, corner) != best
        # Where all neighbours agree there is nothing to weigh.
        chosen = mixed.nonzero()[:, 0]
        best[chosen] = self._weigh(base[chosen], [u[chosen] for u in upper])
        return best.masked_fill_(best == NOWHERE, 0)

    def _look_up(self, base: Tensor, corner: tuple[int, ...]) -> Tensor:
        return self.values[base + sum(c * s for c, s in zip(corner, self.strides))]

    def _weigh(self, base: Tensor, upper: list[Tensor]) -> Tensor:
        values = torch.stack([self._look_up(base, corner) for corner in self.corners])
        weights = torch.stack([_weight(upper, corner) for corner in self.corners])
        weights.masked_fill_(values == NOWHERE, 0)
        # A label with more than half of the weight has won; of the others all candidates are compared.
        best = values.gather(0, weights.argmax(0, keepdim=True))[0]
        open_ = (((values == best) * weights).sum(0) <= 0.5).nonzero()[:, 0]
        best[open_] = _heaviest(values[:, open_], weights[:, open_])
        return best


def _weight(upper: list[Tensor], corner: tuple[int, ...]) -> Tensor:
    weight = torch.ones_like(upper[0])
    for fraction, step in zip(upper, corner):
        weight = weight * (fraction if step else 1 - fraction)
    return weight


def _heaviest(values: Tensor, weights: Tensor) -> Tensor:
    """The label with the largest sum of weights in each column, the smaller one of equals; 0 if there is no weight."""
    best = torch.zeros_like(values[0])
    top = torch.zeros_like(weights[0])
    for value in values:
        score = ((values == value) * weights).sum(0)
        better = (score > top) | ((score == top) & (score > 0) & (value < best))
        best = torch.where(better, value, best)
        top = torch.where(better, score, top)
    return best
