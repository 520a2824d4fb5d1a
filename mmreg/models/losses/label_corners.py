"""The corners around the points at which a label map is read: what a linearly warped one-hot volume consists of.

A linearly warped one-hot volume is non-zero, at each voxel, for the labels of the 2^ndim corners around the sampled
point only, whatever the number of classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from mmreg.errors import DataError
from mmreg.spatial.constants import constant
from mmreg.spatial.grid import axis_index

#: Voxels handled at once: on the CPU few enough for the working buffers to stay in cache.
BLOCK = (1 << 14, 1 << 20)
#: Label values below it are looked up in a table, larger ones are searched.
LARGEST = 1 << 16


class Block(NamedTuple):
    """Rows of voxels of one sample with the 2^ndim corners around their sampled points.

    ``rows`` along the first axis; ``label`` (2,) * ndim + (B,) class of each corner, ``same`` where it is the fixed
    class, ``step`` (ndim, B) position between the corners, ``weight`` the mask (B,) or 1.
    """

    rows: slice
    label: Tensor
    same: Tensor
    step: Tensor
    weight: Tensor | float


def class_index(labels: Tensor, classes: Sequence[int]) -> Tensor:
    """Position of each label (N, 1, *S) in ``classes`` as int32 (N, *S); ``len(classes)`` for labels not listed."""
    labels = labels[:, 0] if labels.dtype == torch.long else labels[:, 0].int()
    listed = [int(value) for value in classes]
    if listed and min(listed) >= 0 and max(listed) < LARGEST:
        top = max(listed) + 1
        # the first entry is for labels below 0, the last for those beyond all classes
        entries = [len(listed)] * (top + 2)
        for place, value in enumerate(listed):
            entries[value + 1] = place
        table = constant(entries, labels, torch.int32)
        return table.index_select(0, (labels.clamp(-1, top) + 1).flatten()).view(labels.shape)
    if not listed:
        return torch.zeros_like(labels, dtype=torch.int32)
    ascending, order = constant(listed, labels, torch.long).sort()
    found = torch.searchsorted(ascending, labels.contiguous()).clamp_max_(len(listed) - 1)
    return torch.where(ascending[found] == labels, order[found], len(listed)).int()


def check_labels(moving_labels: Tensor, fixed_labels: Tensor, displacement: Tensor) -> None:
    """Refuse label maps, not ``(N, 1, *S)``, that do not fit the displacement."""
    if fixed_labels.shape[2:] != displacement.shape[2:] or moving_labels.dim() != displacement.dim():
        raise DataError(
            f'Label overlap: moving labels {tuple(moving_labels.shape)}, fixed labels {tuple(fixed_labels.shape)} and '
            f'displacement {tuple(displacement.shape)} do not fit, expected (N, 1, *M), (N, 1, *S), (N, ndim, *S).'
        )


def blocks(field: Tensor, moving: Tensor, fixed: Tensor, mask: Tensor | None, classes: int) -> Iterator[Block]:
    """The voxels of one sample, some rows at a time; ``field`` (ndim, *S), class indices (*M) and (*S)."""
    size, ndim = fixed.shape, fixed.dim()
    # two voxels of margin: a point anywhere outside has all its corners in it
    padded = F.pad(moving, [2] * (2 * ndim), value=classes)
    strides = padded.stride()
    offsets = sum(
        constant([0, stride], field, torch.long).view([2 if a == axis else 1 for a in range(ndim)] + [1])
        for axis, stride in enumerate(strides)
    )
    padded = padded.flatten()
    count = max(BLOCK[field.device.type != 'cpu'] // max(fixed[0].numel(), 1), 1)
    for start in range(0, size[0], count):
        rows = slice(start, min(start + count, size[0]))
        base, step = torch.zeros((), dtype=torch.long, device=field.device), []
        for axis, stride in enumerate(strides):
            index = axis_index(size, axis, device=field.device, dtype=field.dtype)
            point = field[axis, rows] + (index[rows] if axis == 0 else index)
            floor = point.floor()
            step.append((point - floor).flatten())
            base = base + (floor.nan_to_num_(nan=-2.0).clamp_(-2, moving.shape[axis]).long() + 2) * stride
        label = look_up(padded, base.flatten() + offsets)
        target = fixed[rows].flatten()
        weight = 1.0 if mask is None else mask[rows].flatten()
        yield Block(rows, label, label == target, torch.stack(step), weight)


def look_up(table: Tensor, index: Tensor) -> Tensor:
    """``table[index]``, ``table`` ``(K,)``, in the shape of ``index``."""
    return table.index_select(0, index.flatten()).view(index.shape)


def corner_weights(step: Tensor) -> Tensor:
    """Linear weights (2,) * ndim + (B,) of the corners."""
    weight = step.new_ones(1)
    for t in step:
        weight = torch.stack([weight * (1 - t), weight * t], -2)
    return weight


def interpolation_slopes(corner: Tensor, step: Tensor) -> Tensor:
    """Derivatives (ndim, B) of the linear interpolation of corner values (2,) * ndim + (B,) along each axis."""
    value = corner
    slopes: list[Tensor] = []
    for t in reversed(step):  # the last axis first: it is the last one left in front of B
        slopes = [torch.lerp(s[..., 0, :], s[..., 1, :], t) for s in slopes]
        slopes.append(value[..., 1, :] - value[..., 0, :])
        value = torch.lerp(value[..., 0, :], value[..., 1, :], t)
    return torch.stack(slopes[::-1])
