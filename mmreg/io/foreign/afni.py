"""AFNI: matrices (.aff12.1D) and warps, in its DICOM order, which is LPS; base (fixed) -> source (moving)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmreg.errors import DataError
from mmreg.io.atomic import write_text
from mmreg.io.geometry import Geometry
from mmreg.io.transforms import Transform

from .fields import read_field, write_field
from .fsl import _indices, _mapped
from .space import Spaces, field_transform, from_lps, matrix_transform
from .text import rows_of_numbers

#: Degrees: grids turned by less are taken to lie along the axes.
_PLUMB = 0.1
_LPS = np.array([-1.0, -1.0, 1.0])


def read_matrices(path: Path) -> list[np.ndarray]:
    """All matrices of a file as (4, 4) RAS, fixed -> moving: one per row of 12, or one in three rows of 4."""
    rows = rows_of_numbers(path, 'rows of 12 numbers, or three of 4')
    if len(rows) == 3 and all(len(row) == 4 for row in rows):
        rows = [[value for row in rows for value in row]]
    if any(len(row) != 12 for row in rows):
        raise DataError(f'{path}: found rows of {sorted({len(r) for r in rows})} numbers, expected 12, or three of 4')
    return [from_lps(np.vstack([np.reshape(row, (3, 4)), [0, 0, 0, 1]])) for row in rows]


def _refuse_oblique(path: Path, *grids: Geometry | None) -> None:
    """AFNI leaves the obliquity of a grid out of its coordinates: its numbers then mean other places than the headers.

    Raises:
        DataError: one of the grids is oblique.
    """
    for grid in grids:
        if grid is not None and (angle := obliquity(grid)) > _PLUMB:
            raise DataError(
                f'{path}: found a transform of AFNI on a grid that is turned by {angle:.3g} degrees, which AFNI leaves '
                'out of its coordinates, expected grids along the axes (3dWarp -deoblique)'
            )


def obliquity(grid: Geometry) -> float:
    """The largest angle between an axis of a grid and the nearest of the world, in degrees."""
    return float(np.degrees(np.arccos(np.clip(np.abs(grid.direction).max(axis=0).min(), 0, 1))))


def write_matrix(path: Path, transform: Transform, spaces: Spaces) -> None:
    """One row for ``3dAllineate -1Dmatrix_apply``."""
    _refuse_oblique(path, spaces.fixed, spaces.moving)
    affine = transform.affine
    if affine is None:
        raise DataError(f'{path}: found a transform that is not linear, expected the ending .nii.gz for a warp of AFNI')
    write_text(path, ' '.join(f'{v:.10g}' for v in from_lps(affine)[:3].ravel()) + '\n')


def read_warp(path: Path, spaces: Spaces) -> Transform:
    """A warp of 3dQwarp: displacements in LPS mm."""
    field = read_field(path)
    if field.grid.ndim != 3:
        raise DataError(f'{path}: found a {field.grid.ndim}-D field, expected a 3-D warp of AFNI')
    _refuse_oblique(path, field.grid)
    return field_transform(field.positions + field.vectors * _LPS, field.grid, path)


def write_warp(path: Path, transform: Transform, spaces: Spaces) -> None:
    """A warp for ``3dNwarpApply``, on the fixed grid."""
    if spaces.fixed is None:
        raise DataError(f'{path}: found no grid for a warp, expected one (--reference FIXED)')
    grid = spaces.fixed
    _refuse_oblique(path, grid, spaces.moving)
    write_field(path, (_mapped(transform, grid) - grid.voxel_to_world(_indices(grid))) * _LPS, grid)


def read_matrix(path: Path, spaces: Spaces, frame: int | None = None) -> Transform:
    """One matrix; a file with several holds one per time point, of which ``frame`` (from 1) chooses."""
    found = read_matrices(path)
    _refuse_oblique(path, spaces.fixed, spaces.moving)
    return matrix_transform(found[chosen(len(found), frame, path)], path)


def chosen(count: int, frame: int | None, path: Path) -> int:
    """Index of the transform that is meant among several.

    Raises:
        DataError: none is named, or there is no such one.
    """
    if count == 1 and frame in (None, 1):
        return 0
    if frame is None:
        raise DataError(
            f'{path}: found {count} transforms, one per time point as it seems, expected one; --frame N, from 1 to '
            f'{count}, chooses it'
        )
    if not 1 <= frame <= count:
        raise DataError(f'{path}: found {count} transforms, expected a number from 1 to {count} instead of {frame}')
    return frame - 1
