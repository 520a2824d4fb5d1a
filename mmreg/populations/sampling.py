"""Scans on a common grid: where they have voxels there, and how alike two of them are."""

from __future__ import annotations

import numpy as np

from mmreg.io import Geometry, Transform, Volume, resample_to


def sampled_on(
    volume: Volume, grid: Geometry, transform: Transform, mode: str = 'linear'
) -> tuple[np.ndarray, np.ndarray]:
    """An image on a grid, ``S`` float32, and where it has voxels there, ``S`` bool.

    Args:
        volume: The image.
        grid: The wanted grid, of shape ``S``.
        transform: World of the grid -> world of the image.
        mode: ``'linear'`` or ``'spline'``, which blurs less; it stays within the range of the image.
    """
    inside = Volume(np.ones(volume.geometry.shape, np.uint8), volume.geometry)
    covered = resample_to(inside, grid, 'nearest', transform=transform).array > 0
    sampled = resample_to(volume, grid, mode, transform=transform).array
    if mode == 'spline':
        known = volume.array[np.isfinite(volume.array)]
        if known.size:  # a spline overshoots at edges
            sampled = np.clip(sampled, min(float(known.min()), 0.0), max(float(known.max()), 0.0))
    return sampled, covered


#: Scans of one contrast correlate better than this once they lie on each other, where they show something.
ALIKE = 0.2


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of two arrays of values where both are finite; NaN where either does not vary.

    Example:
        >>> round(correlation(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, np.nan])), 6)
        1.0
    """
    known = np.isfinite(first) & np.isfinite(second)
    if known.sum() < 2 or min(float(first[known].std()), float(second[known].std())) == 0:
        return float('nan')
    return float(np.corrcoef(first[known], second[known])[0, 1])
