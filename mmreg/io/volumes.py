"""Images and label maps: files <-> arrays in (i, j, k[, c]) order with their geometry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from mmreg.errors import DataError

from .atomic import atomic_path, split_suffix
from .checks import as_labels, as_mask, check_finite, check_image, check_not_constant, check_not_infinite
from .dicom import is_dicom_file, read_dicom_file, read_dicom_series
from .files import named, regular_file
from .formats import ImageHeader, read_file, read_header
from .formats.build import COLOUR, SPACE, TIME_STEP, TIME_UNIT
from .formats.write_nifti import serves, write_nifti
from .geometry import Geometry
from .itk import itk_errors
from .written import check_image_written

KINDS = ('image', 'labels', 'mask')
# A header and its voxels in two files cannot be replaced in one step, so these endings are read but not written.
WRITABLE = ('.nii', '.nii.gz', '.nrrd', '.mha')


@dataclass(frozen=True, eq=False)
class Volume:
    """An array and the grid it lives on.

    Args:
        array: (i, j[, k]) or, with channels last, (i, j[, k], c).
        geometry: the grid; its shape is that of the spatial axes.

    Raises:
        DataError: the shapes do not fit.
    """

    array: np.ndarray
    geometry: Geometry

    def __post_init__(self) -> None:
        ndim = self.geometry.ndim
        if self.array.shape[:ndim] != self.geometry.shape or self.array.ndim > ndim + 1:
            raise DataError(
                f'an array of shape {self.array.shape} was given for a grid of shape {self.geometry.shape}, '
                'expected the same spatial axes and at most one axis of channels behind them'
            )

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return self.geometry.ndim

    @property
    def channels(self) -> int:
        """Number of channels: 1 where the array has no axis for them."""
        return self.array.shape[-1] if self.array.ndim > self.ndim else 1

    def channel_first(self) -> np.ndarray:
        """Return the array as (C, i, j[, k]), the layout of a network's input."""
        array = self.array if self.array.ndim > self.ndim else self.array[..., None]
        return np.ascontiguousarray(np.moveaxis(array, -1, 0))

    def reoriented(self, codes: str) -> Volume:
        """Permute and flip the array axes to follow orientation ``codes`` such as 'RAS'; no interpolation."""
        axes, flips = self.geometry.reorientation(codes)
        array = self.array.transpose(*axes, *range(self.ndim, self.array.ndim))
        array = array[tuple(slice(None, None, -1) if f else slice(None) for f in flips)]
        return Volume(np.ascontiguousarray(array), self.geometry.reoriented(codes))

    def to_sitk(self) -> sitk.Image:
        """Return a SimpleITK image (LPS geometry, vector pixels where there are channels)."""
        vector = self.array.ndim > self.ndim
        order = (*reversed(range(self.ndim)), self.ndim) if vector else tuple(reversed(range(self.ndim)))
        image = sitk.GetImageFromArray(np.ascontiguousarray(_sitk_type(self.array).transpose(order)), isVector=vector)
        _, spacing, origin, direction = self.geometry.to_sitk()
        image.SetSpacing(spacing)
        image.SetOrigin(origin)
        image.SetDirection(direction)
        if self.geometry.space is not None:
            image.SetMetaData(SPACE, str(self.geometry.space))
        return image

    @classmethod
    def from_sitk(cls, image: sitk.Image) -> Volume:
        """Copy a SimpleITK image; the array keeps its type."""
        return cls(_sitk_array(image), Geometry.from_sitk(image))


def read_volume(
    path: str | Path,
    kind: str = 'image',
    *,
    channels: bool = False,
    stack: bool = True,
    series: str | None = None,
    frame: int | None = None,
    position: str | None = None,
    check: bool = True,
    unknown: bool = False,
) -> Volume:
    """Read NIfTI, NRRD, MHA/MHD, FreeSurfer's mgz, or a folder that holds a DICOM series.

    Args:
        path: file or DICOM folder.
        kind: 'image' (float32), 'labels' (int16, int32 where needed) or 'mask' (uint8, 1 where not zero).
        channels: admit several channels, from vector pixels or from a fourth axis; they come last.
        stack: whether the volumes of a fourth axis may be channels.
        series: UID or number that chooses one of several DICOM series of a folder.
        frame: which volume of a fourth axis to read, counted from 1.
        position: 'sform' or 'qform' of a NIfTI header; by default the sform where it is set.
        check: False admits constant images and empty label maps and masks; all other checks stay.
        unknown: admit voxels of an image that have no value (NaN), as long as others have.

    Raises:
        DataError: one sentence that names the path, what was found and what was expected.

    Example:
        >>> import tempfile
        >>> volume = Volume(np.arange(24.0).reshape(4, 3, 2), Geometry.from_parts((4, 3, 2), (2.0, 1.0, 1.0)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_volume(f'{folder}/a.nii.gz', volume)
        ...     read_volume(f'{folder}/a.nii.gz', 'mask').array.dtype.name
        'uint8'
    """
    if kind not in KINDS:
        raise DataError(f"{path}: kind '{kind}' was asked for, expected one of {', '.join(KINDS)}")
    image = read_sitk(path, series, position)
    image = _spatial_image(one_frame(image, path, frame), path, channels, stack)
    try:
        geometry = Geometry.from_sitk(image)
    except DataError as error:
        raise DataError(f'{path}: {error}') from error
    dtype = np.float32 if kind == 'image' else None
    return Volume(_as_kind(_sitk_array(image, dtype), kind, str(path), check, unknown), geometry)


def read_image(path: str | Path, **options: Any) -> Volume:
    """Read an intensity image as float32; see :func:`read_volume`.

    Example:
        >>> import tempfile
        >>> volume = Volume(np.arange(24.0).reshape(4, 3, 2), Geometry.from_parts((4, 3, 2), (2.0, 1.0, 1.0)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_volume(f'{folder}/a.nii.gz', volume)
        ...     read_image(f'{folder}/a.nii.gz').array.dtype.name
        'float32'
    """
    return read_volume(path, 'image', **options)


def read_labels(path: str | Path, **options: Any) -> Volume:
    """Read a label map as integers; see :func:`read_volume`.

    Example:
        >>> import tempfile
        >>> volume = Volume(np.arange(24.0).reshape(4, 3, 2), Geometry.from_parts((4, 3, 2), (2.0, 1.0, 1.0)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_volume(f'{folder}/a.nii.gz', volume)
        ...     read_labels(f'{folder}/a.nii.gz').array.dtype.kind
        'i'
    """
    return read_volume(path, 'labels', **options)


def read_mask(path: str | Path, **options: Any) -> Volume:
    """Read a mask as uint8 zeros and ones; see :func:`read_volume`.

    Example:
        >>> import tempfile
        >>> volume = Volume(np.arange(24.0).reshape(4, 3, 2), Geometry.from_parts((4, 3, 2), (2.0, 1.0, 1.0)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_volume(f'{folder}/a.nii.gz', volume)
        ...     int(read_mask(f'{folder}/a.nii.gz').array.sum())
        23
    """
    return read_volume(path, 'mask', **options)


def read_geometry(
    path: str | Path, *, series: str | None = None, frames: bool = False, position: str | None = None
) -> Geometry:
    """Read only the grid of an image file or DICOM folder; voxels of files are not loaded.

    Args:
        path: file or DICOM folder.
        series: see :func:`read_volume`.
        frames: admit a fourth axis, whose volumes all have the one grid.
        position: see :func:`read_volume`.

    Example:
        >>> import tempfile
        >>> volume = Volume(np.arange(24.0).reshape(4, 3, 2), Geometry.from_parts((4, 3, 2), (2.0, 1.0, 1.0)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_volume(f'{folder}/a.nii.gz', volume)
        ...     read_geometry(f'{folder}/a.nii.gz').spacing
        (2.0, 1.0, 1.0)
    """
    path = Path(path)
    if path.is_file() and is_dicom_file(path):
        return Geometry.from_sitk(one_frame(read_dicom_file(path), path, 1 if frames else None))
    if path.is_dir():
        return Geometry.from_sitk(one_frame(read_dicom_series(path, series), path, 1 if frames else None))
    header = read_header(path, position)
    if len(header.size) > 4 or (header.frames > 1 and not frames):
        raise DataError(f'{path}: found {len(header.size)}-D data of size {header.size}, expected 2-D or 3-D')
    try:
        return header.geometry
    except DataError as error:
        raise DataError(f'{path}: {error}') from error


def write_volume(path: str | Path, volume: Volume, *, compress: bool = True) -> None:
    """Write an image or label map atomically; the ending (.nii, .nii.gz, .nrrd, .mha) chooses the format.

    Raises:
        DataError: another ending, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> volume = Volume(np.arange(24.0).reshape(4, 3, 2), Geometry.from_parts((4, 3, 2), (2.0, 1.0, 1.0)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_volume(f'{folder}/a.nii.gz', volume)
        ...     read_volume(f'{folder}/a.nii.gz').array.shape
        (4, 3, 2)
    """
    write_sitk(path, volume.to_sitk(), compress=compress)


def write_sitk(path: str | Path, image: sitk.Image, *, compress: bool = True) -> None:
    """Write a SimpleITK image atomically under one of the endings in ``WRITABLE``.

    What an image says of its world, its repetition time and its colours is kept where the format has a place for it.
    """
    named(path, 'an image to write')
    suffix = split_suffix(path)[1].lower()
    if suffix not in WRITABLE:
        raise DataError(f"{path}: found the ending '{suffix}', expected one of {', '.join(WRITABLE)} to write an image")
    with atomic_path(path) as temporary, itk_errors(path, expected='an image that can be written there'):
        if suffix.startswith('.nii') and serves(image):
            write_nifti(temporary, image)
        else:
            sitk.WriteImage(_without_facts(image), str(temporary), useCompression=compress)
            check_image_written(temporary, image, path)


def _without_facts(image: sitk.Image) -> sitk.Image:
    """A copy (no voxels are copied) that does not carry our notes into formats that would write them."""
    if not any(key.startswith('mmreg_') for key in image.GetMetaDataKeys()):
        return image
    plain = sitk.Image(image)
    for key in image.GetMetaDataKeys():
        if key.startswith('mmreg_'):
            plain.EraseMetaData(key)
    return plain


def read_sitk(path: str | Path, series: str | None = None, position: str | None = None) -> sitk.Image:
    """Read a file or DICOM folder as a SimpleITK image, every byte of its voxels verified; DataError names the path."""
    path = named(path, 'an image')
    if not path.exists():
        raise DataError(f'{path}: found no such file, expected an image')
    if path.is_dir():
        return read_dicom_series(path, series)
    path = regular_file(path, 'an image')
    return read_dicom_file(path) if is_dicom_file(path) else read_file(path, position)


def read_image_header(path: str | Path) -> ImageHeader:
    """What an image file says before its voxels are read; see :class:`mmreg.io.formats.ImageHeader`.

    Example:
        >>> import tempfile
        >>> volume = Volume(np.arange(24.0).reshape(4, 3, 2), Geometry.from_parts((4, 3, 2), (2.0, 1.0, 1.0)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_volume(f'{folder}/a.nii.gz', volume)
        ...     type(read_image_header(f'{folder}/a.nii.gz')).__name__
        'ImageHeader'
    """
    return read_header(path)


def one_frame(image: sitk.Image, path: str | Path, frame: int | None) -> sitk.Image:
    """One volume of an image with a fourth axis; the image itself where ``frame`` is None or there is no such axis.

    Raises:
        DataError: no such volume.
    """
    size = image.GetSize()
    if frame is None or len(size) != 4:
        return image
    if not 1 <= frame <= size[3]:
        raise DataError(f'{path}: found {size[3]} frames, expected a number from 1 to {size[3]} instead of {frame}')
    return with_facts(image[:, :, :, frame - 1], image)


def with_facts(image: sitk.Image, source: sitk.Image) -> sitk.Image:
    """Hand on what ``source`` says of its world, its repetition time and its colours."""
    for key in (SPACE, TIME_STEP, TIME_UNIT, COLOUR):
        if source.HasMetaDataKey(key):
            image.SetMetaData(key, source.GetMetaData(key))
    return image


def _spatial_image(image: sitk.Image, path: str | Path, channels: bool, stack: bool = True) -> sitk.Image:
    """Return a 2-D or 3-D image; turn a fourth axis into channels where that is allowed."""
    size = image.GetSize()
    if len(size) == 4 and (size[3] == 1 or (channels and stack)) and image.GetNumberOfComponentsPerPixel() == 1:
        parts = [image[:, :, :, c] for c in range(size[3])]
        image = with_facts(parts[0] if len(parts) == 1 else sitk.Compose(parts), image)
    if image.GetDimension() not in (2, 3):
        hint = f'; --frame N, from 1 to {size[3]}, chooses one volume' if len(size) == 4 else ''
        raise DataError(f'{path}: found a {len(size)}-D image of size {size}, expected a 2-D or 3-D image{hint}')
    count = image.GetNumberOfComponentsPerPixel()
    if count > 1 and not channels:
        raise DataError(f'{path}: found {count} channels per voxel, expected one')
    if 'complex' in image.GetPixelIDTypeAsString():
        raise DataError(f'{path}: found complex voxels, expected real numbers')
    return image


def _sitk_array(image: sitk.Image, dtype: Any = None) -> np.ndarray:
    """Copy voxels once, from ITK's (k, j, i[, c]) to contiguous (i, j, k[, c])."""
    view = sitk.GetArrayViewFromImage(image)
    ndim = image.GetDimension()
    order = (*reversed(range(ndim)), *range(ndim, view.ndim))
    with np.errstate(over='ignore'):  # float64 beyond float32 becomes inf, which the checks name
        return np.array(view.transpose(order), dtype=dtype, order='C')


def _sitk_type(array: np.ndarray) -> np.ndarray:
    """Give arrays a type that ITK and other readers take: no bool, no half, no 64-bit labels where 32 suffice."""
    if array.dtype == bool:
        return array.astype(np.uint8)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype in (np.int64, np.uint64) and (array.size == 0 or np.abs(array).max() <= np.iinfo(np.int32).max):
        return array.astype(np.int32)
    return array


def _as_kind(array: np.ndarray, kind: str, name: str, check: bool, unknown: bool) -> np.ndarray:
    if kind == 'image' and unknown:
        check_not_infinite(array, name)
        if check:
            check_not_constant(array, name)
        return array
    if kind == 'image':
        (check_image if check else check_finite)(array, name)
        return array
    convert: Callable[..., Any] = as_labels if kind == 'labels' else as_mask
    return convert(array, name, allow_empty=not check)
