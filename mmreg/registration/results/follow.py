"""What follows a displacement: the moving image, its labels and the landmarks of both images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mmreg.io import (
    Geometry,
    Landmarks,
    Volume,
    affine_transform,
    check_points,
    fixed_to_moving,
    resample_to,
    warp_to_fixed,
)
from mmreg.io.point_inverse import inverse_points
from mmreg.io.resample import outside_value
from mmreg.registration.inputs import Image
from mmreg.registration.planes import by_headers

from .result import RegistrationResult


def on_fixed_grid(
    case_id: str,
    displacement: np.ndarray,
    images: Mapping[str, Image],
    affine: np.ndarray | None,
    fill: float | None = None,
) -> RegistrationResult:
    """The moving image on the fixed grid before and after, each sampled once from its original voxels.

    Args:
        case_id: Name of the pair.
        displacement: ``(ndim, *S)`` voxels of the fixed grid.
        images: ``fixed`` and ``moving``.
        affine: fixed world -> moving world, RAS mm; None for the identity.
        fill: Value where the moving image has no voxels; by default :func:`mmreg.io.resample.outside_value`.
    """
    fixed, moving = images['fixed'], images['moving']
    outside = outside_value(moving.volume.array) if fill is None else fill
    return RegistrationResult(
        case_id=case_id,
        displacement=displacement,
        geometry=fixed.geometry,
        warped=warp_to_fixed(moving.volume, displacement, fixed.geometry, affine, fill=outside),
        before=unmoved(moving.volume, fixed.geometry, fill=outside),
        fixed=fixed,
        moving=moving,
        affine=affine,
    )


def unmoved(moving: Volume, grid: Geometry, mode: str = 'linear', fill: float | None = None) -> Volume:
    """The moving volume on a grid by the headers alone."""
    matrix = by_headers(grid, moving.geometry)
    transform = None if matrix is None else affine_transform(matrix)
    return resample_to(moving, grid, mode, transform=transform, fill=fill)


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
        moved, _ = inverse_points(result.transform, world)  # as exactly as the displacement itself can be undone
        result.landmarks_in_fixed = Landmarks(check_points(moved), 'ras', points['moving'].names)
