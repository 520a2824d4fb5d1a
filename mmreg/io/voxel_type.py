"""The voxel type in which resampled intensities are written."""

from __future__ import annotations

import numpy as np

from mmreg.errors import DataError

from .volumes import Volume

#: An integer image is written as integers only where rounding costs less than 1/2000 of its range.
_LEVELS = 1000


def in_type_of(volume: Volume, dtype: np.dtype) -> Volume:
    """Intensities in the voxel type of the moving image, where rounding does not show; float32 otherwise.

    8-bit images and others with fewer than 1000 levels become float32: rounding them would cost more than an
    interpolation error.
    """
    low, high = float(volume.array.min()), float(volume.array.max())
    if np.isnan(low):
        return Volume(volume.array.astype(np.float32, copy=False), volume.geometry)
    if np.issubdtype(dtype, np.integer) and high - low >= _LEVELS:
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return Volume(np.rint(volume.array).astype(dtype), volume.geometry)
    return Volume(volume.array.astype(np.float32, copy=False), volume.geometry)


#: What ``--output-type`` understands.
OUTPUT_TYPES = ('input', 'uint8', 'int16', 'uint16', 'int32', 'float32', 'float64')


def as_type(volume: Volume, wanted: str, stored: np.dtype, name: str, fill: float | None = None) -> Volume:
    """Voxels in a wanted type, rounded where it is an integer.

    Args:
        volume: intensities.
        wanted: one of :data:`OUTPUT_TYPES`; ``'input'`` is ``stored``.
        stored: type of the voxels in the file.
        name: of the image, for errors.
        fill: value that was asked for outside the image.

    Raises:
        DataError: numbers that the type cannot hold.
    """
    dtype = np.dtype(stored if wanted == 'input' else wanted)
    array = volume.array
    if not np.issubdtype(dtype, np.integer):
        return Volume(array.astype(dtype, copy=False), volume.geometry)
    limits = np.iinfo(dtype)
    if fill is not None and not (limits.min <= np.rint(fill) <= limits.max):
        raise DataError(
            f'{name}: a --fill of {fill:g} was given for voxels of {dtype}, expected one that they can hold, or '
            'another --output-type'
        )
    rounded = np.rint(array)
    if np.isnan(array).any():
        raise DataError(f'{name}: found voxels without a value (NaN), expected a floating point --output-type for them')
    low, high = float(rounded.min()), float(rounded.max())
    if wanted != 'input' and (low < limits.min or high > limits.max):
        raise DataError(f'{name}: found intensities from {low:g} to {high:g}, expected those that {dtype} can hold')
    return Volume(np.clip(rounded, limits.min, limits.max).astype(dtype), volume.geometry)
