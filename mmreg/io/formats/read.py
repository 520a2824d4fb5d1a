"""Which reader takes a file, and what its header says without its voxels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io.files import regular_file
from mmreg.io.geometry import Geometry
from mmreg.io.itk import itk_errors

from . import meta, nrrd
from .build import as_read, check_matrix
from .mgh import is_mgh, read_mgh, read_mgh_header
from .nifti import is_nifti, read_nifti, read_nifti_header


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says before its voxels are read.

    Attributes:
        size: of all axes, those of time included.
        affine: (ndim+1, ndim+1) voxel -> RAS mm of the two or three spatial axes.
        dtype: of the stored numbers.
        components: numbers per voxel.
        space: NIfTI's code of the world, None where the file has none.
    """

    size: tuple[int, ...]
    affine: np.ndarray
    dtype: np.dtype
    components: int = 1
    space: int | None = None

    @property
    def frames(self) -> int:
        """How many volumes a fourth axis holds; 1 without one."""
        return self.size[3] if len(self.size) == 4 else 1

    @property
    def geometry(self) -> Geometry:
        """The grid of the spatial axes."""
        return Geometry(self.size[: len(self.affine) - 1], self.affine, self.space)


def read_file(path: str | Path, position: str | None = None) -> sitk.Image:
    """Read an image file of any format as SimpleITK image, every byte of its voxels verified.

    Args:
        path: regular file.
        position: 'sform' or 'qform' of a NIfTI header; by default the sform where it is set.

    Raises:
        DataError: one sentence that names the path.
    """
    path = regular_file(path, 'an image')
    try:
        if is_nifti(path) and not _is_foreign(path):
            return read_nifti(path, position)
        if is_mgh(path):
            return read_mgh(path)
        _check(path, voxels=True)
    except OSError as error:
        raise DataError(f'{path}: cannot be read ({error.strerror or error})') from error
    except MemoryError as error:
        raise DataError(
            f'{path}: found an image that does not fit into the free memory, expected a smaller one'
        ) from error
    with itk_errors(path, quiet=True, warn=True):
        return sitk.ReadImage(str(path))


def read_header(path: str | Path, position: str | None = None) -> ImageHeader:
    """Read the header of an image file only.

    Raises:
        DataError: one sentence that names the path.
    """
    path = regular_file(path, 'an image')
    try:
        if is_nifti(path) and not _is_foreign(path):
            nifti = read_nifti_header(path)
            affine, space = nifti.position(position)
            check_matrix(affine, path)
            return ImageHeader(nifti.axes, as_read(affine), nifti.dtype.base.newbyteorder('='), nifti.components, space)
        if is_mgh(path):
            sizes, dtype, affine, _ = read_mgh_header(path)
            check_matrix(affine, path)
            return ImageHeader(sizes if sizes[3] > 1 else sizes[:3], as_read(affine), dtype.newbyteorder('='))
        _check(path, voxels=False)
    except OSError as error:
        raise DataError(f'{path}: cannot be read ({error.strerror or error})') from error
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    with itk_errors(path, quiet=True):
        reader.ReadImageInformation()
    return _of_reader(reader, path)


def _is_foreign(path: Path) -> bool:
    """Whether a ``.hdr`` or ``.img`` belongs to a format with a header of its own (NRRD, ENVI, Interfile)."""
    if path.suffix.lower() not in ('.hdr', '.img'):
        return False
    with open(path, 'rb') as file:
        head = file.read(32)
    return head.startswith((b'NRRD', b'ENVI', b'!INTERFILE'))


def _check(path: Path, voxels: bool) -> None:
    name = path.name.lower()
    if name.endswith(meta.ENDINGS):
        meta.check_meta(path, voxels)
    elif name.endswith(nrrd.ENDINGS):
        nrrd.check_nrrd(path, voxels)


def _of_reader(reader: sitk.ImageFileReader, path: Path) -> ImageHeader:
    size = tuple(reader.GetSize())
    ndim = min(3, len(size))
    if len(size) < 2:
        raise DataError(f'{path}: found {len(size)}-D data, expected 2-D or 3-D')
    direction = np.reshape(reader.GetDirection(), (len(size), len(size)))[:ndim, :ndim]
    flip = np.array([-1.0, -1.0, 1.0][:ndim])
    affine = np.eye(ndim + 1)
    affine[:ndim, :ndim] = flip[:, None] * direction * np.asarray(reader.GetSpacing()[:ndim])
    affine[:ndim, ndim] = flip * np.asarray(reader.GetOrigin()[:ndim])
    affine += 0.0
    check_matrix(affine, path)
    return ImageHeader(size, affine, _numpy_type(reader.GetPixelID()), reader.GetNumberOfComponents())


def _numpy_type(pixel: int) -> np.dtype:
    return _PIXELS.get(pixel, np.dtype(np.float32))


_PIXELS = {
    getattr(sitk, f'sitk{vector}{name}'): np.dtype(dtype)
    for vector in ('', 'Vector')
    for name, dtype in (
        ('UInt8', 'u1'), ('Int8', 'i1'), ('UInt16', 'u2'), ('Int16', 'i2'), ('UInt32', 'u4'), ('Int32', 'i4'),
        ('UInt64', 'u8'), ('Int64', 'i8'), ('Float32', 'f4'), ('Float64', 'f8'),
    )
}  # fmt: skip
