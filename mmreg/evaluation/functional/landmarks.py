"""Target registration error: how far landmarks of the fixed image end from their partners in the moving image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from mmreg.errors import DataError


def target_errors(warped: np.ndarray, moving: np.ndarray, spacing: Sequence[float] | None = None) -> np.ndarray:
    """Distance per landmark between its predicted and its true place in the moving image.

    Args:
        warped: ``(P, ndim)``, fixed landmarks plus the displacement there, voxels of the moving grid.
        moving: ``(P, ndim)``, their partners.
        spacing: Voxel size of the moving grid in mm per axis; without it the result is in voxels.

    Returns:
        (P,) in mm (voxels without ``spacing``); NaN where a coordinate is.

    Raises:
        DataError: the two lists do not belong together.
    """
    warped, moving = np.asarray(warped, np.float64), np.asarray(moving, np.float64)
    if warped.shape != moving.shape or warped.ndim != 2:
        raise DataError(f'landmarks have the shapes {warped.shape} and {moving.shape}, expected one shape (P, ndim).')
    return np.linalg.norm((warped - moving) * np.asarray(spacing if spacing is not None else 1.0), axis=1)


def displace(points: np.ndarray, displacement: np.ndarray, order: int = 1) -> np.ndarray:
    """Points of the fixed space moved into the moving image.

    Args:
        points: ``(P, ndim)`` voxels of the fixed grid.
        displacement: ``(ndim, *spatial)`` voxels.
        order: Spline order of the sampling: 1 linear; 3 is what Learn2Reg's scorer uses.

    Returns:
        ``(P, ndim)``. Points outside the grid keep their place.
    """
    points = np.asarray(points, np.float64)
    moved = [ndimage.map_coordinates(component, points.T, order=order) for component in displacement]
    return points + np.stack(moved, axis=1)


def worst_mean(errors: np.ndarray, share: float = 0.3) -> float:
    """Mean of the largest ``share`` of the errors (at least one), NaN left out: robustness of one case.

    Not to be confused with the ``"30"`` of the Learn2Reg score files: that is the 30 % quantile over cases
    (:func:`quantile`).
    """
    errors = np.sort(np.asarray(errors, np.float64)[~np.isnan(errors)])
    if not len(errors):
        return math.nan
    return float(errors[-max(1, math.ceil(share * len(errors))) :].mean())


def centroids(label_map: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """Centre of gravity per label in voxels, ``(L, ndim)``; NaN for a label that does not occur.

    Landmarks of the LUMIR challenge come as small label volumes; their centroids are the points.
    """
    result = np.full((len(labels), label_map.ndim), np.nan)
    boxes = ndimage.find_objects(label_map.astype(np.int32, copy=False), max_label=max(labels, default=0))
    for row, label in enumerate(labels):
        box = boxes[label - 1] if label > 0 else None
        if box is not None:
            inside = np.argwhere(label_map[box] == label)
            result[row] = inside.mean(axis=0) + [b.start for b in box]
    return result
