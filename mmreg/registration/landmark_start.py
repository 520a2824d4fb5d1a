"""The linear map between two sets of landmarks, in the sense of least squares: a start that needs no image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmreg.errors import DataError
from mmreg.io.plain import plain

if TYPE_CHECKING:
    from .alignment import Alignment
    from .inputs import Pair

#: Kinds of maps, the stiffest first, and the points that each needs in three dimensions and in two.
KINDS = {'translation': (1, 1), 'rigid': (3, 2), 'similarity': (3, 2), 'affine': (4, 3)}
#: An affine that nobody asked for by name is fitted to so many points: to fewer it would follow their errors.
ENOUGH = 6
#: Directions in which points spread by less than this share of the largest spread are none.
_FLAT = 1e-3


def align_by_landmarks(pair: Pair, kind: str, chosen: bool) -> Alignment:
    """The map that brings the fixed landmarks of a pair nearest to their partners.

    Args:
        pair: With landmarks of both images.
        kind: One of :data:`KINDS`.
        chosen: Whether the user asked for that kind; else a stiffer one takes its place where the points are too few,
            or lie in a plane or on a line.

    Raises:
        DataError: too few of them for a kind that was asked for.
    """
    from .alignment import Alignment

    fixed, moving = (pair.points[role].in_world(pair.images[role].geometry) for role in ('fixed', 'moving'))
    possible = [name for name in KINDS if determines(fixed, moving, name)]
    if kind not in possible:
        if chosen:
            raise DataError(
                f'use_landmarks: found {len(fixed)} landmarks, which do not determine a map of kind {kind}, expected '
                f'{KINDS[kind][fixed.shape[1] == 2]} or more that are spread in all directions'
            )
        kind = 'rigid' if 'rigid' in possible else 'translation'
    elif not chosen and kind == 'affine' and len(fixed) < ENOUGH:
        kind = 'rigid'
    matrix = fit_points(fixed, moving, kind)
    left = np.linalg.norm(fixed @ matrix[:-1, :-1].T + matrix[:-1, -1] - moving, axis=1)
    record = {
        'asked': 'landmarks', 'kind': kind, 'points': len(fixed), 'matrix': plain(matrix),
        'left_mm': {'mean': float(left.mean()), 'max': float(left.max())},
    }  # fmt: skip
    return Alignment(matrix, record)


def determines(fixed: np.ndarray, moving: np.ndarray, kind: str) -> bool:
    """Whether points (P, ndim) determine a map of a kind: enough of them, spread in enough directions."""
    ndim = fixed.shape[1]
    if len(fixed) < KINDS[kind][ndim == 2]:
        return False
    directions = {'translation': 0, 'rigid': ndim - 1, 'similarity': ndim - 1, 'affine': ndim}[kind]
    return all(_spread(points) >= directions for points in (fixed, moving))


def _spread(points: np.ndarray) -> int:
    """Number of directions in which the points lie apart."""
    sizes = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return int((sizes > _FLAT * sizes[0]).sum()) if sizes.size and sizes[0] > 0 else 0


def fit_points(fixed: np.ndarray, moving: np.ndarray, kind: str) -> np.ndarray:
    """Least squares over maps of a kind.

    Args:
        fixed: (P, ndim) mm.
        moving: (P, ndim) mm, their partners.
        kind: One of :data:`KINDS`.

    Returns:
        ``(ndim+1, ndim+1)``, fixed -> moving. Rotations never mirror. Source: Umeyama, IEEE PAMI 1991.

    Example:
        >>> points = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
        >>> fit_points(points, 2 * points + 1, 'similarity').round(6).tolist()
        [[2.0, 0.0, 1.0], [0.0, 2.0, 1.0], [0.0, 0.0, 1.0]]
    """
    ndim = fixed.shape[1]
    matrix = np.eye(ndim + 1)
    here, there = fixed.mean(axis=0), moving.mean(axis=0)
    if kind == 'affine':
        solved = np.linalg.lstsq(fixed - here, moving - there, rcond=None)[0]
        matrix[:-1, :-1] = solved.T
    elif kind != 'translation':
        matrix[:-1, :-1] = _rotation(fixed - here, moving - there, scaled=kind == 'similarity')
    matrix[:-1, -1] = there - matrix[:-1, :-1] @ here
    return matrix


def _rotation(fixed: np.ndarray, moving: np.ndarray, scaled: bool) -> np.ndarray:
    """The rotation, times a scale where asked, nearest to mapping centred points onto others."""
    u, sizes, v = np.linalg.svd(moving.T @ fixed)
    signs = np.ones(len(sizes))
    signs[-1] = np.sign(np.linalg.det(u @ v)) or 1.0
    rotation = (u * signs) @ v
    return rotation * ((sizes * signs).sum() / (fixed**2).sum()) if scaled else rotation
