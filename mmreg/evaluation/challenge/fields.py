"""Displacement fields as participants hand them in: found, checked all at once, read into our layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import zoom

from mmreg.errors import DataError, listed
from mmreg.io import read_learn2reg_nifti, read_npz
from mmreg.io.files import regular_file
from mmreg.io.learn2reg import ZOOM_ORDER

from .config import EvaluationConfig, ScoredPair

ENDINGS = ('.nii.gz', '.npz', '.nii')

_FLOATS = {sitk.sitkFloat32: 'float32', sitk.sitkFloat64: 'float64'}
_VECTORS = {sitk.sitkVectorFloat32: 'float32', sitk.sitkVectorFloat64: 'float64'}


def find_fields(folder: Path, configs: Sequence[EvaluationConfig]) -> dict[ScoredPair, Path]:
    """The file of every pair of ``configs``, after a look into all of them: nothing is scored before all is well.

    Raises:
        DataError: names every field that is missing, is there twice, has another shape or type than expected, cannot
            be read, or holds NaN or infinity.
    """
    if not folder.is_dir():
        raise DataError(f'{folder} is not a folder, expected one with displacement fields.')
    folder = inner_folder(folder)
    shapes = {pair: config.shape for config in configs for pair in config.pairs}
    problems, files = [], {}
    for pair, shape in shapes.items():
        found = named_files(folder, pair)
        if len(found) == 1:
            files[pair] = found[0]
            problem = check_header(found[0], shape) or check_values(found[0])
        elif found:
            problem = f'{pair.field_stem}: found {len(found)} files, expected one'
        else:
            problem = f'{pair.field_stem}.nii.gz: missing'
        if problem:
            problems.append(problem)
    if problems:
        raise DataError(
            f'{len(problems)} of {len(shapes)} displacement fields cannot be scored: {listed(problems, "; ")}.'
        )
    return files


def inner_folder(folder: Path) -> Path:
    """``folder``, or the one folder in it where the fields are, as they lie in an archive of LUMIR."""
    if any(folder.glob('disp_*')):
        return folder
    inside = [path for path in folder.iterdir() if path.is_dir() and any(path.glob('disp_*'))]
    return inside[0] if len(inside) == 1 else folder


def named_files(folder: Path, pair: ScoredPair) -> list[Path]:
    """Files in ``folder`` under the names that a pair's field may have: the scorer's, else the full one."""
    for stem in pair.accepted_stems:
        found = [path for ending in ENDINGS if (path := folder / f'{stem}{ending}').is_file()]
        if found:
            return found
    return []


def check_header(path: Path, shape: Sequence[int]) -> str | None:
    """What is wrong with the shape or type of a field, None when nothing is."""
    try:
        stored, dtype = read_header(path)
    except DataError as error:
        return str(error).replace(f'{path}', path.name).rstrip('.')
    if not dtype.startswith('float'):
        return f'{path.name}: values of type {dtype}, expected floating point'
    if layout(stored, shape) is None:
        return f'{path.name}: shape {stored}, expected {(*shape, len(shape))}'
    return None


def check_values(path: Path) -> str | None:
    """What is wrong with the content of a field whose header is right, None when nothing is."""
    try:
        _stored(path)
    except DataError as error:
        return str(error).replace(f'{path}', path.name).rstrip('.')
    return None


def read_header(path: Path) -> tuple[tuple[int, ...], str]:
    """Stored shape and type of a field; DataError where the file is neither NIfTI nor npz."""
    return _npz_header(path) if path.suffix == '.npz' else _image_header(path)


def layout(stored: Sequence[int], shape: Sequence[int]) -> str | None:
    """``'full'`` ``(*S, ndim)``, ``'half'`` ``(*S/2, ndim)``, ``'half_first'`` ``(ndim, *S/2)``, or None."""
    ndim = len(shape)

    def halved(size: Sequence[int]) -> bool:
        return all(abs(n - 2 * m) <= 1 for n, m in zip(shape, size))

    if tuple(stored) == (*shape, ndim):
        return 'full'
    if len(stored) != ndim + 1:
        return None
    if stored[-1] == ndim and halved(stored[:-1]):
        return 'half'
    return 'half_first' if stored[0] == ndim and halved(stored[1:]) else None


def read_field(path: Path, shape: Sequence[int]) -> np.ndarray:
    """A field as ``(ndim, *S)`` float64 voxels of the full grid.

    Fields at half resolution keep their values and are resampled with order-2 splines, as the evaluation of 2021 does.

    Raises:
        DataError: the file cannot be read, has another shape, or holds NaN or infinity.
    """
    stored = _stored(path).astype(np.float64)
    kind = layout(stored.shape, shape)
    if kind is None:
        raise DataError(f'{path}: found the shape {stored.shape}, expected {(*shape, len(shape))}.')
    field = stored if kind == 'half_first' else np.moveaxis(stored, -1, 0)
    if kind == 'full':
        return np.ascontiguousarray(field)
    factors = [n / m for n, m in zip(shape, field.shape[1:])]
    return np.stack([zoom(component, factors, order=ZOOM_ORDER) for component in field])


def _stored(path: Path) -> np.ndarray:
    """The numbers of a field as they are stored, all of them finite."""
    if path.suffix == '.npz':
        stored = read_npz(path, ('arr_0',))['arr_0']
    else:
        stored = np.moveaxis(read_learn2reg_nifti(path), 0, -1)
    if not np.isfinite(stored).all():
        raise DataError(f'{path}: found values that are NaN or infinite, expected finite numbers only.')
    return stored


def _npz_header(path: Path) -> tuple[tuple[int, ...], str]:
    stored = read_npz(path, ('arr_0',))['arr_0']
    return stored.shape, str(stored.dtype)


def _image_header(path: Path) -> tuple[tuple[int, ...], str]:
    path = regular_file(path, 'a displacement field')
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise DataError(f'{path}: found something that is not a NIfTI image') from error
    size, kind, count = reader.GetSize(), reader.GetPixelID(), reader.GetNumberOfComponents()
    if count > 1:
        return (*size, count), _VECTORS.get(kind, sitk.GetPixelIDValueAsString(kind))
    return tuple(size), _FLOATS.get(kind, sitk.GetPixelIDValueAsString(kind))
