"""Means of affine maps, and the space in their middle."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from scipy.linalg import expm, logm, polar

from mmreg.errors import DataError
from mmreg.io import Geometry

#: A scan that is turned by more than this against the others may have been aligned wrongly, degrees.
TURNED = 60.0


def mean_affine(matrices: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """The log-Euclidean mean of ``(ndim+1, ndim+1)`` matrices.

    Source: Arsigny et al., A Fast and Log-Euclidean Polyaffine Framework, JMIV 2009.

    Raises:
        DataError: a map with a reflection or a half turn has no logarithm.

    Example:
        >>> mean_affine([np.diag([1.0, 1.0, 1.0]), np.diag([4.0, 1.0, 1.0])], [1, 1]).diagonal().round(6).tolist()
        [2.0, 1.0, 1.0]
    """
    total = np.zeros_like(np.asarray(matrices[0], dtype=np.float64))
    for matrix, weight in zip(matrices, weights):
        total += weight * _logarithm(np.asarray(matrix, dtype=np.float64))
    return np.real(expm(total / sum(weights)))


def power_of(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """A power of an affine map: its half, its inverse.

    Example:
        >>> power_of(np.diag([4.0, 1.0, 1.0]), 0.5).diagonal().round(6).tolist()
        [2.0, 1.0, 1.0]
    """
    return np.real(expm(exponent * _logarithm(np.asarray(matrix, dtype=np.float64))))


def centred(matrices: Sequence[np.ndarray], weights: Sequence[float]) -> list[np.ndarray]:
    """Maps from a common space to each scan, moved to the space in which their mean is the identity.

    Args:
        matrices: World of one space -> world of each scan, RAS mm.
        weights: How much each counts.

    Returns:
        World of the middle -> world of each scan.
    """
    back = np.linalg.inv(mean_affine(matrices, weights))
    return [np.asarray(matrix) @ back for matrix in matrices]


def common_grid(
    geometries: Sequence[Geometry], matrices: Sequence[np.ndarray], spacing: float | None, symmetric: bool = False
) -> Geometry:
    """A grid along the world's axes that shows what the scans show.

    Args:
        geometries: Grids of the scans.
        matrices: World of the common space -> world of each scan.
        spacing: Distance of voxels, mm; by default the median of the scans' finest along each axis of the world.
        symmetric: With the middle of the first axis at 0.

    Returns:
        The grid: from the median of the scans' lower ends to the median of their upper ends; that of the scans where
        all have one and the same, so that what lies in one place in all of them is not sampled between voxels.
    """
    shared = geometries[0].reoriented('RAS'[: geometries[0].ndim])
    upright = np.allclose(shared.matrix, np.diag(shared.spacing), atol=1e-4 * min(shared.spacing))
    if spacing is None and not symmetric and upright and all(geometries[0].same_grid(one) for one in geometries):
        return shared
    lows, highs = [], []
    for geometry, matrix in zip(geometries, matrices):
        faces = [(-0.5, n - 0.5) for n in geometry.shape]
        world = geometry.voxel_to_world(np.array(list(product(*faces))))
        inverse = np.linalg.inv(matrix)
        points = world @ inverse[:-1, :-1].T + inverse[:-1, -1]
        lows.append(points.min(0))
        highs.append(points.max(0))
    low, high = np.median(lows, axis=0), np.median(highs, axis=0)
    if symmetric:
        low[0], high[0] = -(high[0] - low[0]) / 2, (high[0] - low[0]) / 2
    steps = _spacings(geometries) if spacing is None else np.full(len(low), float(spacing))
    shape = np.maximum(2, np.rint((high - low) / steps)).astype(int)
    origin = (low + high) / 2 - steps * (shape - 1) / 2
    return Geometry.from_parts(shape.tolist(), steps.tolist(), origin.tolist())


def turn_degrees(matrix: np.ndarray) -> float:
    """By what angle an affine turns."""
    rotation = polar(matrix[:-1, :-1])[0]
    ndim = len(rotation)
    cosine = (np.trace(rotation) - (ndim - 2)) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _spacings(geometries: Sequence[Geometry]) -> np.ndarray:
    """Median spacing along right-left, posterior-anterior and so on."""
    codes = 'RAS'[: geometries[0].ndim]
    return np.median([geometry.reoriented(codes).spacing for geometry in geometries], axis=0)


def _logarithm(matrix: np.ndarray) -> np.ndarray:
    with np.errstate(all='ignore'):
        found = logm(matrix) if np.linalg.det(matrix[:-1, :-1]) > 0 else np.full(matrix.shape, np.nan)
    if not np.isfinite(found).all() or np.abs(np.imag(found)).max() > 1e-6:
        raise DataError(
            'affine: found a map that turns by 180 degrees or mirrors, which has no mean with others, expected scans '
            'of one orientation; a better --start may help'
        )
    return np.real(found)
