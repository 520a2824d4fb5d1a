"""Grids in the world: one voxel size and orientation for an image, one grid for a pair, small random motions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log
from scipy import ndimage

from mmreg.errors import ConfigError
from mmreg.io import Geometry, Volume, resample_to
from mmreg.registry import TRANSFORMS

from .intensity import generator
from .roles import FIXED, MOVING, Group, groups, name_of, refuse_displacement, size_of


def geometry_of(sample: dict[str, Any], group: Group) -> Geometry:
    """The grid of a group; voxels of 1 mm along the world's axes where it has no affine."""
    size = size_of(sample, group)
    affine = sample.get(group.affine)
    return Geometry(size, np.eye(len(size) + 1) if affine is None else np.asarray(affine))


def resample_group(sample: dict[str, Any], group: Group, grid: Geometry) -> None:
    """Replace a group's grid: the image linearly, with its smallest value outside, labels and masks by nearest."""
    old = geometry_of(sample, group)
    image = np.asarray(sample[group.image], dtype=np.float32)
    channels = [resample_to(Volume(np.ascontiguousarray(c), old), grid, fill=float(image.min())).array for c in image]
    sample[group.image] = np.stack(channels)
    for key in group.discrete:
        if sample.get(key) is not None:
            array = np.ascontiguousarray(sample[key][0])
            sample[key] = resample_to(Volume(array, old), grid, 'nearest').array[None]
    if sample.get(group.landmarks) is not None:
        world = old.voxel_to_world(sample[group.landmarks])
        sample[group.landmarks] = grid.world_to_voxel(world).astype(np.float32)
    sample[group.affine] = np.array(grid.affine)


@TRANSFORMS.register_module()
class ToSpacing:
    """Resamples each image to a voxel size and orientation: the image linearly, labels and masks by nearest.

    Args:
        spacing: mm, one number or one per axis; None keeps the voxel size.
        orientation: Order and direction of the axes, such as 'RAS'; None keeps them.
    """

    def __init__(self, spacing: float | Sequence[float] | None = 1.0, orientation: str | None = None):
        self.spacing = spacing
        self.orientation = orientation

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample = dict(sample)
        refuse_displacement(sample, self)
        for group in list(groups(sample)):
            old = geometry_of(sample, group)
            grid = old.reoriented(self.orientation) if self.orientation else old
            if self.spacing is not None:
                wanted = np.broadcast_to(self.spacing, (old.ndim,))
                if np.abs(wanted / np.asarray(grid.spacing) - 1).max() > 1e-3:
                    grid = grid.resampled(tuple(wanted.tolist()))
            if grid != old:
                resample_group(sample, group, grid)
        return sample


@TRANSFORMS.register_module()
class MatchFixedGrid:
    """Brings the moving image of a pair onto the fixed image's grid where their headers differ, and says so once."""

    def __init__(self) -> None:
        self._said = False

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample = dict(sample)
        fixed, moving = (geometry_of(sample, group) for group in (FIXED, MOVING))
        if fixed.same_grid(moving, tol=1e-2):
            return sample
        if not self._said:
            print_log(
                f'{name_of(sample, MOVING)} lies on another grid than {name_of(sample, FIXED)}: it is resampled to the '
                'fixed grid, as are others like it.',
                logger='current',
            )
            self._said = True
        resample_group(sample, MOVING, fixed)
        return sample


@TRANSFORMS.register_module()
class RandomRigid:
    """Shifts and turns the moving image and its labels about the centre of the grid; zeros outside.

    Args:
        prob: Probability; 0 as shipped by the spine system.
        translate: Largest shift per axis, voxels.
        rotate: Largest angle per axis, radians.
    """

    def __init__(self, prob: float = 0.0, translate: float = 3.0, rotate: float = np.pi / 60):
        if not 0 <= prob <= 1:
            raise ConfigError(f'RandomRigid got prob={prob}, expected 0 to 1.')
        self.prob, self.translate, self.rotate = prob, translate, rotate

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample = dict(sample)
        rng = generator(sample)
        if rng.random() >= self.prob:
            return sample
        refuse_displacement(sample, self)
        size = np.array(size_of(sample, MOVING))
        matrix = rotation_of(rng.uniform(-self.rotate, self.rotate, 1 if len(size) == 2 else 3))
        centre = (size - 1) / 2
        offset = centre - matrix @ centre + rng.uniform(-self.translate, self.translate, len(size))
        for key, order in ((MOVING.image, 1), *((key, 0) for key in MOVING.discrete)):
            if sample.get(key) is not None:
                moved = [ndimage.affine_transform(c, matrix, offset, order=order) for c in sample[key]]
                sample[key] = np.stack(moved)
        if sample.get(MOVING.landmarks) is not None:
            back = (sample[MOVING.landmarks] - offset) @ matrix  # the inverse of a rotation is its transpose
            sample[MOVING.landmarks] = back.astype(np.float32)
        return sample


def rotation_of(angles: np.ndarray) -> np.ndarray:
    """Rotation from one angle (2-D) or from angles about the three axes."""
    if len(angles) == 1:
        (c,), (s,) = np.cos(angles), np.sin(angles)
        return np.array([[c, -s], [s, c]])
    total = np.eye(3)
    for axis, angle in enumerate(angles):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        one = np.eye(3)
        one[a, a] = one[b, b] = np.cos(angle)
        one[a, b], one[b, a] = -np.sin(angle), np.sin(angle)
        total = one @ total
    return total
