"""Point maps in the world, read from and written to ITK's transform files.

A :class:`Transform` maps a point of the fixed space to the point of the moving space where its tissue is (the direction
that pulls images back, and that ITK resamples with). Points here are RAS mm; the wrapped ITK object thinks in LPS.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from mmreg.errors import DataError

from .atomic import atomic_path, split_suffix
from .checks import check_displacement, check_points
from .displacement import (
    displacement_from_sitk,
    displacement_to_sitk,
    is_image_file,
    lps_components,
    read_displacement_image,
)
from .elsewhere import try_transform
from .files import named, regular_file
from .geometry import Geometry, lps_flip
from .itk import fit_threads, itk_errors
from .itk_hdf5 import has_hdf5, shrink, with_field
from .written import check_place, check_transform_written

# .mat is the binary form that ANTs writes for affines; composites need one of the other three.
READABLE = ('.h5', '.hdf5', '.hdf', '.tfm', '.txt', '.xfm', '.mat')
#: Bytes of an HDF5 file besides the numbers of a transform.
_H5_BESIDE = 1 << 14
WRITABLE = ('.h5', '.hdf5', '.tfm', '.txt', '.mat')

#: Lists of transforms are text, and small.
_MOST_TEXT = 64 << 20


class Transform:
    """A point map, fixed world -> moving world in RAS mm, held by an ITK transform.

    Args:
        itk: any SimpleITK transform (LPS, as ITK keeps them).
        inverse_itk: its inverse where it is known and ITK cannot compute it.
    """

    def __init__(self, itk: sitk.Transform, inverse_itk: sitk.Transform | None = None) -> None:
        self.itk = itk
        self._inverse_itk = inverse_itk

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return self.itk.GetDimension()

    def transform_points(self, points: Any) -> np.ndarray:
        """Map (P, ndim) points, fixed RAS mm -> moving RAS mm.

        A displacement counts as zero outside its grid, as in ITK.
        """
        flip = np.diag(lps_flip(self.ndim))[: self.ndim]
        lps = check_points(points, self.ndim, 'points') * flip
        return np.array([self.itk.TransformPoint(p) for p in lps.tolist()]) * flip

    def displacement_on(self, geometry: Geometry, dtype: type = np.float32) -> np.ndarray:
        """Sample the map on a grid as (ndim, *S) voxels of that grid, the affine part included."""
        size, spacing, origin, direction = geometry.to_sitk()
        fit_threads(8 * self.ndim * math.prod(size))
        field = sitk.TransformToDisplacementField(self.itk, sitk.sitkVectorFloat64, size, origin, spacing, direction)
        return displacement_from_sitk(field, dtype)[0]

    @property
    def affine(self) -> np.ndarray | None:
        """(ndim+1, ndim+1) RAS matrix where the whole map is linear, else None."""
        if not self.itk.IsLinear():
            return None
        points = np.vstack([np.zeros(self.ndim), np.eye(self.ndim)])
        mapped = self.transform_points(points)
        matrix = np.eye(self.ndim + 1)
        matrix[: self.ndim, : self.ndim] = (mapped[1:] - mapped[0]).T
        matrix[: self.ndim, self.ndim] = mapped[0]
        return matrix

    def inverse(self) -> Transform:
        """Return moving world -> fixed world.

        Raises:
            DataError: the inverse is neither known nor computable in closed form.
        """
        if self._inverse_itk is not None:
            return Transform(self._inverse_itk, self.itk)
        try:
            return Transform(self.itk.GetInverse(), self.itk)
        except RuntimeError as error:
            raise DataError(
                f'a {self.itk.GetName()} has no closed-form inverse, expected an affine or a given inverse displacement'
            ) from error


def affine_transform(affine: np.ndarray) -> Transform:
    """Make a transform from a (ndim+1, ndim+1) matrix, fixed world -> moving world in RAS mm.

    Example:
        >>> affine_transform(np.diag([2.0, 1.0, 1.0])).transform_points(np.array([[3.0, 4.0]])).tolist()
        [[6.0, 4.0]]
    """
    matrix = np.asarray(affine, dtype=np.float64)
    if matrix.shape not in ((3, 3), (4, 4)) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
        raise DataError(f'affine: found a matrix of shape {matrix.shape}, expected an invertible 3x3 or 4x4 matrix')
    return Transform(_affine_itk(matrix))


def displacement_transform(
    displacement: np.ndarray,
    fixed_geometry: Geometry,
    affine: np.ndarray | None = None,
    inverse_displacement: np.ndarray | None = None,
    step: float | None = None,
) -> Transform:
    """Make the transform of a registration: first the displacement, then the affine.

    Args:
        displacement: (ndim, *S), voxels of the fixed grid.
        fixed_geometry: grid of shape S.
        affine: fixed world -> moving world in RAS mm, or None.
        inverse_displacement: (ndim, *S), voxels of the fixed grid, undoing the displacement; makes ``inverse()`` work.
        step: round vectors to multiples of this, mm (:func:`mmreg.io.displacement.fine_step`).

    Example:
        >>> grid = Geometry.from_parts((4, 3), (2.0, 1.0))
        >>> field = displacement_transform(np.ones((2, 4, 3), np.float32), grid)
        >>> field.transform_points(np.array([[2.0, 1.0]])).tolist()
        [[4.0, 2.0]]
    """
    forward = _displacement_itk(displacement, fixed_geometry, step)
    backward = None if inverse_displacement is None else _displacement_itk(inverse_displacement, fixed_geometry, step)
    if affine is None:
        return Transform(forward, backward)
    matrix = affine_transform(affine).itk
    # ITK applies the transform that was added last first.
    inverse = None if backward is None else _composite([backward, matrix.GetInverse()])
    return Transform(_composite([matrix, forward]), inverse)


def compose(first: Transform, *then: Transform) -> Transform:
    """Chain point maps: ``first`` acts on the fixed point, each following one on the result.

    The images are still sampled only once, with the chain as a whole.

    Example:
        >>> double = affine_transform(np.diag([2.0, 2.0, 1.0]))
        >>> compose(double, double).transform_points(np.array([[1.0, 2.0]])).tolist()
        [[4.0, 8.0]]
    """
    parts = [first, *then]
    if len({part.ndim for part in parts}) > 1:
        raise DataError(f'transforms of {[p.ndim for p in parts]} dimensions were given, expected one dimension')
    return Transform(_composite([part.itk for part in reversed(parts)]))


def _known_type(itk: sitk.Transform) -> Transform:
    """A linear map of a type that SimpleITK can read but not write (MatrixOffsetTransformBase) becomes an affine."""
    transform = Transform(itk)
    affine = transform.affine if itk.GetTransformEnum() == sitk.sitkComposite else None
    return transform if affine is None else affine_transform(affine)


def _composite(last_applied_first: Sequence[sitk.Transform]) -> sitk.CompositeTransform:
    composite = sitk.CompositeTransform(last_applied_first[0].GetDimension())
    for transform in last_applied_first:
        composite.AddTransform(transform)
    composite.FlattenTransform()
    return composite


def _affine_itk(matrix: np.ndarray) -> sitk.AffineTransform:
    ndim = len(matrix) - 1
    flip = lps_flip(ndim)
    lps = flip @ matrix @ flip
    itk = sitk.AffineTransform(ndim)
    itk.SetMatrix(lps[:ndim, :ndim].ravel().tolist())
    itk.SetTranslation(lps[:ndim, ndim].tolist())
    return itk


def _displacement_itk(
    displacement: np.ndarray, geometry: Geometry, step: float | None
) -> sitk.DisplacementFieldTransform:
    array = check_displacement(displacement, geometry.shape)
    return sitk.DisplacementFieldTransform(displacement_to_sitk(array, geometry, dtype=np.float64, step=step))


def write_transform(path: str | Path, transform: Transform) -> None:
    """Write an ITK transform file (.h5, text .tfm/.txt, .mat for an affine) atomically; ITK, ANTs, Slicer read it.

    Fields in HDF5 are written as compressed float32.

    Raises:
        DataError: another ending, a map that is not linear for .mat, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_transform(f'{folder}/affine.tfm', affine_transform(np.diag([2.0, 1.0, 1.0])))
        ...     (Path(folder) / 'affine.tfm').is_file()
        True
    """
    named(path, 'a transform to write')
    suffix = split_suffix(path)[1].lower()
    if suffix not in WRITABLE:
        raise DataError(f"{path}: found the ending '{suffix}', expected one of {', '.join(WRITABLE)} for a transform")
    if suffix == '.mat':
        if (affine := transform.affine) is None:
            raise DataError(f'{path}: found a transform that is not linear, expected the ending .h5 or .tfm for it')
        transform = affine_transform(affine)
    hdf5 = suffix in ('.h5', '.hdf5')
    with atomic_path(path) as temporary, itk_errors(path, expected='a transform that can be written there'):
        if hdf5:
            check_place(temporary, 8 * transform.itk.GetNumberOfParameters() + _H5_BESIDE)
        sitk.WriteTransform(transform.itk, str(temporary))
        check_transform_written(temporary, path)
        if hdf5 and transform.affine is None:
            _replaced(temporary, shrink)


def _replaced(temporary: Path, copy: Callable[[Path, Path], bool]) -> None:
    """Put a copy of a file in its place, where there is one."""
    small = temporary.with_name(f'{temporary.stem}.small{temporary.suffix}')
    try:
        if copy(temporary, small):
            os.replace(small, temporary)
    finally:
        small.unlink(missing_ok=True)


def write_itk_transform(
    path: str | Path,
    displacement: np.ndarray,
    fixed_geometry: Geometry,
    affine: np.ndarray | None = None,
    step: float | None = None,
) -> None:
    """Write a registration (displacement, then affine) as one ITK transform, fixed world -> moving world.

    ``SimpleITK.Resample(moving, fixed, SimpleITK.ReadTransform(path))`` is then the warped image.

    Args:
        path: See :func:`write_transform`.
        displacement: (ndim, *S), voxels of the fixed grid.
        fixed_geometry: grid of shape S.
        affine: fixed world -> moving world in RAS mm, or None.
        step: round vectors to multiples of this, mm (:func:`mmreg.io.displacement.fine_step`).

    Example:
        >>> import tempfile
        >>> grid, field = Geometry.from_parts((4, 3), (2.0, 1.0)), np.ones((2, 4, 3), np.float32)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_itk_transform(f'{folder}/transform.h5', field, grid)
        ...     (Path(folder) / 'transform.h5').is_file()
        True
    """

    def chain(field: np.ndarray, grid: Geometry) -> Transform:
        return displacement_transform(field, grid, affine, step=step)

    _write_chain(path, displacement, fixed_geometry, step, chain)


def write_inverse_itk_transform(
    path: str | Path,
    inverse_displacement: np.ndarray,
    fixed_geometry: Geometry,
    affine: np.ndarray | None = None,
    step: float | None = None,
) -> None:
    """Write the way back, moving world -> fixed world: first the inverse of ``affine``, then the inverse displacement.

    ``SimpleITK.Resample(fixed, moving, SimpleITK.ReadTransform(path))`` brings the fixed image to the moving grid.

    Args:
        path: See :func:`write_transform`.
        inverse_displacement: (ndim, *S), voxels of ``fixed_geometry``.
        fixed_geometry: grid of shape S.
        affine: fixed world -> moving world in RAS mm, or None.
        step: as :func:`write_itk_transform` has it.

    Example:
        >>> import tempfile
        >>> grid, field = Geometry.from_parts((4, 3), (2.0, 1.0)), np.ones((2, 4, 3), np.float32)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_inverse_itk_transform(f'{folder}/transform.h5', -field, grid)
        ...     (Path(folder) / 'transform.h5').is_file()
        True
    """

    def chain(field: np.ndarray, grid: Geometry) -> Transform:
        backward = displacement_transform(field, grid, step=step)
        return backward if affine is None else compose(affine_transform(affine).inverse(), backward)

    _write_chain(path, inverse_displacement, fixed_geometry, step, chain)


def _write_chain(
    path: str | Path,
    displacement: np.ndarray,
    geometry: Geometry,
    step: float | None,
    chain: Callable[[np.ndarray, Geometry], Transform],
) -> None:
    """Write a chain with one field in it.

    In HDF5 ITK writes that of one voxel in the corner of the grid, and the field takes its place: ITK itself would
    hold and write it as float64.
    """
    array = check_displacement(displacement, geometry.shape)
    suffix = split_suffix(path)[1].lower()
    if suffix not in ('.h5', '.hdf5') or not has_hdf5():
        write_transform(path, chain(array, geometry))
        return
    named(path, 'a transform to write')
    ndim = geometry.ndim
    corner = chain(np.zeros((ndim, *(1,) * ndim), np.float32), Geometry((1,) * ndim, geometry.affine))
    with atomic_path(path) as temporary, itk_errors(path, expected='a transform that can be written there'):
        check_place(temporary, 4 * array.size + _H5_BESIDE)
        sitk.WriteTransform(corner.itk, str(temporary))
        check_transform_written(temporary, path)
        parts = lps_components(array, geometry, step)
        _replaced(temporary, lambda source, target: with_field(source, target, geometry.shape, parts))


def _read_itk(path: Path, frame: int | None) -> Transform:
    """A transform file of ITK; of a list of transforms the one that is chosen."""
    text = _text_of(path)
    parts = re.split(r'(?m)^#\s*Transform \d+.*$', text)[1:] if text is not None else []
    if len(parts) > 1 and 'CompositeTransform' not in parts[0]:
        if frame is None or not 1 <= frame <= len(parts):
            asked = '' if frame is None else f' instead of {frame}'
            raise DataError(
                f'{path}: found {len(parts)} transforms, one per time point as it seems, expected one; --frame N, from '
                f'1 to {len(parts)}, chooses it{asked}'
            )
        with tempfile.TemporaryDirectory() as folder:
            one = Path(folder) / 'one.tfm'
            one.write_text(f'#Insight Transform File V1.0\n#Transform 0\n{parts[frame - 1].strip()}\n')
            return _by_itk(one, path)
    return _by_itk(path, path)


def _by_itk(file: Path, path: Path) -> Transform:
    try_transform(file)
    with itk_errors(path, quiet=True, expected='an ITK transform file', warn=True):
        return _known_type(sitk.ReadTransform(str(file)))


def _text_of(path: Path) -> str | None:
    """The text of an ITK transform file, None where it is binary."""
    if path.suffix.lower() not in ('.tfm', '.txt', '.xfm') or path.stat().st_size > _MOST_TEXT:
        return None
    data = path.read_bytes()
    return data.decode('latin-1') if data.startswith(b'#Insight') else None


def read_itk_transform(path: str | Path, frame: int | None = None) -> Transform:
    """Read what ITK, ANTs or Slicer wrote, the file taken for such a one: no questions are asked of its numbers.

    Args:
        path: transform file (.h5 .tfm .txt .xfm .mat) or displacement image (.nii .nii.gz .nrrd .nhdr .mha .mhd).
        frame: which one of a file with one transform per time point, counted from 1.

    Raises:
        DataError: missing, not a transform, or several of them and none chosen.
    """
    path = regular_file(path, 'a transform')
    if is_image_file(path):
        displacement, geometry = read_displacement_image(path, check=False)
        return displacement_transform(displacement, geometry)
    if path.suffix.lower() in READABLE:
        return _read_itk(path, frame)
    raise DataError(f"{path}: found the ending '{path.suffix}', expected an ITK transform or a displacement image")
