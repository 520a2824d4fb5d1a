"""Slices of a registered pair for the report: few, small, and packed as one picture per plane and image."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from .colours import JACOBIAN_RANGE
from .slices import PLANE_NAMES, Plane, grey, intensity_range, label_border

#: Characters of all pictures together, and pixels of one side of a slice: keeps the page below 10 MB.
BUDGET, SIDE = 6_500_000, 256
MOST_SLICES, FEWEST_SLICES = 24, 7
#: Lines of the deformed grid along the longer side of a slice, and points per line between two crossings.
GRID_LINES, GRID_POINTS = 28, 2
#: Positions of grid points are stored as integers, so many per voxel.
GRID_UNIT = 32


@dataclass(frozen=True)
class Cut:
    """The slices of one plane: its axis (None in 2-D) and their indices."""

    axis: int | None
    indices: tuple[int, ...]

    @property
    def name(self) -> str:
        """What the plane is called, for axes that run to the right, to the front and to the head."""
        return 'slice' if self.axis is None else PLANE_NAMES[self.axis]

    @property
    def in_plane(self) -> tuple[int, int]:
        """The two spatial axes that stay: horizontal, vertical."""
        return Plane(self.axis, 0).in_plane

    def planes(self) -> list[Plane]:
        """One plane per slice."""
        return [Plane(self.axis, index) for index in self.indices]


def choose_cuts(fixed: np.ndarray, folds: np.ndarray, pictures: int) -> list[Cut]:
    """Choose slices of each plane: evenly through the content of the fixed image, and where most voxels are folded.

    Args:
        fixed: ``(*S)`` intensities.
        folds: ``(*S)`` bool.
        pictures: How many pictures there are of each slice; the more, and the worse they compress, the fewer slices.
    """
    if fixed.ndim == 2:
        return [Cut(None, (0,))]
    middle = [Cut(axis, (fixed.shape[axis] // 2,)) for axis in range(3)]
    one_of_each = sum(len(grey_sprite(fixed, cut, intensity_range(fixed))) for cut in middle)
    count = int(np.clip(BUDGET // (pictures * one_of_each), FEWEST_SLICES, MOST_SLICES))
    return [Cut(axis, _indices(fixed, folds, axis, count)) for axis in (2, 1, 0)]


def _indices(fixed: np.ndarray, folds: np.ndarray, axis: int, count: int) -> tuple[int, ...]:
    others = tuple(a for a in range(3) if a != axis)
    low, high = intensity_range(fixed)
    content = np.flatnonzero((fixed > low + 0.1 * (high - low)).any(axis=others))
    first, last = (int(content[0]), int(content[-1])) if len(content) else (0, fixed.shape[axis] - 1)
    margin = (last - first) // 20
    chosen = set(np.linspace(first + margin, last - margin, min(count, last - first + 1)).round().astype(int).tolist())
    folded = folds.sum(axis=others)
    if folded.any():
        chosen.add(int(folded.argmax()))
    return tuple(sorted(chosen))


def picture_size(cut: Cut, shape: Sequence[int]) -> tuple[int, int]:
    """Width and height of a slice's picture in pixels: its voxels, fewer where a side is too long."""
    width, height = (shape[axis] for axis in cut.in_plane)
    scale = min(1.0, SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def grey_sprite(volume: np.ndarray, cut: Cut, value_range: tuple[float, float]) -> str:
    """Slices of intensities below each other, as data URL of an 8-bit PNG."""
    size = picture_size(cut, volume.shape)
    tiles = []
    for plane in cut.planes():
        tile = Image.fromarray((255 * grey(upright(plane.cut(volume)), *value_range)).round().astype(np.uint8))
        tiles.append(np.asarray(tile if tile.size == size else tile.resize(size, Image.Resampling.BOX)))
    return data_url(np.concatenate(tiles))


def jacobian_sprite(determinant: np.ndarray, cut: Cut) -> str:
    """Slices of the determinant: grey 0 marks folds, 1 to 255 is the logarithm over :data:`JACOBIAN_RANGE`."""
    size = picture_size(cut, determinant.shape)
    low, high = np.log(JACOBIAN_RANGE)
    tiles = []
    for plane in cut.planes():
        values = upright(plane.cut(determinant))
        logarithm = np.log(np.maximum(values, JACOBIAN_RANGE[0] / 2))
        codes = (1 + 254 * grey(logarithm, low, high)).round().astype(np.uint8)
        # A picture smaller than the slice keeps every fold: the smallest determinant of a block decides.
        tiles.append(np.where(_shrink(values <= 0, size), 0, _shrink(codes, size)).astype(np.uint8))
    return data_url(np.concatenate(tiles))


def outline_sprite(labels: Mapping[str, np.ndarray], names: Sequence[str], cut: Cut) -> str:
    """Borders between labels: bit *n* of a pixel is set where image *n* of ``names`` has one."""
    size = picture_size(cut, next(iter(labels.values())).shape)
    tiles = []
    for plane in cut.planes():
        bits = np.zeros(size[::-1], np.uint8)
        for n, name in enumerate(names):
            if name in labels:
                bits |= _shrink(label_border(upright(plane.cut(labels[name]))), size).astype(np.uint8) << n
        tiles.append(bits)
    return data_url(np.concatenate(tiles))


def grid_points(displacement: np.ndarray, cut: Cut) -> dict[str, Any]:
    """Positions of the deformed grid of each slice, in the picture's frame (voxels, from its upper left corner).

    Returns:
        ``columns``, ``rows``: points of the grid; ``every``: each so-many-th line is drawn; ``unit``: integers per
        voxel; ``data``: base64 of int16 ``(slices, rows, columns, 2)``.
    """
    across, up = cut.in_plane
    shape = displacement.shape[1:]
    width, height = shape[across], shape[up]
    step = max(1, round(max(width, height) / (GRID_LINES * GRID_POINTS)))
    i, j = np.arange(0, width, step), np.arange(0, height, step)
    parts = []
    for plane in cut.planes():
        field = plane.cut(displacement)[[across, up]][:, i[:, None], j[None]]
        x = i[:, None] + field[0] + 0.5
        y = height - (j[None] + field[1]) - 0.5
        parts.append(np.stack([x.T, y.T], -1))
    points = np.clip(np.stack(parts) * GRID_UNIT, -32768, 32767).round().astype('<i2')
    return {
        'columns': len(i),
        'rows': len(j),
        'every': GRID_POINTS if step * GRID_POINTS <= max(width, height) / 4 else 1,
        'unit': GRID_UNIT,
        'data': base64.b64encode(points.tobytes()).decode('ascii'),
    }


def upright(slice_: np.ndarray) -> np.ndarray:
    """A slice (horizontal, vertical) as rows of a picture, its second axis upwards."""
    return np.ascontiguousarray(slice_.T[::-1])


def data_url(picture: np.ndarray) -> str:
    """An 8-bit picture (rows, columns) as data URL."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format='png', compress_level=1)
    return 'data:image/png;base64,' + base64.b64encode(buffer.getvalue()).decode('ascii')


def _shrink(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Nearest pixels, or for a mask any pixel of the block, at a size (width, height)."""
    rows, columns = (np.linspace(0, n, m + 1).astype(int)[:-1] for n, m in zip(picture.shape, size[::-1]))
    if picture.dtype != bool:
        return picture[np.ix_(rows, columns)]
    return np.logical_or.reduceat(np.logical_or.reduceat(picture, rows, axis=0), columns, axis=1)
