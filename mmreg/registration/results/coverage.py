"""How much of the fixed image lies inside the moving image's field of view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    overlap = inside_percent(fixed.geometry, None, affine, moving.geometry)
    if overlap == 0:
        raise DataError(
            f'{moving.name}: its field of view has nothing in common with that of {fixed.name} (centres '
            f'{np.linalg.norm(fixed.geometry.centre - moving.geometry.centre):.0f} mm apart), expected images that '
            'overlap in the world; give an affine (--affine FILE, or --affine centres to put the centres together)'
        )
    return overlap


def inside_percent(
    geometry: Geometry,
    displacement: np.ndarray | None,
    affine: np.ndarray | None,
    moving: Geometry,
    where: np.ndarray | None = None,
) -> float:
    """Percentage of a grid's voxels that are mapped into another one's field of view (half a voxel around it).

    Every second along each axis counts where they are many; 100 where there is none.

    Args:
        geometry: Fixed grid.
        displacement: ``(ndim, *S)`` voxels; None for none.
        affine: fixed world -> moving world, RAS mm; None for the identity.
        moving: Moving grid.
        where: ``(*S)`` bool: only these voxels.
    """
    step = 1 if np.prod(geometry.shape) <= _MANY else 2
    world = np.eye(geometry.ndim + 1) if affine is None else np.asarray(affine)
    to_moving = np.linalg.inv(moving.affine) @ world @ geometry.affine
    plane = [np.arange(n, dtype=np.float64)[::step] for n in geometry.shape[1:]]
    count = inside = 0
    for first in range(0, geometry.shape[0], step):  # slice by slice: no points of the whole grid in memory
        voxels = np.stack(np.meshgrid(float(first), *plane, indexing='ij'))[:, 0]
        cut: tuple[Any, ...] = (first, *(slice(None, None, step),) * len(plane))
        every: tuple[Any, ...] = (slice(None), *cut)
        if displacement is not None:
            voxels += displacement[every]
        points = voxels.reshape(geometry.ndim, -1)
        if where is not None:
            points = points[:, where[cut].ravel()]
        mapped = to_moving[:-1, :-1] @ points + to_moving[:-1, -1:]
        seen = (mapped >= -0.5) & (mapped <= np.asarray(moving.shape)[:, None] - 0.5)
        count, inside = count + points.shape[1], inside + int(seen.all(axis=0).sum())
    return 100.0 * inside / count if count else 100.0


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
