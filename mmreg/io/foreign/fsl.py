"""FSL: matrices of FLIRT, and warps of FNIRT and convertwarp.

Both count in scaled voxels: the index times the voxel size, the first axis turned round where the image is stored in
neurological order (its voxel-to-world determinant is positive). A matrix maps moving to fixed; a warp lives on the
fixed image and leads to the moving one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmreg.errors import DataError
from mmreg.io.atomic import write_text
from mmreg.io.geometry import Geometry
from mmreg.io.transforms import Transform

from .fields import read_field, write_field
from .space import Spaces, field_transform, matrix_transform
from .text import numbers_in

#: Intents of FNIRT: a field of displacements, and coefficients of splines.
_FIELD, _COEFFICIENTS = 2006, range(2007, 2020)


def scaled_voxels(grid: Geometry) -> np.ndarray:
    """(4, 4): voxel index -> FSL's millimetres."""
    matrix = np.diag([*grid.spacing, 1.0])
    if np.linalg.det(grid.matrix) > 0:
        matrix[0, 0] *= -1
        matrix[0, -1] = (grid.shape[0] - 1) * grid.spacing[0]
    return matrix


def read_matrix(path: Path, spaces: Spaces) -> Transform:
    """A matrix of FLIRT; both images are needed."""
    stored = numbers_in(path, (4, 4))
    fixed, moving = spaces.both(path, 'FSL')
    try:
        back = np.linalg.inv(stored)
    except np.linalg.LinAlgError as error:
        raise DataError(f'{path}: found a matrix that cannot be inverted, expected one of FLIRT') from error
    to_fixed = scaled_voxels(fixed) @ np.linalg.inv(fixed.affine)
    return matrix_transform(moving.affine @ np.linalg.inv(scaled_voxels(moving)) @ back @ to_fixed, path)


def write_matrix(path: Path, transform: Transform, spaces: Spaces) -> None:
    """A matrix for ``flirt -applyxfm -init``; both images are needed."""
    affine = transform.affine
    if affine is None:
        raise DataError(f'{path}: found a transform that is not linear, expected the ending .nii.gz for a warp of FSL')
    fixed, moving = spaces.both(path, 'FSL')
    to_moving = scaled_voxels(moving) @ np.linalg.inv(moving.affine)
    from_fixed = fixed.affine @ np.linalg.inv(scaled_voxels(fixed))
    matrix = np.linalg.inv(to_moving @ affine @ from_fixed)
    write_text(path, ''.join('  '.join(f'{v:.10f}' for v in row) + '\n' for row in matrix))


def read_warp(path: Path, spaces: Spaces) -> Transform:
    """A warp on the fixed grid, relative or absolute (told by its numbers, as FSL does); the moving image is needed."""
    field = read_field(path)
    if field.intent in _COEFFICIENTS:
        raise DataError(
            f'{path}: found coefficients of splines of FNIRT, expected a field; fnirtfileutils --outformat=field '
            'makes one'
        )
    grid = field.grid if spaces.fixed is None else spaces.fixed
    if not grid.same_grid(field.grid):
        grid = field.grid
    _, moving = Spaces(grid, spaces.moving).both(path, 'FSL')
    own = Geometry(grid.shape, scaled_voxels(grid)) if np.linalg.det(grid.matrix) < 0 else None
    places = _apply(scaled_voxels(grid), _indices(grid)) if own is None else own.voxel_to_world(_indices(grid))
    finite = np.where(np.isfinite(field.vectors), field.vectors, 0)
    absolute = field.intent != _FIELD and np.std(finite - places) < np.std(finite)
    there = field.vectors if absolute else places + field.vectors
    world = _apply(moving.affine @ np.linalg.inv(scaled_voxels(moving)), there)
    return field_transform(world, grid, path)


def write_warp(path: Path, transform: Transform, spaces: Spaces) -> None:
    """A relative warp for ``applywarp --rel`` on the fixed grid; both images are needed."""
    fixed, moving = spaces.both(path, 'FSL')
    places = _apply(scaled_voxels(fixed), _indices(fixed))
    there = _apply(scaled_voxels(moving) @ np.linalg.inv(moving.affine), _mapped(transform, fixed))
    write_field(path, there - places, fixed)


def _mapped(transform: Transform, grid: Geometry) -> np.ndarray:
    """(*S, ndim) RAS mm in the moving space of the voxels of a grid."""
    displacement = np.moveaxis(transform.displacement_on(grid, np.float64), 0, -1)
    return grid.voxel_to_world(_indices(grid) + displacement)


def _indices(grid: Geometry) -> np.ndarray:
    return np.stack(np.meshgrid(*[np.arange(n, dtype=np.float64) for n in grid.shape], indexing='ij'), -1)


def _apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:-1, :-1].T + matrix[:-1, -1]
