"""The voxel type in which resampled intensities are written."""

from __future__ import annotations

import numpy as np

from .volumes import Volume

#: An integer image is written as integers only where rounding costs less than 1/2000 of its range.
_LEVELS = 1000


def in_type_of(volume: Volume, dtype: np.dtype) -> Volume:
    """Intensities in the voxel type of the moving image, where rounding does not show; float32 otherwise.

    8-bit images and others with fewer than 1000 levels become float32: rounding them would cost more than an
    interpolation error.
    """
    low, high = float(volume.array.min()), float(volume.array.max())
    if np.issubdtype(dtype, np.integer) and high - low >= _LEVELS:
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return Volume(np.rint(volume.array).astype(dtype), volume.geometry)
    return Volume(volume.array.astype(np.float32, copy=False), volume.geometry)
