"""Displacements as ITK displacement-field images.

Inside mmreg a displacement is (ndim, *S) in voxels along the array axes. An ITK field image holds, on the same grid,
LPS millimetres. A NIfTI file says with its intent code what the numbers mean: 1007 (vector) is LPS, as ANTs writes it;
1006 (displacement vector) is RAS, and ITK 5.3 and later flip x and y on reading it. Both are read rightly here; 1007 is
written, because every version of ANTs and ITK takes it the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mmreg.errors import DataError

from .atomic import atomic_path, split_suffix
from .checks import check_displacement, check_finite
from .files import named
from .formats.build import INTENT_NAME, fact
from .formats.write_nifti import write_vectors
from .geometry import Geometry, lps_flip
from .volumes import Volume, read_sitk, write_sitk

#: Slices across the first axis that are computed at a time.
_ROWS = 16
IMAGE_SUFFIXES = ('.nii', '.nii.gz', '.nrrd', '.nhdr', '.mha', '.mhd')


def is_image_file(path: str | Path) -> bool:
    """Tell by its ending whether a transform file is a displacement image."""
    return split_suffix(path)[1].lower() in IMAGE_SUFFIXES


def voxels_to_lps(displacement: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Turn (ndim, *S) voxels along the array axes into (*S, ndim) LPS mm.

    Example:
        >>> voxels_to_lps(np.ones((2, 4, 3)), Geometry.from_parts((4, 3), (2.0, 1.0)))[0, 0].tolist()
        [-2.0, -1.0]
    """
    array = np.asarray(displacement)
    ndim, shape = geometry.ndim, array.shape[1:]
    # Stored as ITK stores vectors, the first axis fastest: an image is made of it without a copy.
    vectors = np.empty((*shape[::-1], ndim))
    for rows in _blocks(array):
        vectors[..., rows, :] = _mixed(_to_lps(geometry), array[:, rows]).T
    return vectors.transpose(*reversed(range(len(shape))), len(shape))


def lps_components(
    displacement: np.ndarray, geometry: Geometry, step: float | None = None, dtype: type = np.float32
) -> Iterator[np.ndarray]:
    """The components of a field as files hold them: LPS mm, rounded to multiples of ``step``, last axis first.

    Args:
        displacement: (ndim, *S) voxels of ``geometry``.
        geometry: its grid.
        step: mm.
        dtype: of the numbers.

    Returns:
        ``ndim`` arrays of the reversed shape, contiguous, one at a time.

    Example:
        >>> grid = Geometry.from_parts((4, 3), (2.0, 1.0))
        >>> [part[0, 0].item() for part in lps_components(np.ones((2, 4, 3)), grid)]
        [-2.0, -1.0]
    """
    array = np.asarray(displacement)
    for row in _to_lps(geometry):
        found: np.ndarray = np.empty(array.shape[:0:-1], dtype)
        for rows in _blocks(array):
            mixed = _mixed(row[None], array[:, rows])
            found[..., rows] = (mixed if step is None else _round(mixed, step))[0].T
        yield found


def _to_lps(geometry: Geometry) -> np.ndarray:
    """(ndim, ndim): voxels along the array axes -> LPS mm."""
    return (lps_flip(geometry.ndim) @ geometry.affine)[: geometry.ndim, : geometry.ndim]


def lps_to_voxels(vectors: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Turn (*S, ndim) LPS mm into (ndim, *S) voxels along the array axes.

    Example:
        >>> lps_to_voxels(np.ones((4, 3, 2)), Geometry.from_parts((4, 3), (2.0, 1.0)))[:, 0, 0].tolist()
        [-0.5, -1.0]
    """
    array = np.moveaxis(np.asarray(vectors), -1, 0)
    displacement, matrix = np.empty(array.shape), np.linalg.inv(_to_lps(geometry))
    for rows in _blocks(array):
        displacement[:, rows] = _mixed(matrix, array[:, rows])
    return displacement


def _blocks(array: np.ndarray) -> Iterator[slice]:
    """Parts of a field ``(ndim, *S)`` along its first spatial axis that stay in the cache."""
    return (slice(first, first + _ROWS) for first in range(0, array.shape[1], _ROWS))


def _mixed(matrix: np.ndarray, components: np.ndarray) -> np.ndarray:
    """``out[a] = sum over b of matrix[a, b] * components[b]``, float64."""
    out = np.zeros((len(matrix), *components.shape[1:]))
    for row, target in zip(matrix, out):
        for factor, component in zip(row, components):
            if factor:
                target += np.multiply(component, factor, dtype=np.float64)
    return out


def _round(vectors: np.ndarray, step: float) -> np.ndarray:
    """To multiples of ``step``, in place."""
    vectors /= step
    np.rint(vectors, out=vectors)
    vectors *= step
    return vectors


def displacement_to_sitk(
    displacement: np.ndarray, geometry: Geometry, dtype: type = np.float32, step: float | None = None
) -> sitk.Image:
    """Return the ITK displacement-field image of (ndim, *S) voxels on ``geometry``: LPS mm vectors.

    Args:
        displacement: voxels of ``geometry``.
        geometry: its grid.
        dtype: of the numbers.
        step: round them to multiples of this, mm (:func:`fine_step`).

    Example:
        >>> grid = Geometry.from_parts((4, 3), (2.0, 1.0))
        >>> displacement_to_sitk(np.ones((2, 4, 3), np.float32), grid).GetPixel(0, 0)  # LPS mm
        (-2.0, -1.0)
    """
    array = check_displacement(displacement, geometry.shape)
    vectors = voxels_to_lps(array, geometry)
    if step is not None:
        _round(vectors, step)
    return Volume(vectors.astype(dtype, copy=False), geometry).to_sitk()


def displacement_from_sitk(image: sitk.Image, dtype: type = np.float32) -> tuple[np.ndarray, Geometry]:
    """Return ((ndim, *S) voxels, geometry) of an ITK displacement-field image.

    Example:
        >>> grid = Geometry.from_parts((4, 3), (2.0, 1.0))
        >>> image = displacement_to_sitk(np.ones((2, 4, 3), np.float32), grid)
        >>> displacement_from_sitk(image)[0][:, 0, 0].tolist()
        [1.0, 1.0]
    """
    volume = Volume.from_sitk(image)
    return np.ascontiguousarray(lps_to_voxels(volume.array, volume.geometry), dtype=dtype), volume.geometry


def fine_step(geometry: Geometry) -> float:
    """The power of two, mm, next below a 512th of the smallest voxel edge: what fields of results are rounded to.

    Rounded numbers take half the space in a compressed file, and a point moves by less than a thousandth of a voxel.

    Example:
        >>> fine_step(Geometry.from_parts((4, 3), (2.0, 3.0)))
        0.00390625
    """
    return float(2.0 ** np.floor(np.log2(min(geometry.spacing) / 512)))


def rounded(displacement: np.ndarray, geometry: Geometry, step: float) -> np.ndarray:
    """Displacement whose vectors, LPS mm, are multiples of ``step``: what a file with that ``step`` holds.

    Args:
        displacement: (ndim, *S) voxels of ``geometry``.
        geometry: its grid.
        step: mm.

    Returns:
        (ndim, *S) float32 voxels of ``geometry``.

    Example:
        >>> grid = Geometry.from_parts((4, 3), (2.0, 1.0))
        >>> rounded(np.full((2, 4, 3), 0.3), grid, 0.5)[:, 0, 0].tolist()  # 0.6 and 0.3 mm
        [0.25, 0.5]
    """
    array, there = np.asarray(displacement), _to_lps(geometry)
    back, found = np.linalg.inv(there), np.empty(array.shape, np.float32)
    for rows in _blocks(array):
        found[:, rows] = _mixed(back, _round(_mixed(there, array[:, rows]), step))
    return found


def write_displacement_image(
    path: str | Path, displacement: np.ndarray, geometry: Geometry, step: float | None = None
) -> None:
    """Write (ndim, *S) voxels as an ITK displacement-field image (float32, LPS mm) on the fixed grid, atomically.

    Args:
        path: .nii.gz, .nii (5-D, intent 1007), .mha or .nrrd.
        displacement: voxels of ``geometry``, pull-back.
        geometry: the fixed grid.
        step: round to multiples of this, mm (:func:`fine_step`), which makes the file half as large.

    Example:
        >>> import tempfile
        >>> grid = Geometry.from_parts((4, 3), (2.0, 1.0))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_displacement_image(f'{folder}/field.nii.gz', np.ones((2, 4, 3), np.float32), grid)
        ...     read_displacement_image(f'{folder}/field.nii.gz')[0].shape
        (2, 4, 3)
    """
    if split_suffix(path)[1].lower() not in ('.nii', '.nii.gz'):
        write_sitk(path, displacement_to_sitk(displacement, geometry, step=step))
        return
    array = check_displacement(displacement, geometry.shape)
    named(path, 'an image to write')
    with atomic_path(path) as temporary:
        parts = lps_components(array, geometry, step)
        write_vectors(temporary, geometry.to_sitk(), geometry.space, geometry.ndim, parts)


def read_displacement_image(path: str | Path, *, check: bool = True) -> tuple[np.ndarray, Geometry]:
    """Read an ITK/ANTs displacement-field image as ((ndim, *S) float32 voxels of its own grid, geometry).

    Args:
        path: the file.
        check: refuse a field that names itself as one of NiftyReg or SPM.

    Raises:
        DataError: unreadable, not one vector of ndim components per voxel, not finite, or another program's.

    Example:
        >>> import tempfile
        >>> grid = Geometry.from_parts((4, 3), (2.0, 1.0))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_displacement_image(f'{folder}/field.nii.gz', np.ones((2, 4, 3), np.float32), grid)
        ...     read_displacement_image(f'{folder}/field.nii.gz')[1].spacing
        (2.0, 1.0)
    """
    image = read_sitk(path)
    name = fact(image, INTENT_NAME) or ''
    if check and name in ('NREG_TRANS', 'Mapping'):
        raise DataError(
            f'{path}: found a deformation of {"SPM" if name == "Mapping" else "NiftyReg"} ({name}), expected a '
            'displacement field of ITK; read_transform reads it'
        )
    if image.GetDimension() == 2 and image.GetNumberOfComponentsPerPixel() == 3:
        image = sitk.JoinSeries([image])  # one slice of a volume, of which NIfTI keeps no third axis
    ndim, count = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    if ndim not in (2, 3) or count != ndim:
        raise DataError(
            f'{path}: found a {ndim}-D image with {count} components per voxel, expected a displacement field with one '
            'component per axis'
        )
    try:
        displacement, geometry = displacement_from_sitk(image)
    except DataError as error:
        raise DataError(f'{path}: {error}') from error
    check_finite(displacement, str(path))
    return displacement, geometry


def reoriented_displacement(displacement: np.ndarray, geometry: Geometry, codes: str) -> np.ndarray:
    """The same displacement, ``(ndim, *S)`` voxels, on the grid with its axes permuted and flipped to ``codes``."""
    axes, flips = geometry.reorientation(codes)
    field = displacement[list(axes)].transpose(0, *(axis + 1 for axis in axes))
    cut = [slice(None), *(slice(None, None, -1) if flip else slice(None) for flip in flips)]
    field = field[tuple(cut)].copy()
    for axis, flip in enumerate(flips):
        if flip:
            field[axis] *= -1
    return np.ascontiguousarray(field)
