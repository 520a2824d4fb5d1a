"""How much of the fixed image lies inside the moving image's field of view."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mmreg.errors import DataError
from mmreg.io import Geometry
from mmreg.registration.inputs import Image
from mmreg.registration.inputs.views import shown_voxels
from mmreg.registration.planes import by_headers

from .values import ResultValues

#: More voxels than this are represented by every second one along each axis where only a percentage is asked for.
_MANY = 1_000_000


def overlap_percent(images: Mapping[str, Image], affine: np.ndarray | None) -> float:
    """Percentage of the fixed grid inside the moving image's field of view; none at all is refused."""
    fixed, moving = images['fixed'], images['moving']
    overlap = inside_percent(mapped_points(fixed.geometry, None, affine), moving.geometry)
    if overlap == 0:
        raise DataError(
            f'{moving.name}: its field of view has nothing in common with that of {fixed.name} (centres '
            f'{np.linalg.norm(fixed.geometry.centre - moving.geometry.centre):.0f} mm apart), expected images that '
            'overlap in the world; give an affine (--affine FILE, or --affine centres to put the centres together)'
        )
    return overlap


def inside_percent(points: np.ndarray, geometry: Geometry) -> float:
    """Percentage of world points ``(..., ndim)`` (RAS mm) inside a grid's field of view (half a voxel around it)."""
    if len(points) == 0:
        return 100.0
    voxels = geometry.world_to_voxel(points)
    inside = ((voxels >= -0.5) & (voxels <= np.asarray(geometry.shape) - 0.5)).all(axis=-1)
    return 100.0 * float(inside.mean())


def mapped_points(
    geometry: Geometry, displacement: np.ndarray | None, affine: np.ndarray | None, where: np.ndarray | None = None
) -> np.ndarray:
    """World positions in the moving space of the fixed grid's voxels, ``(P, ndim)`` RAS mm; every second if many.

    Args:
        geometry: Fixed grid.
        displacement: ``(ndim, *S)`` voxels; None for none.
        affine: fixed world -> moving world, RAS mm; None for the identity.
        where: ``(*S)`` bool: only these voxels.
    """
    step = 1 if np.prod(geometry.shape) <= _MANY else 2
    cut = (slice(None), *(slice(None, None, step),) * geometry.ndim)
    grid = np.stack(np.meshgrid(*[np.arange(n, dtype=np.float64)[::step] for n in geometry.shape], indexing='ij'))
    if displacement is not None:
        grid = grid + displacement[cut]
    voxels = grid.reshape(geometry.ndim, -1).T
    points = geometry.voxel_to_world(voxels if where is None else voxels[where[cut[1:]].ravel()])
    return points if affine is None else points @ affine[:-1, :-1].T + affine[:-1, -1]


def compared_voxels(result: ResultValues) -> np.ndarray:
    """Voxels of the fixed grid ``(*S)`` bool at which both images show something before and after: what is compared.

    Inside the moving image's field of view without and with the displacement; the fixed image's dark background does
    not count.
    """
    geometry, moving = result.geometry, result.moving.geometry
    grid = np.stack(np.meshgrid(*[np.arange(n, dtype=np.float32) for n in geometry.shape], indexing='ij'))
    inside = shown_voxels(result.fixed.volume)
    affine = np.eye(geometry.ndim + 1) if result.affine is None else result.affine
    start = by_headers(geometry, moving)
    start = np.eye(geometry.ndim + 1) if start is None else start
    for linear, field in ((start, None), (affine, result.displacement)):
        to_moving = (np.linalg.inv(moving.affine) @ linear @ geometry.affine).astype(np.float32)
        voxels = grid if field is None else grid + field
        for row, size in zip(to_moving[:-1], moving.shape):
            along = np.tensordot(row[:-1], voxels, axes=1) + row[-1]
            inside &= (along >= -0.5) & (along <= size - 0.5)
    return inside
