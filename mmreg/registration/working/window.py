"""The part of the world that a network of a certain size is shown: around what the fixed image shows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from mmreg.io import Geometry, Volume

from .preparation import Preparation

#: Part of the range of intensities above which a voxel shows something.
_BACKGROUND = 0.05
#: Percent of what an image shows that may lie outside of the window without a word.
_LEFT_OUT = 1.0


def sized(grid: Geometry, preparation: Preparation, fixed: Volume) -> Geometry:
    """A working grid in the size that its network was trained at; unchanged where ``preparation`` names none.

    Args:
        grid: Over the field of view of the fixed image, in the training orientation and spacing.
        preparation: Names the size, and a spacing that is to be kept.
        fixed: The fixed image, on its own grid.
    """
    if preparation.size is None or preparation.size == grid.shape:
        return grid
    if preparation.spacing is None:
        return stretched(grid, preparation.size)
    return window(grid, preparation.size, fixed)


def window(grid: Geometry, size: Sequence[int], fixed: Volume) -> Geometry:
    """``grid`` cropped or padded to ``size``, its middle near that of what the fixed image shows.

    An axis that has the size already stays as it is; one that is cropped stays inside the grid, one that is padded
    holds all of it.

    Args:
        grid: A grid over the field of view of the fixed image.
        size: Voxels per axis.
        fixed: The fixed image, on its own grid.
    """
    low, high = shown_box(fixed, grid)
    room = np.asarray(size) - np.asarray(grid.shape)
    start = np.rint((low + high) / 2 - (np.asarray(size) - 1) / 2)
    start = np.clip(start, np.minimum(0, -room), np.maximum(0, -room)).astype(int)
    return grid.padded((-start).tolist(), (room + start).tolist())


def stretched(grid: Geometry, size: Sequence[int]) -> Geometry:
    """The field of view of ``grid`` in ``size`` voxels, whatever their spacing becomes."""
    spacing = np.asarray(grid.shape) * np.asarray(grid.spacing) / np.asarray(size)
    return grid.resampled(tuple(spacing.tolist()))


def shown_box(volume: Volume, grid: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest voxel coordinates on ``grid`` of a box around what an image shows; all of it where nothing
    stands out.
    """
    shown = _shown(volume)
    corners = []
    for axis, length in enumerate(shown.shape):
        along = np.flatnonzero(shown.any(axis=tuple(other for other in range(shown.ndim) if other != axis)))
        corners.append((along[0], along[-1]) if len(along) else (0, length - 1))
    world = volume.geometry.voxel_to_world(np.array(list(itertools.product(*corners)), dtype=np.float64))
    voxels = grid.world_to_voxel(world)
    return voxels.min(axis=0), voxels.max(axis=0)


def left_out(volume: Volume, grid: Geometry) -> str | None:
    """A sentence where more than one percent of what the fixed image shows lies outside of ``grid``."""
    places = np.argwhere(_shown(volume)).astype(np.float64)
    if not len(places):
        return None
    voxels = grid.world_to_voxel(volume.geometry.voxel_to_world(places))
    inside = ((voxels > -0.5) & (voxels < np.asarray(grid.shape) - 0.5)).all(axis=1)
    percent = 100 * float(1 - inside.mean())
    if percent <= _LEFT_OUT:
        return None
    size = ' x '.join(map(str, grid.shape))
    return (
        f'{percent:.0f} % of what the fixed image shows lies outside of the {size} voxels that the network sees; the '
        'deformation there continues that of the edge.'
    )


def _shown(volume: Volume) -> np.ndarray:
    """``(*shape)`` bool: brighter than the background in some channel."""
    array = volume.channel_first().max(axis=0)
    low, high = float(array.min()), float(np.percentile(array, 99.5))
    return array > low + _BACKGROUND * (high - low)
