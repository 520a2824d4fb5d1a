"""Two-dimensional views of volumes and fields, as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmreg.errors import DataError

#: Names of the planes by the axis they cut, for axes that run to the right, to the front and to the head.
PLANE_NAMES = ('sagittal', 'coronal', 'axial')


@dataclass(frozen=True)
class Plane:
    """A cut through a volume: the axis it is perpendicular to (None in 2-D) and where."""

    axis: int | None
    index: int

    def cut(self, volume: np.ndarray) -> np.ndarray:
        """The slice of ``volume`` (leading axes other than the spatial ones are kept)."""
        return volume if self.axis is None else np.take(volume, self.index, axis=volume.ndim - 3 + self.axis)

    @property
    def in_plane(self) -> tuple[int, int]:
        """The two spatial axes that stay: horizontal, vertical."""
        if self.axis is None:
            return (0, 1)
        first, second = (axis for axis in range(3) if axis != self.axis)
        return first, second


def planes_of(shape: Sequence[int], axes: Sequence[int] | None = None) -> list[Plane]:
    """The middle planes of a grid: one in 2-D, three in 3-D (or those perpendicular to ``axes``)."""
    if len(shape) == 2:
        return [Plane(None, 0)]
    return [Plane(axis, shape[axis] // 2) for axis in (range(3) if axes is None else axes)]


def to_image(image: Any, ndim: int, name: str = 'image') -> np.ndarray:
    """First channel of an image as float32 ``spatial`` array; accepts tensors, ``(C, *spatial)`` and ``spatial``.

    Raises:
        DataError: not ``ndim`` spatial axes.
    """
    array = to_array(image).astype(np.float32)
    if array.ndim == ndim + 1:
        array = array[0]
    if array.ndim != ndim:
        raise DataError(f'{name} has the shape {array.shape}, expected (C, *spatial) with {ndim} spatial axes.')
    return array


def to_array(value: Any) -> np.ndarray:
    """A tensor on any device, or anything numpy understands, as an array."""
    if hasattr(value, 'detach'):
        value = value.detach().cpu().float().numpy()
    return np.asarray(value)


def grey(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """``image`` mapped linearly from [low, high] to [0, 1], clipped."""
    return np.clip((image - low) / max(high - low, 1e-12), 0, 1)


def intensity_range(image: np.ndarray) -> tuple[float, float]:
    """Display range: 0.5th and 99.5th percentile of the finite values, of a million of them where there are more."""
    finite = image[np.isfinite(image)]
    if finite.size == 0:
        return 0.0, 1.0
    finite = finite[:: max(1, finite.size // 1_000_000)]
    low, high = np.percentile(finite, [0.5, 99.5])
    return float(low), float(high)


def checkerboard(first: np.ndarray, second: np.ndarray, tiles: int = 8) -> np.ndarray:
    """Two slices of one shape mixed in squares; ``tiles`` of them along the longer axis."""
    side = max(1, -(-max(first.shape) // tiles))
    rows, columns = np.indices(first.shape) // side
    return np.where((rows + columns) % 2 == 0, first, second)


def grid_lines(displacement: np.ndarray, lines: int = 24) -> list[np.ndarray]:
    """Deformed grid lines of one slice.

    Args:
        displacement: ``(2, n, m)``, in-plane components in voxels.
        lines: Number of lines along the longer axis.

    Returns:
        Curves ``(P, 2)`` of positions ``x + u(x)``, voxels.
    """
    size = displacement.shape[1:]
    step = max(1, round(max(size) / lines))
    positions = displacement + np.indices(size)
    rows = [positions[:, i, :].T for i in range(0, size[0], step)]
    columns = [positions[:, :, j].T for j in range(0, size[1], step)]
    return rows + columns


def label_border(labels: np.ndarray) -> np.ndarray:
    """Pixels ``(n, m)`` of a slice of labels beside another value."""
    border = np.zeros(labels.shape, bool)
    border[:-1] |= labels[:-1] != labels[1:]
    border[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return border
