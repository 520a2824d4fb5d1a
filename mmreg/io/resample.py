"""One interpolation, from the original voxels to the grid where they are wanted."""

from __future__ import annotations

import math

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import distance_transform_edt

from mmreg.errors import ConfigError, DataError

from .geometry import Geometry
from .itk import fit_threads
from .transforms import Transform, displacement_transform
from .volumes import Volume

# ITK's interpolators. 'label' interpolates each label's indicator and keeps the largest, so edges are smoother than
# with 'nearest' and no new value appears.
MODES = {
    'linear': sitk.sitkLinear,
    'nearest': sitk.sitkNearestNeighbor,
    'spline': sitk.sitkBSpline,
    'label': sitk.sitkLabelLinear,
}

#: Hounsfield units: below the first and above the second an image is CT; the last is the darkest that air is.
_AIR, _TISSUE, _DARKEST = -500.0, 50.0, -1024.0


def resample_to(
    volume: Volume,
    geometry: Geometry,
    mode: str = 'linear',
    *,
    transform: Transform | None = None,
    fill: float | None = 0.0,
) -> Volume:
    """Sample a volume at the voxel centres of another grid.

    Args:
        volume: original voxels, with or without channels.
        geometry: wanted grid, in any orientation, spacing and size.
        mode: 'linear', 'nearest', 'spline' (cubic B-spline), or 'label' (interpolated indicator functions).
        transform: where to look: world position on the wanted grid -> world position in ``volume``.
        fill: value outside ``volume``; None: that of the nearest voxel.

    Returns:
        Volume on ``geometry``; images come back as float32, integer arrays keep their type.

    Raises:
        ConfigError: unknown mode, or one that would interpolate between label numbers.

    Example:
        >>> volume = Volume(np.arange(4, dtype=np.float32)[:, None], Geometry.from_parts((4, 1), (2.0, 1.0)))
        >>> resample_to(volume, Geometry.from_parts((7, 1), (1.0, 1.0))).array[:, 0].tolist()
        [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    """
    if mode not in MODES:
        raise ConfigError(f"mode '{mode}' was given, expected one of {', '.join(MODES)}")
    if volume.ndim != geometry.ndim:
        raise DataError(f'a {volume.ndim}-D image was given for a {geometry.ndim}-D grid, expected the same dimension')
    integer = not np.issubdtype(volume.array.dtype, np.floating)
    if integer and mode in ('linear', 'spline'):
        # Numbers between labels name other organs: intensities must say so by being floating point.
        raise ConfigError(f"mode '{mode}' was given for {volume.array.dtype} voxels, expected 'nearest' or 'label'")
    if not integer and mode == 'label':
        raise ConfigError(f"mode 'label' was given for {volume.array.dtype} voxels, expected an integer label map")
    if not integer and np.isnan(volume.array).any():
        return _around_gaps(volume, geometry, mode, transform, fill)
    size, spacing, origin, direction = geometry.to_sitk()
    itk_transform = sitk.Transform(geometry.ndim, sitk.sitkIdentity) if transform is None else transform.itk
    image = volume.to_sitk()
    fit_threads(8 * math.prod(size) * volume.channels)
    result = sitk.Resample(
        image,
        size,
        itk_transform,
        MODES[mode],
        origin,
        spacing,
        direction,
        fill or 0.0,
        image.GetPixelID(),
        fill is None,
    )
    return Volume(Volume.from_sitk(result).array.astype(volume.array.dtype, copy=False), geometry)


def outside_value(array: np.ndarray) -> float:
    """The value that suits the outside of an image: air of a CT, no value (NaN) where it has such voxels, else 0.

    Of images with negative numbers other than CT, the smallest one where the corners are dark, 0 elsewhere.
    """
    if np.isnan(array).any():
        return float('nan')
    low, high = float(array.min()), float(array.max())
    if low >= 0:
        return 0.0
    if low <= _AIR and high >= _TISSUE:
        return max(low, _DARKEST)
    ends = tuple(slice(None, None, n - 1) if n > 1 else slice(None) for n in array.shape[:3])
    corner = float(np.median(array[ends]))
    return low if abs(corner - low) < abs(corner) else 0.0


def _around_gaps(
    volume: Volume, geometry: Geometry, mode: str, transform: Transform | None, fill: float | None
) -> Volume:
    """Resampling of an image with voxels that are NaN."""

    def sampled(array: np.ndarray, how: str, outside: float | None) -> np.ndarray:
        part = Volume(np.ascontiguousarray(array, dtype=np.float32), volume.geometry)
        return resample_to(part, geometry, how, transform=transform, fill=outside).array

    known = np.isfinite(volume.array)
    beyond = None if fill is None else 0.0
    inside = sampled(np.ones(volume.array.shape[: volume.ndim]), 'nearest', beyond) > 0
    there = sampled(known, 'nearest', beyond) > 0.5
    values = np.where(known, volume.array, 0)
    if mode == 'nearest':
        found = sampled(values, mode, beyond)
    else:  # a spline rings at the edge of a gap: weights of the linear interpolation there
        weight = sampled(known, 'linear', beyond)
        found = sampled(values, 'linear', beyond) / np.maximum(weight, 1e-6)
        if mode == 'spline':
            whole = weight > 1 - 1e-6
            smooth = sampled(_continued(volume.array, known, volume.ndim), mode, beyond)
            found = np.where(whole, smooth, found)
    if found.ndim > inside.ndim:
        inside = np.broadcast_to(inside[..., None], found.shape)
    result = np.where(there, found, np.where(inside, np.nan, np.nan if fill is None else fill)).astype(
        volume.array.dtype
    )
    return Volume(result, geometry)


def _continued(array: np.ndarray, known: np.ndarray, ndim: int) -> np.ndarray:
    """Gaps filled with the nearest value, so that a spline through the others does not ring."""
    channels = np.moveaxis(array, -1, 0) if array.ndim > ndim else array[None]
    masks = np.moveaxis(known, -1, 0) if array.ndim > ndim else known[None]
    filled = [
        one
        if mask.all() or not mask.any()
        else one[tuple(distance_transform_edt(~mask, return_distances=False, return_indices=True))]
        for one, mask in zip(channels, masks)
    ]
    stacked = np.nan_to_num(np.stack(filled))
    return np.moveaxis(stacked, 0, -1) if array.ndim > ndim else stacked[0]


def warp_to_fixed(
    moving: Volume,
    displacement: np.ndarray,
    fixed_geometry: Geometry,
    affine: np.ndarray | None = None,
    mode: str = 'linear',
    *,
    fill: float = 0.0,
) -> Volume:
    """Warp a moving volume to the fixed grid, sampled once from its original voxels.

    Args:
        moving: original volume on its own grid.
        displacement: (ndim, *S), voxels of the fixed grid, ``warped(x) = moving(x + displacement(x))``.
        fixed_geometry: grid of shape S.
        affine: (ndim+1, ndim+1), fixed world -> moving world in RAS mm; applied after the displacement.
        mode: see :func:`resample_to`.
        fill: value where the moving image has no voxels.

    Example:
        >>> grid = Geometry.from_parts((4, 2), (2.0, 1.0))
        >>> image = Volume(np.arange(8, dtype=np.float32).reshape(4, 2), grid)
        >>> one = np.stack([np.ones((4, 2)), np.zeros((4, 2))]).astype(np.float32)
        >>> warp_to_fixed(image, one, grid).array[:, 0].tolist()
        [2.0, 4.0, 6.0, 0.0]
    """
    transform = displacement_transform(displacement, fixed_geometry, affine)
    return resample_to(moving, fixed_geometry, mode, transform=transform, fill=fill)
