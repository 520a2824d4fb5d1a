"""What an image shows: its field of view without what was filled in around it, and masks of that on any grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mmreg.io import Geometry, Volume, affine_transform, resample_to

from .lost import lost_slices

#: A constant border is filling, and no dark background, where at least this share of its edge ends in bright tissue.
_CUT = 0.08
#: Below this share of the bright end an image is called dark.
_DARK = 0.15
#: No scanner measures less than this in Hounsfield units; the lowest value of a CT image below it is filling.
_NO_HU = -1050.0


@dataclass(frozen=True, eq=False)
class View:
    """What an image shows.

    Attributes:
        volume: The image without slices that were filled in around its field of view.
        mask: ``(*S)`` bool on the grid of ``volume``: what is no filling; None: all of it.
    """

    volume: Volume
    mask: np.ndarray | None = None

    def on(self, grid: Geometry, affine: np.ndarray | None = None) -> np.ndarray | None:
        """Which voxels of another grid the image shows, ``(*grid.shape)`` bool; None: all of them.

        Args:
            grid: Wanted grid.
            affine: grid's world -> image's world, RAS mm.
        """
        geometry = self.volume.geometry
        inside = np.ones(geometry.shape, np.uint8) if self.mask is None else self.mask.astype(np.uint8)
        transform = None if affine is None else affine_transform(affine)
        seen = resample_to(Volume(inside, geometry), grid, 'nearest', transform=transform).array > 0
        return None if seen.all() else seen


def view_of(volume: Volume, unknown: np.ndarray | None = None) -> View:
    """Find out what an image shows.

    Not shown is what has no value, ``unknown`` ``(*S)`` bool, where there is such. Else filled in are a CT image's
    voxels outside its circle of reconstruction (the lowest value, below -1050), and a constant border at whose edge
    tissue is cut off. Around a head, or a brain without skull, tissue fades out before the border begins: that
    darkness was measured. Slices that are blank between others are hidden as well, and their neighbours stand in for
    them.
    """
    if unknown is not None:
        return _without_lost(View(volume, ~unknown))
    array = volume.array if volume.array.ndim == volume.ndim else volume.array[..., 0]
    lowest = float(array.min())
    if lowest < _NO_HU and float(array.max()) > 50 and reaches_border(filling := array == lowest):
        return _without_lost(View(volume, ~filling))
    box = _content(array)
    return _without_lost(View(volume if box is None else _cropped(volume, box)))


def _without_lost(view: View) -> View:
    volume = view.volume
    found = None if volume.array.ndim != volume.ndim else lost_slices(volume.array, volume.geometry.spacing)
    if found is None:
        return view
    mended, measured = found
    return View(Volume(mended, volume.geometry), measured if view.mask is None else measured & view.mask)


def reaches_border(where: np.ndarray) -> bool:
    """Whether some of the voxels ``(*S)`` bool, but not all there are, lie on a face of the grid."""
    faces = [np.take(where, end, axis).any() for axis in range(where.ndim) for end in (0, -1)]
    return any(faces) and not where.all()


def _content(array: np.ndarray) -> tuple[slice, ...] | None:
    """The box of what is not a constant border, where tissue is cut off by its sides; None: there is no such border."""
    value = array[(0,) * array.ndim]
    box = ndimage.find_objects((array != value).astype(np.uint8))
    if not box or all(s.stop - s.start == n for s, n in zip(box[0], array.shape)):
        return None
    content = array[box[0]]
    low, high = np.percentile(content[:: max(1, content.shape[0] // 64)], (1, 99))
    bright = np.abs(content - value) > _DARK * max(high - min(low, value), 1e-12)
    sides: list[slice] = []
    for axis, (part, n) in enumerate(zip(box[0], array.shape)):
        cut = [np.take(bright, end, axis).mean() > _CUT for end in (0, -1)]
        sides.append(slice(part.start if cut[0] else 0, part.stop if cut[1] else n))
    found = tuple(sides)
    return None if all(s.stop - s.start == n for s, n in zip(found, array.shape)) else found


def _cropped(volume: Volume, box: tuple[slice, ...]) -> Volume:
    affine = volume.geometry.affine.copy()
    affine[:-1, -1] += affine[:-1, :-1] @ np.array([part.start for part in box], dtype=np.float64)
    array = np.ascontiguousarray(volume.array[box])
    return Volume(array, Geometry(array.shape[: volume.ndim], affine))


def shown_voxels(volume: Volume) -> np.ndarray:
    """Where an image shows something, ``(*S)`` bool: its first channel above the dark end of its intensities."""
    array = volume.array if volume.array.ndim == volume.ndim else volume.array[..., 0]
    low, high = np.percentile(array, (1, 99))
    return array > low + 0.1 * (high - low) if high > low else np.ones(array.shape, bool)
