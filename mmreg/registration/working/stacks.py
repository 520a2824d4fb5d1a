"""2-D models on 3-D images: which axis counts the slices, and slices to and from volumes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mmreg.io import Geometry

#: An axis whose voxels are so many times longer than those of the two others is that of the slices.
_THICKER = 1.5


def stack_axis(geometry: Geometry) -> int:
    """The axis along which a volume is a stack of slices: of one voxel, of clearly thickest ones, else the last."""
    if 1 in geometry.shape:
        return geometry.shape.index(1)
    spacing = np.asarray(geometry.spacing)
    thickest = int(spacing.argmax())
    others = np.delete(spacing, thickest)
    return thickest if spacing[thickest] > _THICKER * others.max() else geometry.ndim - 1


def slices_of(arrays: Mapping[str, np.ndarray], axis: int) -> dict[str, np.ndarray]:
    """``(C, *S)`` arrays of one pair as slices ``(n, C, *S without axis)``."""
    return {key: np.ascontiguousarray(np.moveaxis(array, axis + 1, 0)) for key, array in arrays.items()}


def volume_of(slices: Tensor, axis: int) -> Tensor:
    """Displacement ``(3, *S)`` of a volume from those of its slices ``(n, 2, ...)``; nothing moves along ``axis``."""
    field = slices.movedim(0, axis + 1)  # (2, *S)
    still = torch.zeros_like(field[:1])
    return torch.cat([field[:axis], still, field[axis:]])


def in_space(fields: Tensor, axis: int | None) -> Tensor:
    """Displacements ``(N, 2, ...)`` of single slices as ``(N, 3, ...)`` of volumes; as they are where axis is None."""
    return fields if axis is None else torch.stack([volume_of(one[None], axis) for one in fields])


def in_plane(fields: Tensor, axis: int | None) -> Tensor:
    """Undo :func:`in_space`: what moves along ``axis`` and the axis itself are left out.

    Example:
        >>> in_plane(in_space(torch.ones(1, 2, 4, 5), 1), 1).shape
        torch.Size([1, 2, 4, 5])
    """
    if axis is None:
        return fields
    kept = [component for component in range(fields.shape[1]) if component != axis]
    return fields[:, kept].squeeze(axis + 2)
