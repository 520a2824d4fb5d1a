"""Grids: crop, pad, flip, resample. Image, labels, mask, points, affine and a known displacement change together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from mmreg.errors import ConfigError, DataError
from mmreg.registry import TRANSFORMS

from .intensity import generator
from .roles import DISPLACEMENT, FIXED, Group, groups, name_of, refuse_displacement, scale_axes, shift_origin, size_of

Box = tuple[np.ndarray, np.ndarray]


def crop_group(sample: dict[str, Any], group: Group, start: np.ndarray, size: Sequence[int]) -> None:
    """Replace a group's grid by the box ``[start, start + size)`` of it; zeros where the box leaves the grid."""
    keys = (group.image, *group.discrete, *((DISPLACEMENT,) if group == FIXED else ()))
    for key in keys:
        if sample.get(key) is not None:
            sample[key] = crop_array(sample[key], start, size)
    if sample.get(group.landmarks) is not None:
        sample[group.landmarks] = (sample[group.landmarks] - start).astype(np.float32)
    if sample.get(group.affine) is not None:
        sample[group.affine] = shift_origin(sample[group.affine], start)


def crop_array(array: np.ndarray, start: Sequence[int] | np.ndarray, size: Sequence[int]) -> np.ndarray:
    """The box ``[start, start + size)`` of the spatial axes of ``(C, *spatial)``, zeros outside."""
    out = np.zeros((array.shape[0], *size), dtype=array.dtype)
    source, target = [slice(None)], [slice(None)]
    for begin, wanted, n in zip(start, size, array.shape[1:]):
        low, high = max(int(begin), 0), min(int(begin) + int(wanted), n)
        source.append(slice(low, max(low, high)))
        target.append(slice(low - int(begin), max(low, high) - int(begin)))
    out[tuple(target)] = array[tuple(source)]
    return out


@TRANSFORMS.register_module()
class CenterCrop:
    """Crops or pads each axis to one size around its middle (start ``floor((n - size)/2)``, zeros outside).

    Args:
        size: Voxels per axis; None keeps an axis.
    """

    def __init__(self, size: Sequence[int | None]):
        self.size = tuple(size)

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample = dict(sample)
        present = list(groups(sample))
        starts = {}
        for group in present:
            old = size_of(sample, group)
            if len(old) != len(self.size):
                raise ConfigError(f'CenterCrop got size={self.size} for an image of shape {old}.')
            new = np.array([n if s is None else s for n, s in zip(old, self.size)])
            # Floor for cropping, and the same number of zeros before as floor((size - n)/2) for padding.
            difference = np.array(old) - new
            starts[group] = (np.where(difference >= 0, difference // 2, -(-difference // 2)), new)
        if len({tuple(start) for start, _ in starts.values()}) > 1:
            refuse_displacement(sample, self)
        for group, (start, new) in starts.items():
            crop_group(sample, group, start, tuple(new))
        return sample


@TRANSFORMS.register_module()
class PadTo:
    """Pads each axis with zeros at its end to a multiple, or to a least size. Affine and points stay valid.

    Args:
        multiple: Each axis becomes a multiple of this, one number or one per axis.
        least: Each axis gets at least so many voxels.
    """

    def __init__(self, multiple: int | Sequence[int] = 16, least: int | Sequence[int] = 1):
        self.multiple = multiple
        self.least = least

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample = dict(sample)
        for group in list(groups(sample)):
            old = np.array(size_of(sample, group))
            multiple = np.broadcast_to(self.multiple, old.shape)
            new = -(-np.maximum(old, self.least) // multiple) * multiple
            crop_group(sample, group, np.zeros_like(old), tuple(int(n) for n in new))
        return sample


@TRANSFORMS.register_module()
class CropForeground:
    """Crops to the box around what is not 0; a pair is cropped to the union of its two boxes.

    Args:
        source: What the box is drawn around: 'image', 'labels' or 'mask'.
        threshold: Foreground is above this value.
        margin: Voxels added on every side.
        multiple: The box grows to a multiple of this per axis, ``floor(extra/2)`` voxels before and the rest after,
            with zeros where it leaves the image.

    Raises:
        DataError: nothing is above the threshold, or a pair whose two grids differ in shape.
    """

    def __init__(
        self, source: str = 'image', threshold: float = 0.0, margin: int = 0, multiple: int | Sequence[int] = 1
    ):
        if source not in ('image', 'labels', 'mask'):
            raise ConfigError(f"CropForeground got source={source!r}, expected 'image', 'labels' or 'mask'.")
        self.source, self.threshold, self.margin, self.multiple = source, threshold, margin, multiple

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample = dict(sample)
        present = list(groups(sample))
        sizes = {size_of(sample, group) for group in present}
        if len(sizes) > 1:
            raise DataError(
                f'{name_of(sample, present[0])}: CropForeground found the shapes {sorted(sizes)}, expected one.'
            )
        boxes = [self._box(sample, group) for group in present]
        low = np.min([box[0] for box in boxes], axis=0)
        high = np.max([box[1] for box in boxes], axis=0)
        low, high = grow_to_multiple((low, high), self.multiple)
        for group in present:
            crop_group(sample, group, low, tuple(int(n) for n in high - low))
        return sample

    def _box(self, sample: dict[str, Any], group: Group) -> Box:
        key = {'image': group.image, 'labels': group.labels, 'mask': group.mask}[self.source]
        if sample.get(key) is None:
            raise DataError(f'{name_of(sample, group)}: CropForeground found no {key!r}, only {sorted(sample)}.')
        inside: np.ndarray = np.any(np.asarray(sample[key]) > self.threshold, axis=0)
        if not inside.any():
            raise DataError(
                f'{name_of(sample, group)}: CropForeground found no voxel above {self.threshold} in {key!r}.'
            )
        low, high = foreground_box(inside)
        size = np.array(inside.shape)
        return np.maximum(low - self.margin, 0), np.minimum(high + self.margin, size)


def foreground_box(inside: np.ndarray) -> Box:
    """``(low, high)`` of the smallest box around the True voxels, ``high`` exclusive."""
    low, high = [], []
    for axis in range(inside.ndim):
        line = np.flatnonzero(inside.any(axis=tuple(a for a in range(inside.ndim) if a != axis)))
        low.append(line[0])
        high.append(line[-1] + 1)
    return np.array(low), np.array(high)


def grow_to_multiple(box: Box, multiple: int | Sequence[int]) -> Box:
    """The box grown to a multiple of voxels per axis: ``floor(extra/2)`` before, the rest after."""
    low, high = np.asarray(box[0]), np.asarray(box[1])
    step = np.broadcast_to(multiple, low.shape)
    extra = -(high - low) % step
    return low - extra // 2, high + extra - extra // 2


@TRANSFORMS.register_module()
class RandomFlip:
    """Mirrors everything of a pair together along each of some axes, each with its own coin.

    Args:
        axes: Spatial axes that may be mirrored.
        prob: Probability per axis.
    """

    def __init__(self, axes: Sequence[int] = (0,), prob: float = 0.5):
        self.axes = tuple(axes)
        self.prob = prob

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample = dict(sample)
        rng = generator(sample)
        for axis in self.axes:
            if rng.random() < self.prob:
                for group in list(groups(sample)):
                    flip_group(sample, group, axis)
        return sample


def flip_group(sample: dict[str, Any], group: Group, axis: int) -> None:
    """Mirror a group's grid along one spatial axis; the affine keeps every voxel at its place in the world."""
    last = size_of(sample, group)[axis] - 1
    for key in (group.image, *group.discrete):
        if sample.get(key) is not None:
            sample[key] = np.ascontiguousarray(np.flip(sample[key], axis + 1))
    if sample.get(group.landmarks) is not None:
        points = sample[group.landmarks].copy()
        points[:, axis] = last - points[:, axis]
        sample[group.landmarks] = points
    if sample.get(group.affine) is not None:
        offset = np.zeros(axis + 1)
        offset[axis] = last
        affine = shift_origin(sample[group.affine], offset)
        affine[:-1, axis] *= -1
        sample[group.affine] = affine
    if group == FIXED and sample.get(DISPLACEMENT) is not None:
        field = np.ascontiguousarray(np.flip(sample[DISPLACEMENT], axis + 1))
        field[axis] *= -1
        sample[DISPLACEMENT] = field


@TRANSFORMS.register_module()
class Zoom:
    """Resamples by a factor with splines and corners aligned (``scipy.ndimage.zoom``); labels by nearest neighbour.

    Output sizes are ``round(n * factor)``. Source of factor 0.5, order 2 (published with ``mode='constant'``): golden
    eoir/data.

    Args:
        factor: One number or one per axis; 0.5 halves.
        order: Spline order of images; labels and masks use 0.
        mode: What lies outside. With scipy's own default, 'constant', the last plane of some sizes (26, 28, 48, ...)
            is lost to rounding and comes out as zeros; 'mirror' is the same otherwise.
    """

    def __init__(self, factor: float | Sequence[float] = 0.5, order: int = 2, mode: str = 'mirror'):
        self.factor = factor
        self.order = order
        self.mode = mode

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample = dict(sample)
        refuse_displacement(sample, self)
        for group in list(groups(sample)):
            self._zoom_group(sample, group)
        return sample

    def _zoom_group(self, sample: dict[str, Any], group: Group) -> None:
        old = np.array(size_of(sample, group))
        factors = tuple(float(f) for f in np.broadcast_to(self.factor, old.shape))
        sample[group.image] = zoom_channels(sample[group.image], factors, self.order, self.mode)
        for key in group.discrete:
            if sample.get(key) is not None:
                sample[key] = zoom_channels(sample[key], factors, 0, self.mode)
        new = np.array(size_of(sample, group))
        step = (old - 1) / np.maximum(new - 1, 1)
        if sample.get(group.landmarks) is not None:
            sample[group.landmarks] = (sample[group.landmarks] / np.where(step > 0, step, 1)).astype(np.float32)
        if sample.get(group.affine) is not None:
            sample[group.affine] = scale_axes(sample[group.affine], np.where(step > 0, step, 1))


def zoom_channels(array: np.ndarray, factors: Sequence[float], order: int, mode: str) -> np.ndarray:
    """``scipy.ndimage.zoom`` of every channel of ``(C, *spatial)``, in its dtype."""
    return np.stack([ndimage.zoom(channel, factors, order=order, mode=mode) for channel in array])
