"""Whether a file that a library in C wrote is whole: ITK and zlib pass over a full disk in silence."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import SimpleITK as sitk

from mmreg.errors import DataError

from .files import in_words
from .formats import payload
from .formats.meta import check_meta
from .formats.nrrd import check_nrrd

_NIFTI_HEADER = 352
_HDF5_MAGIC = b'\x89HDF\r\n\x1a\n'
#: Where an HDF5 file says how long it is, by the version of its first block.
_HDF5_LENGTH = {0: 40, 1: 44, 2: 28, 3: 28}


def check_image_written(written: Path, image: sitk.Image, path: str | Path) -> None:
    """Read an image file that was just written to its end, so that checksums are verified.

    Args:
        written: The file.
        image: What must be in it.
        path: What it will be called, for errors.

    Raises:
        DataError: bytes are missing.
    """
    per_voxel = image.GetSizeOfPixelComponent() * image.GetNumberOfComponentsPerPixel()
    wanted = image.GetNumberOfPixels() * per_voxel
    name = written.name.lower()
    try:
        if name.endswith('.nrrd'):
            check_nrrd(written)
        elif name.endswith('.mha'):
            check_meta(written)
        elif _length(written) < wanted + _NIFTI_HEADER:
            raise _cut(path, wanted)
    except (DataError, OSError) as error:
        raise _cut(path, wanted) from error


def check_transform_written(written: Path, path: str | Path) -> None:
    """The same of a transform file of ITK: its length by its own words, or read again where it is text.

    Raises:
        DataError: bytes are missing.
    """
    size = written.stat().st_size
    if written.name.lower().endswith(('.h5', '.hdf5')):
        with open(written, 'rb') as file:
            head = file.read(64)
        at = _HDF5_LENGTH.get(head[8], 40) if len(head) > 8 else 40
        if not head.startswith(_HDF5_MAGIC) or size < int.from_bytes(head[at : at + 8], 'little'):
            raise _cut(path, size)
        return
    if written.name.lower().endswith('.mat'):
        whole = size > 0
    else:
        content = written.read_bytes()
        # A composite is a line of its own, with no parameters.
        parts = content.count(b'\nTransform:') - content.count(b'\nTransform: CompositeTransform')
        whole = content.endswith(b'\n') and 0 < parts == content.count(b'\nFixedParameters:')
    if not whole:
        raise _cut(path, size)


def check_place(temporary: Path, size: int) -> None:
    """Ask the system for so many bytes, and give them back: HDF5 does not survive a disk that is full.

    Raises:
        OSError: there are not so many, in the words of the system.
    """
    if not hasattr(os, 'posix_fallocate'):
        return
    try:
        with open(temporary, 'wb') as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise
    finally:
        temporary.unlink(missing_ok=True)


def _length(path: Path) -> int:
    encoding = payload.packing(path)
    return path.stat().st_size if encoding == 'raw' else sum(map(len, payload.chunks(path, encoding)))


def _cut(path: str | Path, wanted: int) -> DataError:
    return DataError(
        f'{path}: the file could not be written whole (is the disk full?), expected room for {in_words(wanted)}'
    )
