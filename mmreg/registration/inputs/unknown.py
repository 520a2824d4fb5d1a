"""Voxels without a value: NaN around what an image shows, as SPM and nilearn write it."""

from __future__ import annotations

import numpy as np

from mmreg.io import check_finite

from .views import reaches_border


def split_unknown(array: np.ndarray, ndim: int, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The image with numbers everywhere, and where it had none.

    NaN stands for "not shown" where it reaches the border of the grid; inside of it may then be further holes. NaN in
    the middle of an image that is otherwise complete is damage.

    Args:
        array: ``(*S[, C])`` float32.
        ndim: Number of spatial axes.
        name: Begins a refusal.

    Returns:
        The array, its lowest number where NaN was, and ``(*S)`` bool; the same array and None where nothing is NaN.

    Raises:
        DataError: NaN that does not reach the border, or infinite voxels.
    """
    nan = np.isnan(array)
    unknown = nan if array.ndim == ndim else nan.any(axis=-1)
    if not unknown.any() or not reaches_border(unknown):
        check_finite(array, name)
        return array, None
    filled = np.where(nan, np.nanmin(array), array)
    check_finite(filled, name)
    return filled, unknown
