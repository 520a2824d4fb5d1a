"""How far a frame has moved: parameters of a rigid motion, displacement between frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import polar
from scipy.spatial.transform import Rotation

from mmreg.io import Geometry, Transform

#: Radius on which rotations count as lengths: Power et al., NeuroImage 2012.
_HEAD_MM = 50.0


def parameter_names(ndim: int) -> tuple[str, ...]:
    """Columns of :func:`parameters`."""
    axes = 'xyz'[:ndim]
    turns = ('rotation_deg',) if ndim == 2 else tuple(f'rotation_{axis}_deg' for axis in axes)
    return (*(f'translation_{axis}_mm' for axis in axes), *turns)


def parameters(matrix: np.ndarray, centre: np.ndarray) -> list[float]:
    """Translation of the centre (RAS mm) and rotation (degrees, about x, y, z in turn) of an affine map.

    Example:
        >>> parameters(np.array([[1.0, 0, 2], [0, 1, 0], [0, 0, 1]]), np.zeros(2))
        [2.0, 0.0, 0.0]
    """
    ndim = len(matrix) - 1
    shift = matrix[:ndim, :ndim] @ centre + matrix[:ndim, ndim] - centre
    rotation = polar(matrix[:ndim, :ndim])[0]
    if ndim == 2:
        turns = [float(np.degrees(np.arctan2(rotation[1, 0], rotation[0, 0])))]
    else:
        turns = Rotation.from_matrix(rotation).as_euler('xyz', degrees=True).tolist()
    return [*(float(value) for value in shift), *turns]


def power_displacement(before: Sequence[float], after: Sequence[float], ndim: int) -> float:
    """Framewise displacement: sum of the absolute changes of a rigid motion's parameters, mm on a sphere of 50 mm.

    Source: Power et al., Spurious but systematic correlations in functional connectivity MRI networks arise from
    subject motion, NeuroImage 2012.
    """
    change = np.abs(np.subtract(after, before))
    return float(change[:ndim].sum() + _HEAD_MM * np.radians(change[ndim:]).sum())


def sample_points(geometry: Geometry, where: np.ndarray, most: int = 2000) -> np.ndarray:
    """Voxels of a mask ``S``, RAS mm ``(P, ndim)``, at most so many, evenly chosen."""
    voxels = np.argwhere(where)
    if not len(voxels):
        voxels = np.argwhere(np.ones(geometry.shape, bool))
    return geometry.voxel_to_world(voxels[:: max(1, len(voxels) // most)])


def mean_distance(first: Transform | None, second: Transform, points: np.ndarray) -> float:
    """Mean distance in mm between where two maps bring points; None: the identity."""
    start = points if first is None else first.transform_points(points)
    return float(np.linalg.norm(second.transform_points(points) - start, axis=1).mean())
