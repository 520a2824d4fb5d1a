"""What an array must be before it enters the pipeline; each refusal is one sentence that begins with ``name``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmreg.errors import DataError

INT16 = np.iinfo(np.int16)
INT32 = np.iinfo(np.int32)
#: Coordinates beyond this are no places in mm or voxels: their squares are computed with, in float32 too.
FARTHEST = 1e9


def check_finite(array: np.ndarray, name: str) -> None:
    """Refuse NaN and infinity.

    Example:
        >>> check_finite(np.zeros(3), 'image')
    """
    if not np.issubdtype(array.dtype, np.floating):
        return
    finite = np.isfinite(array)
    if not finite.all():
        count = int(array.size - np.count_nonzero(finite))
        raise DataError(f'{name}: found {count} voxels that are NaN or infinite, expected finite numbers only')


def check_not_infinite(array: np.ndarray, name: str) -> None:
    """Refuse infinity; NaN is no value, and allowed as long as there are others."""
    if not np.issubdtype(array.dtype, np.floating):
        return
    count = int(np.isinf(array).sum())
    if count:
        raise DataError(f'{name}: found {count} voxels that are infinite, expected finite numbers only')
    if np.isnan(array).all():
        raise DataError(f'{name}: found no voxel with a value (all are NaN), expected finite numbers')


def check_image(array: np.ndarray, name: str) -> None:
    """Refuse an intensity image with NaN or infinite voxels, or with one value everywhere.

    Example:
        >>> check_image(np.arange(6.0).reshape(2, 3), 'image')
    """
    check_finite(array, name)
    check_not_constant(array, name)


def check_not_constant(array: np.ndarray, name: str) -> None:
    """Refuse an image with one value everywhere; NaN is no value."""
    low, high = np.nanmin(array), np.nanmax(array)
    if low == high:
        raise DataError(f'{name}: found a constant image (every voxel is {low:g}), expected at least two intensities')


def as_labels(array: np.ndarray, name: str, allow_empty: bool = False) -> np.ndarray:
    """Return a label map as int16 (int32 where values need it).

    Raises:
        DataError: values are not whole numbers, are negative or too large, or all are background.

    Example:
        >>> as_labels(np.array([0.0, 2.0]), 'labels').dtype.kind
        'i'
    """
    check_finite(array, name)
    if not np.issubdtype(array.dtype, np.integer) and array.dtype != bool:
        # Scaled headers store 3 as 2.9999998: round what is within a thousandth, refuse the rest.
        rounded = np.rint(array)
        worst = float(np.abs(array - rounded).max())
        if worst > 1e-3:
            value = float(array.ravel()[int(np.abs(array - rounded).argmax())])
            raise DataError(f'{name}: found the label value {value:g}, expected whole numbers in a label map')
        array = rounded
    low, high = array.min(), array.max()
    if low < 0 or high > INT32.max:
        raise DataError(f'{name}: found label values from {low:g} to {high:g}, expected 0 to {INT32.max}')
    if high == 0 and not allow_empty:
        raise DataError(f'{name}: found an empty label map (every voxel is 0), expected at least one label')
    return np.ascontiguousarray(array, dtype=np.int16 if high <= INT16.max else np.int32)


def as_mask(array: np.ndarray, name: str, allow_empty: bool = False) -> np.ndarray:
    """Return a mask as uint8: 1 where the voxel is not zero.

    Raises:
        DataError: voxels are NaN or infinite, or all are zero.

    Example:
        >>> as_mask(np.array([0.0, 7.0]), 'mask').tolist()
        [0, 1]
    """
    check_finite(array, name)
    mask = np.ascontiguousarray(array != 0, dtype=np.uint8)
    if not mask.any() and not allow_empty:
        raise DataError(f'{name}: found an empty mask (every voxel is 0), expected some voxels inside')
    return mask


def check_displacement(displacement: Any, shape: Sequence[int], name: str = 'displacement') -> np.ndarray:
    """Return a (ndim, *shape) floating array; refuse another layout and values that are not finite.

    Example:
        >>> check_displacement(np.zeros((2, 4, 5)), (4, 5)).shape
        (2, 4, 5)
    """
    array = np.asarray(displacement)
    expected = (len(shape), *shape)
    if array.shape != expected:
        raise DataError(f'{name}: found an array of shape {array.shape}, expected {expected} (component first)')
    if not np.issubdtype(array.dtype, np.floating):
        raise DataError(f'{name}: found values of type {array.dtype}, expected floating point voxels')
    check_finite(array, name)
    return array


def check_points(points: Any, ndim: int | None = None, name: str = 'landmarks') -> np.ndarray:
    """Return (P, ndim) float64 points; refuse another layout and values that are not finite.

    Example:
        >>> check_points([[1, 2, 3]]).shape
        (1, 3)
    """
    try:
        array = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f'{name}: found entries that are not numbers, expected rows of coordinates') from error
    allowed = (2, 3) if ndim is None else (ndim,)
    if array.ndim != 2 or array.shape[1] not in allowed or len(array) == 0:
        columns = ' or '.join(str(n) for n in allowed)
        raise DataError(f'{name}: found points of shape {array.shape}, expected rows of {columns} coordinates')
    if not np.isfinite(array).all():
        raise DataError(f'{name}: found coordinates that are NaN or infinite, expected finite numbers only')
    if np.abs(array).max() > FARTHEST:
        raise DataError(f'{name}: found a coordinate of {np.abs(array).max():.3g}, expected at most {FARTHEST:.0g}')
    return array
