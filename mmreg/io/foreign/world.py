"""NiftyReg and SPM, which count in RAS millimetres of the world, and matrices of anyone who does."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmreg.errors import DataError
from mmreg.io.atomic import write_text
from mmreg.io.transforms import Transform

from .fields import VectorField, read_field, write_field
from .fsl import _mapped
from .space import Spaces, field_transform, matrix_transform
from .text import rows_of_numbers

#: What ``intent_p1`` of NiftyReg says of a field.
_ABSOLUTE, _RELATIVE = 0, 1
_KINDS = {2: 'control points of splines', 3: 'a velocity', 4: 'a velocity', 5: 'velocities at control points'}


def read_ras_matrix(path: Path, spaces: Spaces) -> Transform:
    """3x3 or 4x4 numbers, fixed -> moving in RAS mm, as Greedy and NiftyReg write them."""
    rows = rows_of_numbers(path, '3x3 or 4x4 numbers')
    if len({len(row) for row in rows}) > 1:
        raise DataError(f'{path}: found rows of different length, expected 3x3 or 4x4 numbers')
    return matrix_transform(np.array(rows), path)


def write_ras_matrix(path: Path, transform: Transform, spaces: Spaces) -> None:
    """4x4 numbers, fixed -> moving in RAS mm."""
    affine = transform.affine
    if affine is None:
        raise DataError(f'{path}: found a transform that is not linear, expected the ending .nii.gz for a field')
    write_text(path, ''.join(' '.join(f'{v:.10g}' for v in row) + '\n' for row in affine))


def read_niftyreg_field(path: Path, spaces: Spaces) -> Transform:
    """A deformation (absolute) or displacement field, as ``intent_p1`` says."""
    field = read_field(path)
    kind = int(field.parameters[0]) if field.name.upper() == 'NREG_TRANS' else _ABSOLUTE
    if kind not in (_ABSOLUTE, _RELATIVE):
        raise DataError(
            f'{path}: found {_KINDS.get(kind, "a field of unknown kind")} of NiftyReg, expected a deformation or '
            'displacement field; reg_transform -def makes one'
        )
    return _absolute(field, path) if kind == _ABSOLUTE else _relative(field, path)


def read_spm_field(path: Path, spaces: Spaces) -> Transform:
    """SPM's ``y_*.nii``: for each voxel its place in the other image, RAS mm."""
    return _absolute(read_field(path), path)


def read_ras_displacement(path: Path, spaces: Spaces) -> Transform:
    """Displacements in RAS mm."""
    return _relative(read_field(path), path)


def write_niftyreg_field(path: Path, transform: Transform, spaces: Spaces) -> None:
    """A deformation field for ``reg_resample -trans``, on the fixed grid."""
    _write_absolute(path, transform, spaces, 'NREG_TRANS')


def write_spm_field(path: Path, transform: Transform, spaces: Spaces) -> None:
    """A deformation field for SPM's Deformations, on the fixed grid."""
    _write_absolute(path, transform, spaces, 'Mapping')


def _write_absolute(path: Path, transform: Transform, spaces: Spaces, name: str) -> None:
    if spaces.fixed is None:
        raise DataError(f'{path}: found no grid for a field, expected one (--reference FIXED)')
    write_field(path, _mapped(transform, spaces.fixed), spaces.fixed, name)


def _absolute(field: VectorField, path: Path) -> Transform:
    return field_transform(field.vectors, field.grid, path)


def _relative(field: VectorField, path: Path) -> Transform:
    return field_transform(field.positions + field.vectors, field.grid, path)
