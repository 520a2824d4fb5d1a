"""Points mapped backwards through any transform, without a field of the inverse."""

from __future__ import annotations

from typing import Any

import numpy as np

from .checks import check_points
from .transform_parts import parts_of
from .transforms import Transform

#: Step of the differences that make the Jacobian matrix, mm.
_STEP = 0.05
_ITERATIONS = 60
#: A point is found when it is mapped to its target to within this, mm.
_TOLERANCE = 1e-6


def inverse_points(transform: Transform, points: Any) -> tuple[np.ndarray, np.ndarray]:
    """Find the points that a transform maps to given ones.

    The maps of a chain are undone one after the other: affines in closed form, others by Newton's iteration with
    halved steps on the map itself, so that nothing is lost to a grid.

    Args:
        transform: fixed world -> moving world.
        points: (P, ndim) RAS mm in the moving space.

    Returns:
        (P, ndim) RAS mm in the fixed space, and (P,) how far from ``points`` the transform maps them, mm: above
        rounding where space is folded or left.
    """
    target = check_points(points, transform.ndim, 'points')
    found = target
    for part in reversed(parts_of(transform)):
        found = part.inverse().transform_points(found) if part.affine is not None else _newton(part, found)
    return found, np.linalg.norm(transform.transform_points(found) - target, axis=1)


def _newton(part: Transform, target: np.ndarray) -> np.ndarray:
    # A displacement ends at the border of its grid; from a start inside, the way leads to the inner solution.
    found = 2 * target - part.transform_points(target)
    found = np.where(_nearer(part, found, target)[:, None], found, target)
    error = part.transform_points(found) - target
    for _ in range(_ITERATIONS):
        open_ = np.linalg.norm(error, axis=1) > _TOLERANCE
        if not open_.any():
            break
        found[open_], error[open_] = _step(part, found[open_], error[open_], target[open_])
    return found


def _nearer(part: Transform, points: np.ndarray, target: np.ndarray) -> np.ndarray:
    return _length(part.transform_points(points) - target) < _length(part.transform_points(target) - target)


def _step(part: Transform, at: np.ndarray, error: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One step of Newton's iteration, halved per point until the error shrinks."""
    step = _solve(_derivative(part, at), error)
    best, best_error = at.copy(), error.copy()
    waiting = np.arange(len(at))
    for _ in range(8):
        tried = at[waiting] - step[waiting]
        tried_error = part.transform_points(tried) - target[waiting]
        better = _length(tried_error) < _length(error[waiting])
        best[waiting[better]], best_error[waiting[better]] = tried[better], tried_error[better]
        waiting = waiting[~better]
        if not len(waiting):
            break
        step[waiting] /= 2
    return best, best_error


def _derivative(part: Transform, at: np.ndarray) -> np.ndarray:
    """(P, ndim, ndim) central differences of the map."""
    columns = []
    for axis in range(at.shape[1]):
        step = np.zeros(at.shape[1])
        step[axis] = _STEP
        columns.append((part.transform_points(at + step) - part.transform_points(at - step)) / (2 * _STEP))
    return np.stack(columns, axis=2)


def _solve(matrix: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Newton steps; the plain error where space is folded and its matrix leads astray."""
    sound = np.linalg.det(matrix) > 1e-3
    matrix = np.where(sound[:, None, None], matrix, np.eye(matrix.shape[1]))
    return np.linalg.solve(matrix, error[..., None])[..., 0]


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=1)
