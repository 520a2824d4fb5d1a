"""What happens to a pair of short-axis stacks before a slice is taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmreg.errors import ConfigError
from mmreg.registry import TRANSFORMS

from .grid import crop_group, foreground_box
from .roles import FIXED, MOVING, groups, refuse_displacement, shift_origin, size_of


@TRANSFORMS.register_module()
class CropAroundLabels:
    """Crops or pads to one size around the middle of the labels, the same box for all images of the sample.

    The middle is that of the box around all labels above 0, fixed and moving together; where there are none, that of
    the grid. Zeros outside.

    Args:
        size: Voxels per axis; None keeps an axis.
    """

    def __init__(self, size: Sequence[int | None]):
        self.size = tuple(size)

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample = dict(sample)
        present = list(groups(sample))
        old = np.array(size_of(sample, present[0]))
        if len(old) != len(self.size):
            raise ConfigError(f'CropAroundLabels got size={self.size} for an image of shape {tuple(old)}.')
        new = np.array([n if s is None else s for n, s in zip(old, self.size)])
        start = np.where([s is None for s in self.size], 0, self._middle(sample, old) - new // 2)
        for group in present:
            crop_group(sample, group, start, tuple(int(n) for n in new))
        return sample

    @staticmethod
    def _middle(sample: dict[str, Any], size: np.ndarray) -> np.ndarray:
        found = [sample[g.labels][0] > 0 for g in groups(sample) if sample.get(g.labels) is not None]
        inside = np.any(found, axis=0) if found else np.zeros(1, bool)
        if not inside.any():
            return size // 2
        low, high = foreground_box(inside)
        return (low + high) // 2


@TRANSFORMS.register_module()
class CleanStackLabels:
    """Zeroes the labels of a slice in both frames unless every class overlaps there in at least one voxel.

    For validation and test of M&Ms, whose outer slices are labelled in one frame only. A pair without label maps stays
    as it is. Source: golden gradirn/data.

    Args:
        classes: All of them, background included.
        axis: The stack's axis.
    """

    def __init__(self, classes: Sequence[int] = (0, 1, 2, 3), axis: int = 2):
        self.classes = tuple(classes)
        self.axis = axis

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample = dict(sample)
        if sample.get('fixed_labels') is None or sample.get('moving_labels') is None:
            return sample
        kept = overlapping_slices(sample['fixed_labels'][0], sample['moving_labels'][0], self.classes, self.axis)
        shape = [1] * sample['fixed_labels'].ndim
        shape[self.axis + 1] = -1
        for key in ('fixed_labels', 'moving_labels'):
            sample[key] = (sample[key] * kept.reshape(shape)).astype(sample[key].dtype)
        return sample


def overlapping_slices(fixed: np.ndarray, moving: np.ndarray, classes: Sequence[int], axis: int) -> np.ndarray:
    """For each slice along ``axis``, whether every class has a voxel that both label maps give it."""
    others = tuple(a for a in range(fixed.ndim) if a != axis)
    overlaps = [((fixed == value) & (moving == value)).any(axis=others) for value in classes]
    return np.all(overlaps, axis=0)


def slice_positions(count: int, positions: Sequence[float], limits: tuple[int, int] | None = None) -> list[int]:
    """Slices at relative positions: ``floor(f * number)`` within ``[first, last)``. Source: golden gradirn/data."""
    first, last = limits or (0, count)
    return [first + int(np.floor(f * (last - first))) for f in positions]


def take_slice(sample: dict[str, Any], number: int) -> dict[str, Any]:
    """The 2-D pair of slice ``number`` along the last axis of a pair of stacks."""
    sample = dict(sample)
    refuse_displacement(sample, take_slice)
    for group in (FIXED, MOVING):
        for key in (group.image, *group.discrete):
            if sample.get(key) is not None:
                sample[key] = np.ascontiguousarray(sample[key][..., number])
        sample.pop(f'{group.prefix}label_values', None)
        if sample.get(group.affine) is not None:
            sample[group.affine] = shift_origin(sample[group.affine], np.array([0, 0, number]))
    return sample
