"""Whose transform a file is: what says so itself is believed, what may be several things is asked about."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmreg.errors import ConfigError, DataError
from mmreg.io.displacement import is_image_file
from mmreg.io.files import regular_file
from mmreg.io.transforms import Transform, read_itk_transform
from mmreg.utils.text_files import read_text

from . import afni, elastix, freesurfer, fsl, world
from .fields import VectorField, read_field
from .space import Reader, Spaces, Writer

#: Per format: readers and writers of matrices (text) and of fields (images); None where there is no such thing.
FORMATS: dict[str, tuple[Reader | None, Reader | None, Writer | None, Writer | None]] = {
    'itk': (None, None, None, None),
    'ras': (world.read_ras_matrix, world.read_ras_displacement, world.write_ras_matrix, None),
    'fsl': (fsl.read_matrix, fsl.read_warp, fsl.write_matrix, fsl.write_warp),
    'niftyreg': (
        world.read_ras_matrix, world.read_niftyreg_field, world.write_ras_matrix, world.write_niftyreg_field,
    ),
    'spm': (None, world.read_spm_field, None, world.write_spm_field),
    'afni': (afni.read_matrix, afni.read_warp, afni.write_matrix, afni.write_warp),
    'freesurfer': (freesurfer.read_lta, None, freesurfer.write_lta, None),
    'elastix': (elastix.read_elastix, None, elastix.write_elastix, None),
}  # fmt: skip
_TEXT = ('.txt', '.csv', '.mat', '.lta', '.1d', '.xfm', '.tfm')
#: A field whose numbers are this close to the places of its own voxels holds places, not displacements.
_PLACES = 0.3


def read_any(
    path: str | Path, spaces: Spaces | None = None, form: str | None = None, frame: int | None = None
) -> Transform:
    """Read a transform of any program.

    Args:
        path: the file; ``'fsl:FILE'`` says the format.
        spaces: grids of the images, which FSL needs.
        form: one of :data:`FORMATS`; told from the file by default.
        frame: which one of a file with one transform per time point, from 1.

    Raises:
        ConfigError: an unknown format.
        DataError: unreadable, or something that may be several things, with the option that says which.
    """
    form, path = _prefixed(path, form)
    path = regular_file(path, 'a transform')
    spaces = spaces or Spaces()
    if form is None:
        form = _field_format(path) if is_image_file(path) else _text_format(path)
    if form not in FORMATS:
        raise ConfigError(f"format '{form}' was given, expected one of {', '.join(FORMATS)}")
    if form == 'afni' and not is_image_file(path):
        return afni.read_matrix(path, spaces, frame)
    matrix, field, _, _ = FORMATS[form]
    reader = field if is_image_file(path) else matrix
    if form == 'itk':
        return read_itk_transform(path, frame)
    if reader is None:
        what = 'a field' if is_image_file(path) else 'a matrix'
        raise DataError(f'{path}: found {what}, expected another format for it than {form}')
    return reader(path, spaces)


def write_as(path: str | Path, transform: Transform, form: str, spaces: Spaces) -> None:
    """Write a transform for another program: a field where the ending is that of an image, else a matrix.

    Raises:
        ConfigError: an unknown format, or one that has no such file.
        DataError: a map that is not linear for a matrix, or an image whose grid is needed is missing.
    """
    if form not in FORMATS or form == 'itk':
        raise ConfigError(f"format '{form}' was given, expected one of {', '.join(f for f in FORMATS if f != 'itk')}")
    path = Path(path)
    _, _, matrix, field = FORMATS[form]
    writer = field if is_image_file(path) else matrix
    if writer is None:
        what, other = ('field', 'a matrix (.txt)') if is_image_file(path) else ('matrix', 'a field (.nii.gz)')
        raise ConfigError(f'{path}: {form} keeps no {what} in such a file, expected {other} or another format')
    writer(path, transform, spaces)


def _prefixed(path: str | Path, form: str | None) -> tuple[str | None, str | Path]:
    """``'fsl:FILE'`` parted, where there is no file of that whole name."""
    head, colon, tail = str(path).partition(':')
    if colon and head in FORMATS and tail and not Path(path).exists():
        return head, tail
    return form, path


def _text_format(path: Path) -> str:
    """By the ending and the first lines; ``'itk'`` for what only ITK can tell."""
    suffix = path.suffix.lower()
    if suffix == '.lta':
        return 'freesurfer'
    if suffix == '.1d':
        return 'afni'
    if suffix not in _TEXT:
        return 'itk'
    try:
        text = read_text(path, 'a transform')
    except DataError:
        return 'itk'  # ANTs' binary .mat
    if elastix.looks_like_elastix(text):
        return 'elastix'
    if not _only_numbers(text):
        return 'itk'
    if suffix == '.mat':
        raise DataError(
            f'{path}: found a matrix as text, which may be one of FSL (scaled voxels, moving -> fixed) or of Greedy '
            f'(RAS mm, fixed -> moving), expected --format fsl or --format ras with it, or fsl:{path.name}'
        )
    return 'ras'


def _only_numbers(text: str) -> bool:
    cells = text.replace(',', ' ').split()
    try:
        [float(cell) for cell in cells[:32]]
    except ValueError:
        return False
    return bool(cells)


def _field_format(path: Path) -> str:
    """By the intent of a NIfTI field, else by its numbers."""
    if not path.name.lower().endswith(('.nii', '.nii.gz')):
        _refuse_places(path, read_field(path))
        return 'itk'
    field = read_field(path)
    told = _by_intent(field, path)
    if told is None:
        _refuse_places(path, field)
    return told or 'itk'


def _by_intent(field: VectorField, path: Path) -> str | None:
    if field.name.upper() == 'NREG_TRANS':
        return 'niftyreg'
    if field.name == 'Mapping':
        return 'spm'
    if 2006 <= field.intent < 2020:
        return 'fsl'
    if field.intent not in (1006, 1007):
        raise DataError(
            f'{path}: found vectors without the intent of a field ({field.intent}), which FSL, AFNI and others write, '
            'expected --format fsl, afni, spm, niftyreg, ras or itk with it'
        )
    return None


def _refuse_places(path: Path, field: VectorField) -> None:
    """A field that holds places instead of displacements would fold everything."""
    vectors = np.where(np.isfinite(field.vectors), field.vectors, 0)
    ras = field.positions
    spread = ras.reshape(-1, field.grid.ndim).std(axis=0)
    lps = ras * np.array([-1.0, -1.0, 1.0][: field.grid.ndim])
    axes = [np.arange(n, dtype=np.float64) for n in field.grid.shape]
    indices = np.stack(np.meshgrid(*axes, indexing='ij'), -1)
    long = spread > 0
    kinds: tuple[tuple[str, np.ndarray], ...] = (('RAS mm', ras), ('LPS mm', lps), ('voxels', indices))
    for name, places in kinds:
        own = places.reshape(-1, field.grid.ndim).std(axis=0)
        left = (vectors - places).reshape(-1, field.grid.ndim).std(axis=0)
        if long.any() and (left[long] < _PLACES * own[long]).all():
            raise DataError(
                f'{path}: found a field that holds places ({name}) instead of displacements, expected displacements in '
                'LPS mm as ITK writes them; --format spm reads places in RAS mm, --format itk keeps the numbers'
            )
