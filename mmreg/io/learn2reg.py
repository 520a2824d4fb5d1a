"""The file layouts of the Learn2Reg challenges: displacements in voxels, no geometry.

* NIfTI (LUMIR, ThoraxCBCT and others): shape (*S, ndim), float32, identity affine; component *i* along array axis *i*.
* npz (OASIS 2021): (ndim, *S/2) float16 under the key ``arr_0``, resampled by 1/2 with order-2 splines
  (:func:`scipy.ndimage.zoom`); values stay voxels of the full grid.

All readers return (ndim, *S) float32 voxels of the fixed grid.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import zoom

from mmreg.errors import DataError

from .atomic import atomic_path
from .checks import check_displacement, check_finite
from .pickles import read_npz
from .volumes import read_sitk, write_sitk

ZOOM_ORDER = 2
#: With scipy's default mode, 'constant', the last plane of some sizes (28, 48 ...) falls outside by rounding and is
#: zero, as in published files. 'mirror' gives the same bits for all other sizes, and the right plane for these.
ZOOM_MODE = 'mirror'


#: What ITK calls the description in a NIfTI header.
_NOTE = 'ITK_FileNotes'


def field_stems(fixed: str | Path, moving: str | Path) -> tuple[str, str]:
    """Names of the field of two images, without ending: the one that the official scorers want, and the full one.

    An image is called ``<task>_<subject>_<modality>``. Where both have one modality, or the fixed image has 0 and the
    moving one 1, the scorers want the subjects only; otherwise the full name with subjects and modalities.

    Raises:
        DataError: a name holds no number.

    Example:
        >>> field_stems('LUMIRMRI_3455_0000.nii.gz', 'LUMIRMRI_3454_0000.nii.gz')
        ('disp_3455_3454', 'disp_3455_0000_3454_0000')
        >>> field_stems('ThoraxCBCT_0011_0000.nii.gz', 'ThoraxCBCT_0011_0002.nii.gz')[0]
        'disp_0011_0000_0011_0002'
    """
    (a, first), (b, second) = (_subject_and_modality(Path(image).name) for image in (fixed, moving))
    full = f'disp_{a:04d}_{first:04d}_{b:04d}_{second:04d}'
    short = first == second or (first, second) == (0, 1)
    return (f'disp_{a:04d}_{b:04d}' if short else full), full


def unique_stems(pairs: Sequence[tuple[str | Path, str | Path]]) -> list[str]:
    """Names of the fields of a list of (fixed, moving) images: the scorers', and the full one where two would collide.

    Raises:
        DataError: a name holds no number.
    """
    stems = [field_stems(*pair) for pair in pairs]
    count = Counter(wanted for wanted, _ in stems)
    return [full if count[wanted] > 1 else wanted for wanted, full in stems]


def _subject_and_modality(name: str) -> tuple[int, int]:
    parts = re.split('[_-]', name.split('.')[0])
    numbers = [int(part) for part in parts if part.isdecimal()]
    if not numbers:  # abdomen CT of 2020 is called img0024
        numbers = [int(found[1]) for part in parts if (found := re.fullmatch(r'[A-Za-z]+(\d{2,})', part))][:1]
    if not numbers:
        raise DataError(f'{name}: found no number in the name, expected one such as in LUMIRMRI_3455_0000.nii.gz')
    return (numbers[-2], numbers[-1]) if len(numbers) > 1 else (numbers[0], 0)


def lumir_name(fixed_id: int | str, moving_id: int | str) -> str:
    """Name of a LUMIR submission file.

    Example:
        >>> lumir_name(3455, 3454), lumir_name('0012', 7)
        ('disp_3455_3454.nii.gz', 'disp_0012_0007.nii.gz')
    """
    return f'disp_{int(fixed_id):04d}_{int(moving_id):04d}.nii.gz'


def oasis_name(fixed_id: int | str, moving_id: int | str) -> str:
    """Name of an OASIS (Learn2Reg 2021, task 3) submission file, in the folder ``task_03``.

    Example:
        >>> oasis_name(438, '0439')
        'disp_0438_0439.npz'
    """
    return f'disp_{int(fixed_id):04d}_{int(moving_id):04d}.npz'


def read_note(path: str | Path) -> str:
    """The note of a file that one of the two writers here wrote, '' where it has none."""
    path = Path(path)
    if not path.is_file():
        return ''
    try:
        if path.suffix == '.npz':
            with zipfile.ZipFile(path) as archive:
                return archive.comment.decode('ascii')
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        return reader.GetMetaData(_NOTE).strip() if _NOTE in reader.GetMetaDataKeys() else ''
    except (RuntimeError, OSError, ValueError, zipfile.BadZipFile):
        return ''


def write_learn2reg_nifti(path: str | Path, displacement: np.ndarray, note: str = '') -> None:
    """Write (ndim, *S) voxels as a NIfTI of shape (*S, ndim), float32, identity affine, atomically.

    Args:
        path: File to write.
        displacement: (ndim, *S) voxels.
        note: At most 79 ASCII characters for the header's description.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_learn2reg_nifti(f'{folder}/disp_0001_0002.nii.gz', np.ones((3, 4, 3, 2), np.float32))
        ...     read_learn2reg_nifti(f'{folder}/disp_0001_0002.nii.gz').shape
        (3, 4, 3, 2)
    """
    array = check_displacement(displacement, np.shape(displacement)[1:])
    ndim = len(array)
    # ITK's array order is reversed: (ndim, k, j, i) becomes a file of shape (i, j, k, ndim).
    reverse = (0, *range(ndim, 0, -1))
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(reverse), dtype=np.float32), isVector=False)
    # LPS directions that make the NIfTI (RAS) affine the identity.
    image.SetDirection(np.diag([-1.0, -1.0] + [1.0] * (ndim - 1)).ravel().tolist())
    if note:
        image.SetMetaData(_NOTE, note)
    write_sitk(path, image)


def read_learn2reg_nifti(path: str | Path, shape: Sequence[int] | None = None) -> np.ndarray:
    """Read a (*S, ndim) NIfTI as (ndim, *S) float32 voxels.

    Args:
        path: file of a challenge participant.
        shape: S of the fixed image, checked where given.

    Raises:
        DataError: another layout, other shape, or values that are not finite.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_learn2reg_nifti(f'{folder}/disp_0001_0002.nii.gz', np.ones((3, 4, 3, 2), np.float32))
        ...     read_learn2reg_nifti(f'{folder}/disp_0001_0002.nii.gz').shape
        (3, 4, 3, 2)
    """
    image = read_sitk(path)
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise DataError(f'{path}: found an ITK vector image (LPS millimetres), expected an array (*S, ndim) of voxels')
    size = image.GetSize()
    ndim = len(size) - 1
    if ndim not in (2, 3) or size[-1] != ndim:
        raise DataError(f'{path}: found an array of shape {size}, expected (*S, ndim) with one component per axis')
    # ITK's array is (ndim, k, j, i)
    array = sitk.GetArrayViewFromImage(image).transpose(0, *range(ndim, 0, -1))
    return _checked(np.array(array, dtype=np.float32, order='C'), shape, path)


def write_learn2reg_npz(path: str | Path, displacement: np.ndarray, *, mode: str = ZOOM_MODE, note: str = '') -> None:
    """Write (ndim, *S) voxels as the half-resolution float16 npz of Learn2Reg 2021, atomically.

    Components are resampled by 1/2 with order-2 splines; their values stay voxels of the full grid.

    Args:
        path: file to write.
        displacement: (ndim, *S) voxels.
        mode: what lies outside the grid; 'constant' writes the published planes of zeros, see :data:`ZOOM_MODE`.
        note: ASCII, the archive's comment.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_learn2reg_npz(f'{folder}/disp_0001_0002.npz', np.ones((3, 4, 4, 4), np.float32))
        ...     read_learn2reg_npz(f'{folder}/disp_0001_0002.npz').shape
        (3, 4, 4, 4)
    """
    array = check_displacement(displacement, np.shape(displacement)[1:])
    if Path(path).suffix != '.npz':
        raise DataError(f"{path}: found the ending '{Path(path).suffix}', expected .npz")
    half = _zoom(array, [0.5] * len(array), mode)
    if np.abs(half).max() > np.finfo(np.float16).max:
        raise DataError(f'{path}: found displacements up to {np.abs(half).max():g} voxels, expected less than 65504')
    with atomic_path(path) as temporary:
        np.savez(temporary, half.astype(np.float16))
        if note:
            with zipfile.ZipFile(temporary, 'a') as archive:
                archive.comment = note.encode('ascii')


def read_learn2reg_npz(path: str | Path, shape: Sequence[int] | None = None, *, mode: str = ZOOM_MODE) -> np.ndarray:
    """Read the half-resolution npz as (ndim, *S) float32 voxels, resampled as the evaluation of 2021 does (order 2).

    Args:
        path: file of a challenge participant, key ``arr_0``.
        shape: S of the fixed image; by default twice the stored size.
        mode: 'mirror', or 'constant' as published, see :data:`ZOOM_MODE`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_learn2reg_npz(f'{folder}/disp_0001_0002.npz', np.ones((3, 4, 4, 4), np.float32))
        ...     read_learn2reg_npz(f'{folder}/disp_0001_0002.npz').shape
        (3, 4, 4, 4)
    """
    stored = read_npz(path, ('arr_0',))['arr_0']
    ndim = stored.ndim - 1
    if ndim not in (2, 3) or len(stored) != ndim or not np.issubdtype(stored.dtype, np.floating):
        raise DataError(
            f'{path}: found {stored.dtype} values of shape {stored.shape}, expected floating point (ndim, *S/2)'
        )
    check_finite(stored, str(path))
    shape = tuple(shape) if shape is not None else tuple(2 * n for n in stored.shape[1:])
    if len(shape) != ndim or any(abs(n - 2 * m) > 1 for n, m in zip(shape, stored.shape[1:])):
        raise DataError(f'{path}: found half-resolution shape {stored.shape[1:]}, expected half of {shape}')
    factors = [n / m for n, m in zip(shape, stored.shape[1:])]
    return _zoom(stored, factors, mode).astype(np.float32)


def _zoom(displacement: np.ndarray, factors: Sequence[float], mode: str) -> np.ndarray:
    return np.stack([zoom(c.astype(np.float64), factors, order=ZOOM_ORDER, mode=mode) for c in displacement])


def _checked(displacement: np.ndarray, shape: Sequence[int] | None, path: str | Path) -> np.ndarray:
    if shape is not None and displacement.shape[1:] != tuple(shape):
        raise DataError(
            f'{path}: found a displacement of grid {displacement.shape[1:]}, expected {tuple(shape)} (the fixed image)'
        )
    check_finite(displacement, str(path))
    return displacement
