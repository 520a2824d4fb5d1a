"""Steps of a registration around the network: what is checked before it, and what follows the displacement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mmreg.errors import DataError
from mmreg.io import (
    Landmarks,
    affine_transform,
    check_points,
    fixed_to_moving,
    moving_to_fixed,
    resample_to,
    warp_to_fixed,
)

from .inputs import Image, LandmarksLike, load_landmarks
from .results import measure
from .results.result import RegistrationResult


def load_points(
    fixed: LandmarksLike | None, moving: LandmarksLike | None, images: Mapping[str, Image], frame: str | None
) -> dict[str, Landmarks]:
    """Landmarks by role, ``'fixed'`` and ``'moving'``, where they are given; both together must be pairs."""
    sources = {'fixed': fixed, 'moving': moving}
    points = {
        role: load_landmarks(source, f'{role}_landmarks', images[role].geometry, frame)
        for role, source in sources.items()
        if source is not None
    }
    if len(points) == 2 and len(points['fixed'].points) != len(points['moving'].points):
        raise DataError(
            f'fixed_landmarks has {len(points["fixed"].points)} points and moving_landmarks '
            f'{len(points["moving"].points)}, expected pairs'
        )
    return points


def checked_affine(affine: Any, images: Mapping[str, Image]) -> np.ndarray:
    """``(ndim+1, ndim+1)`` float64, fixed world -> moving world; ``'centres'`` brings the grids' centres together."""
    fixed, moving = images['fixed'].geometry, images['moving'].geometry
    ndim = fixed.ndim
    if isinstance(affine, str):
        if affine != 'centres':
            raise DataError(f"affine: found {affine!r}, expected a matrix or 'centres'")
        matrix = np.eye(ndim + 1)
        matrix[:ndim, ndim] = moving.centre - fixed.centre
        return matrix
    matrix = np.asarray(affine, dtype=np.float64)
    if matrix.shape != (ndim + 1, ndim + 1):
        raise DataError(f'affine: found a matrix of shape {matrix.shape}, expected {(ndim + 1, ndim + 1)}')
    affine_transform(matrix)  # refuses what cannot be inverted
    return matrix


def overlap_percent(images: Mapping[str, Image], affine: np.ndarray | None) -> float:
    """Percentage of the fixed grid inside the moving image's field of view; none at all is refused."""
    fixed, moving = images['fixed'], images['moving']
    overlap = measure.inside_percent(measure.mapped_points(fixed.geometry, None, affine), moving.geometry)
    if overlap == 0:
        raise DataError(
            f'{moving.name}: its field of view has nothing in common with that of {fixed.name} (centres '
            f'{np.linalg.norm(fixed.geometry.centre - moving.geometry.centre):.0f} mm apart), expected images that '
            'overlap in the world; give an affine (--affine FILE, or --affine centres to put the centres together)'
        )
    return overlap


def on_fixed_grid(
    case_id: str, displacement: np.ndarray, images: Mapping[str, Image], affine: np.ndarray | None
) -> RegistrationResult:
    """The moving image on the fixed grid before and after, each sampled once from its original voxels."""
    fixed, moving = images['fixed'], images['moving']
    return RegistrationResult(
        case_id=case_id,
        displacement=displacement,
        geometry=fixed.geometry,
        warped=warp_to_fixed(moving.volume, displacement, fixed.geometry, affine),
        before=resample_to(moving.volume, fixed.geometry),
        fixed=fixed,
        moving=moving,
        affine=affine,
    )


def follow(result: RegistrationResult, labels: Mapping[str, Image], points: Mapping[str, Landmarks]) -> None:
    """Labels and landmarks follow the displacement."""
    if 'moving' in labels:
        result.warped_labels = warp_to_fixed(
            labels['moving'].volume, result.displacement, result.geometry, result.affine, 'nearest'
        )
    if 'fixed' in points:
        world = points['fixed'].in_world(result.geometry)
        moved = fixed_to_moving(world, result.displacement, result.geometry, result.affine)
        result.landmarks_in_moving = Landmarks(check_points(moved), 'ras', points['fixed'].names)
    if 'moving' in points and result.inverse is not None:
        world = points['moving'].in_world(result.moving.geometry)
        moved = moving_to_fixed(world, result.inverse.displacement, result.inverse.geometry, result.affine)
        result.landmarks_in_fixed = Landmarks(check_points(moved), 'ras', points['moving'].names)
