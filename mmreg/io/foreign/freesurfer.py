"""FreeSurfer's .lta: a linear map from a source to a destination image, each with its geometry in the file.

Tools that resample bring the source to the destination, so the source is the moving image here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmreg.errors import MISFIT, DataError
from mmreg.io.atomic import write_text
from mmreg.io.geometry import Geometry
from mmreg.io.transforms import Transform
from mmreg.utils.text_files import read_text

from .space import Spaces, matrix_transform

_VOXELS, _WORLD = 0, 1
_EXPECTED = 'a linear transform of FreeSurfer (.lta)'


def read_lta(path: Path, spaces: Spaces) -> Transform:
    """Fixed (destination) -> moving (source)."""
    lines = [line.partition('#')[0].strip() for line in read_text(path, _EXPECTED).splitlines()]
    fields = dict(_pair(line) for line in lines if '=' in line)
    try:
        kind, count = int(fields['type']), int(fields.get('nxforms', '1'))
    except MISFIT as error:
        raise DataError(f'{path}: found no type of transform, expected {_EXPECTED}') from error
    if count != 1:
        raise DataError(f'{path}: found {count} transforms, expected one')
    if kind not in (_VOXELS, _WORLD):
        raise DataError(f'{path}: found a transform of type {kind}, expected 0 (voxels) or 1 (RAS mm)')
    matrix = _matrix(lines, path)
    if kind == _VOXELS:
        source, destination = (_geometry(lines, name, path) for name in ('src', 'dst'))
        matrix = destination @ matrix @ np.linalg.inv(source)
    if abs(np.linalg.det(matrix)) < 1e-12:
        raise DataError(f'{path}: found a matrix that cannot be inverted, expected {_EXPECTED}')
    return matrix_transform(np.linalg.inv(matrix), path)


def write_lta(path: Path, transform: Transform, spaces: Spaces) -> None:
    """A map of RAS mm, source (moving) to destination (fixed), for mri_vol2vol and mri_convert."""
    affine = transform.affine
    if affine is None:
        raise DataError(f'{path}: found a transform that is not linear, expected an affine for .lta')
    fixed, moving = spaces.both(path, 'FreeSurfer')
    rows = [' '.join(f'{v:.15e}' for v in row) for row in np.linalg.inv(affine)]
    lines = ['type      = 1', 'nxforms   = 1', 'mean      = 0.0000 0.0000 0.0000', 'sigma     = 1.0000', '1 4 4', *rows]
    for name, grid in (('src', moving), ('dst', fixed)):
        lines += [f'{name} volume info', *_described(grid)]
    write_text(path, '\n'.join(lines) + '\n')


def _described(grid: Geometry) -> list[str]:
    direction = grid.direction
    numbers = {
        'voxelsize': grid.spacing,
        **{f'{axis}ras  ': direction[:, n] for n, axis in enumerate('xyz')},
        'cras  ': grid.voxel_to_world(np.asarray(grid.shape) / 2),
    }
    size = ' '.join(map(str, grid.shape))
    told = [f'{key} = ' + ' '.join(f'{v:.15e}' for v in values) for key, values in numbers.items()]
    return ['valid = 1  # volume info valid', 'filename = image', f'volume = {size}', *told]


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition('=')
    return key.strip(), value.strip()


def _matrix(lines: list[str], path: Path) -> np.ndarray:
    try:
        start = next(n for n, line in enumerate(lines) if line.split() == ['1', '4', '4'])
        rows = [line for line in lines[start + 1 :] if line][:4]
        matrix = np.array([[float(v) for v in row.split()] for row in rows])
    except (StopIteration, ValueError) as error:
        raise DataError(f'{path}: found no 4x4 matrix, expected {_EXPECTED}') from error
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise DataError(f'{path}: found a matrix of shape {matrix.shape}, expected {_EXPECTED}')
    return matrix


def _geometry(lines: list[str], name: str, path: Path) -> np.ndarray:
    """(4, 4) voxel -> RAS of one of the two images."""
    try:
        start = next(n for n, line in enumerate(lines) if line.startswith(f'{name} volume info'))
    except StopIteration as error:
        raise DataError(f'{path}: found no geometry of the {name} image, expected {_EXPECTED}') from error
    fields = dict(_pair(line) for line in lines[start + 1 : start + 9] if '=' in line)
    if fields.get('valid', '').split()[:1] != ['1']:
        raise DataError(f'{path}: found a geometry of the {name} image that is not valid, expected {_EXPECTED}')
    return _voxel_to_world(fields, path)


def _voxel_to_world(fields: Mapping[str, str], path: Path) -> np.ndarray:
    try:
        size, spacing, centre = (np.array(fields[key].split(), float) for key in ('volume', 'voxelsize', 'cras'))
        axes = np.array([fields[f'{axis}ras'].split() for axis in 'xyz'], float).T
        matrix = np.eye(4)
        matrix[:3, :3] = axes * spacing
        matrix[:3, 3] = centre - matrix[:3, :3] @ (size / 2)
    except MISFIT as error:
        raise DataError(f'{path}: found an incomplete geometry ({error}), expected {_EXPECTED}') from error
    return matrix
