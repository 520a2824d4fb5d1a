"""Multi-start over rotations all around, for images that are far from where their headers say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
from scipy.spatial.transform import Rotation

from .parameters import about
from .start import Body, Start, centre_pairs

#: Rotations looked at; in 3-D neighbours are about 20 degrees apart, in 2-D 10.
_COUNT = {2: 36, 3: 500}
#: Degrees of the moderate rotations that are looked at more closely.
_ANGLES = (12.0, 24.0, 36.0)


def rotations(ndim: int) -> np.ndarray:
    """``(B, ndim, ndim)`` rotations spread evenly over all there are; the first is none.

    In 3-D the super-Fibonacci spirals of Alexa (CVPR 2022), and the 24 rotations that bring axes onto axes, which
    wrong headers produce.
    """
    count = _COUNT[ndim]
    if ndim == 2:
        angle = 2 * math.pi * np.arange(count) / count
        return np.stack([np.stack([np.cos(angle), -np.sin(angle)], 1), np.stack([np.sin(angle), np.cos(angle)], 1)], 1)
    psi = 1.533751168755204288118041  # the positive root of x^4 = x + 4
    s = np.arange(count) + 0.5
    inner, outer = np.sqrt(s / count), np.sqrt(1 - s / count)
    first, second = 2 * math.pi * s / math.sqrt(2), 2 * math.pi * s / psi
    spiral = np.stack([inner * np.sin(first), inner * np.cos(first), outer * np.sin(second), outer * np.cos(second)], 1)
    cube = np.rint(Rotation.create_group('O').as_matrix())
    order = np.argsort(-np.trace(cube, axis1=1, axis2=2), kind='stable')
    return np.concatenate([cube[order], _moderate(), Rotation.from_quat(spiral).as_matrix()])


def _moderate(angles: Sequence[float] = _ANGLES) -> np.ndarray:
    """Rotations about the 26 directions of a cube: patients lie askew more often than upside down."""
    axes = np.array([a for a in product((-1, 0, 1), repeat=3) if any(a)], dtype=np.float64)
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    return np.concatenate([Rotation.from_rotvec(np.radians(angle) * axes).as_matrix() for angle in angles])


def search_starts(fixed: Body, moving: Body, first: np.ndarray, extent: float, mirrored: bool = False) -> list[Start]:
    """Every rotation about each place where the centre of the fixed image may lie in the moving image.

    Args:
        fixed: where the object lies.
        moving: the same.
        first: headers or given matrix, fixed world -> moving world, for one more such place.
        extent: longest edge of the fixed image in mm.
        mirrored: every rotation with a mirror, too.
    """
    ndim = len(fixed.middle)
    turns = rotations(ndim)
    if mirrored:
        turns = np.concatenate([turns, turns @ np.diag([-1.0] + [1.0] * (ndim - 1))])
    places = [(source, target) for _, source, target in centre_pairs(fixed, moving)]
    places.append((fixed.middle, first[:-1, :-1] @ fixed.middle + first[:-1, -1]))
    starts = [about(turn, *place) for place in places for turn in turns]
    return [Start('coarse search', matrix) for matrix in starts + _shifted(fixed, moving, extent)]


def _shifted(fixed: Body, moving: Body, extent: float) -> list[np.ndarray]:
    """Shifts of a fifth of the extent about the centres of the grids, with moderate rotations."""
    ndim = len(fixed.middle)
    shifts = 0.2 * extent * np.array(list(product((-1, 0, 1), repeat=ndim)))
    turns = rotations(2)[[0, 2, -2]] if ndim == 2 else np.concatenate([np.eye(3)[None], _moderate((20.0,))])
    return [about(turn, fixed.middle, moving.middle + shift) for shift in shifts for turn in turns]
