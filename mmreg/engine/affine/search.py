"""Rotations all around, for images that are far from where their headers say."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.transform import Rotation

from .parameters import about
from .start import Body, Start

#: Rotations looked at; in 3-D neighbours are about 20 degrees apart, in 2-D 10.
_COUNT = {2: 36, 3: 500}


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
    cube = Rotation.create_group('O').as_matrix()
    order = np.argsort(-np.trace(cube, axis1=1, axis2=2), kind='stable')
    return np.concatenate([np.rint(cube[order]), Rotation.from_quat(spiral).as_matrix()])


def search_starts(fixed: Body, moving: Body, mirrored: bool = False) -> list[Start]:
    """Every rotation about the centres of the foreground; mirrored ones too if asked for."""
    ndim = len(fixed.middle)
    turns = rotations(ndim)
    starts = [Start('coarse search', about(turn, fixed.centre, moving.centre)) for turn in turns]
    if mirrored:
        mirror = np.diag([-1.0] + [1.0] * (ndim - 1))
        starts += [
            Start('coarse search, mirrored', about(turn @ mirror, fixed.centre, moving.centre)) for turn in turns
        ]
    return starts


def angle_between(first: np.ndarray, second: np.ndarray) -> float:
    """Angle in degrees between the rotations of two maps; 180 if only one of them mirrors."""
    a, b = (_nearest_rotation(m[:-1, :-1]) for m in (first, second))
    relative = a.T @ b
    if np.linalg.det(relative) < 0:
        return 180.0
    cosine = (np.trace(relative) - (len(relative) - 2)) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _nearest_rotation(linear: np.ndarray) -> np.ndarray:
    u, _, vt = np.linalg.svd(linear)
    return u @ vt
