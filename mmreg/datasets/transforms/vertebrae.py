"""Label maps of vertebrae: which labels two scans share, the box around them, crops centred on one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mmreg.errors import ConfigError, DataError
from mmreg.registry import TRANSFORMS

from .grid import Box, CenterCrop, crop_group, foreground_box, grow_to_multiple
from .intensity import generator
from .roles import FIXED, MOVING, Group, groups, name_of, size_of

#: Vertebrae with as many voxels or fewer are left out of training, as published.
MIN_VOXELS = 500


def common_labels(fixed: np.ndarray, moving: np.ndarray) -> list[int]:
    """Sorted label values that occur in both maps, 0 included where it does."""
    return [int(v) for v in np.intersect1d(np.unique(fixed), np.unique(moving))]


def keep_labels(labels: np.ndarray, classes: Iterable[int]) -> np.ndarray:
    """``labels`` with every value that is not among ``classes`` set to 0."""
    return np.where(np.isin(labels, list(classes)), labels, 0).astype(labels.dtype)


def merge_labels(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """Shared labels of two maps in one: the fixed label where it is not 0, else the moving one."""
    classes = common_labels(fixed, moving)
    first, second = keep_labels(fixed, classes), keep_labels(moving, classes)
    return np.where(first != 0, first, second)


def one_hot(labels: np.ndarray, classes: Iterable[int]) -> np.ndarray:
    """``(K, *labels.shape)`` uint8; a voxel with a value that is not among ``classes`` is 0 in every channel."""
    return np.stack([labels == value for value in classes]).astype(np.uint8)


def _label_groups(sample: dict[str, Any]) -> list[Group]:
    """The groups of a pair (or the subject) that have a label map."""
    return [group for group in groups(sample) if sample.get(group.labels) is not None]


def _keep_in(sample: dict[str, Any], present: Sequence[Group], classes: Iterable[int]) -> dict[str, Any]:
    sample = dict(sample)
    for group in present:
        sample[group.labels] = keep_labels(sample[group.labels], classes)
        sample[f'{group.prefix}label_values'] = np.unique(sample[group.labels])
    return sample


@TRANSFORMS.register_module()
class CommonVertebrae:
    """Sets labels that the two maps of a pair do not share to 0; a pair with one label map passes unchanged."""

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        present = _label_groups(sample)
        if len(present) < 2:
            return dict(sample)
        return _keep_in(sample, present, common_labels(*(sample[group.labels] for group in present)))


@TRANSFORMS.register_module()
class DropSmallVertebrae:
    """Sets labels with at most ``min_voxels`` voxels in either map to 0 in both.

    Args:
        min_voxels: 500 as published.
    """

    def __init__(self, min_voxels: int = MIN_VOXELS):
        self.min_voxels = min_voxels

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        present = _label_groups(sample)
        classes = large_labels([sample[group.labels] for group in present], self.min_voxels)
        return _keep_in(sample, present, classes)


def large_labels(maps: Sequence[np.ndarray], min_voxels: int) -> set[int]:
    """Labels but 0 with more than ``min_voxels`` voxels in every one of ``maps``."""
    found: set[int] | None = None
    for labels in maps:
        values, counts = np.unique(labels, return_counts=True)
        large = {int(v) for v, n in zip(values, counts) if v != 0 and n > min_voxels}
        found = large if found is None else found & large
    return found or set()


@TRANSFORMS.register_module()
class CropVertebrae:
    """Crops a pair to the box around the labels of both maps; zeros where the box leaves the grid.

    Each map's tight box first grows to the multiple, then the union of both does, as published. A map that is missing
    or empty does not count; without any the whole grid grows to the multiple. The affine tells where the box lies.

    Args:
        multiple: Each axis of the box is a multiple of this.

    Raises:
        DataError: the two grids differ in shape.

    Source: golden spine_biomech/label_transforms.
    """

    def __init__(self, multiple: int = 16):
        self.multiple = multiple

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample = dict(sample)
        present = list(groups(sample))
        sizes = {size_of(sample, group) for group in present}
        if len(sizes) > 1:
            raise DataError(
                f'{name_of(sample, present[0])}: CropVertebrae found the shapes {sorted(sizes)}, expected one.'
            )
        low, high = self._box(sample, sizes.pop())
        for group in present:
            crop_group(sample, group, low, tuple(int(n) for n in high - low))
        return sample

    def _box(self, sample: dict[str, Any], size: Sequence[int]) -> Box:
        maps = [np.any(sample[group.labels] > 0, axis=0) for group in _label_groups(sample)]
        boxes = [grow_to_multiple(foreground_box(inside), self.multiple) for inside in maps if inside.any()]
        boxes = boxes or [(np.zeros(len(size), int), np.array(size))]
        union = np.min([low for low, _ in boxes], axis=0), np.max([high for _, high in boxes], axis=0)
        return grow_to_multiple(union, self.multiple)


@TRANSFORMS.register_module()
class RandomVertebraCrop:
    """A crop of a pair centred on a voxel of a label that is drawn first; smaller volumes are padded with zeros.

    The label is drawn among those of the merged maps, background included, each as likely; then the voxel. Crops in
    which no vertebra has more than ``min_voxels`` voxels in both maps are drawn again, up to ``attempts`` times: the
    published loop skips them.

    Args:
        size: Voxels per axis.
        num_classes: Labels from this one on are never drawn; None draws among all.
        min_voxels: See above.
        attempts: 1 takes the first crop, whatever is in it.
    """

    def __init__(
        self,
        size: Sequence[int],
        num_classes: int | None = 26,
        min_voxels: int = MIN_VOXELS,
        attempts: int = 10,
    ):
        if min(size) < 1 or attempts < 1:
            raise ConfigError(f'RandomVertebraCrop got size={size}, attempts={attempts}, expected positive numbers.')
        self.size, self.num_classes, self.min_voxels = np.array(size), num_classes, min_voxels
        self.attempts = attempts
        self._pad = CenterCrop([int(n) for n in size])

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        rng = generator(sample)
        shape = np.array(size_of(sample, FIXED))
        if len(shape) != len(self.size):
            raise ConfigError(f'RandomVertebraCrop got size={self.size.tolist()} for an image of shape {tuple(shape)}.')
        places = self._places(sample, shape)
        size = np.minimum(self.size, shape)
        for _ in range(self.attempts):
            centre = places[rng.integers(len(places))]
            centre = np.array(np.unravel_index(centre[rng.integers(len(centre))], shape))
            start = np.clip(centre - size // 2, 0, shape - size)
            if self._enough(sample, start, size):
                break
        result = dict(sample)
        for group in (FIXED, MOVING):
            crop_group(result, group, start, tuple(int(n) for n in size))
        return self._pad(result)

    def _places(self, sample: dict[str, Any], shape: np.ndarray) -> list[np.ndarray]:
        """Flat voxel numbers per label to draw from."""
        maps = [sample[group.labels][0] for group in _label_groups(sample)]
        if not maps:
            return [np.arange(int(shape.prod()))]
        merged = merge_labels(*maps) if len(maps) == 2 else maps[0]
        values = [v for v in np.unique(merged) if self.num_classes is None or v < self.num_classes]
        return [np.flatnonzero(merged == v) for v in values] or [np.arange(int(shape.prod()))]

    def _enough(self, sample: dict[str, Any], start: np.ndarray, size: np.ndarray) -> bool:
        box = tuple(slice(int(a), int(a + n)) for a, n in zip(start, size))
        maps = [sample[group.labels][0][box] for group in _label_groups(sample)]
        return not maps or bool(large_labels(maps, self.min_voxels))
