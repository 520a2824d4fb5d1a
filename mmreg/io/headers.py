"""Checks on the raw header and length of image files, for what ITK passes over in silence.

ITK reads a truncated ``.nii.gz`` as an image whose missing part is zero, ignores a zero ``pixdim`` and folds a negative
spacing into the direction. All three are wrong geometry or wrong voxels for a registration, so they are refused here.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from pathlib import Path

from mmreg.errors import DataError

_HEADER_BYTES = 540  # of NIfTI-2, the longer one
_CHUNK = 1 << 20


def check_file(path: Path) -> None:
    """Refuse a damaged file by its own header: NIfTI (plain or gz) and MetaImage; other formats pass.

    Raises:
        DataError: truncated or damaged, or a spacing that is zero or negative.
    """
    name = path.name.lower()
    if name.endswith(('.nii', '.nii.gz')):
        _check_nifti(path)
    elif name.endswith(('.mha', '.mhd')):
        _check_meta(path)


def _check_nifti(path: Path) -> None:
    head, length = _head_and_length(path)
    order, fields = _nifti_fields(head)
    if order is None:
        raise DataError(f'{path}: found something that is not a readable image, expected a NIfTI file')
    dim, pixdim, bitpix, offset = fields
    ndim = max(1, min(7, dim[0]))
    spacing = pixdim[1 : 1 + min(ndim, 3)]
    if not all(s > 0 and s < float('inf') for s in spacing):
        raise DataError(f'{path}: found a voxel spacing of {tuple(spacing)} mm, expected positive numbers')
    expected = int(offset) + bitpix // 8 * math.prod(max(1, n) for n in dim[1 : 1 + ndim])
    if length < expected:
        raise DataError(
            f'{path}: found {length} bytes of a NIfTI image that needs {expected} (a truncated file?), '
            'expected a complete image'
        )


def _head_and_length(path: Path) -> tuple[bytes, int]:
    """First bytes and total length, both decompressed; reading a gz to its end also verifies its checksum."""
    with open(path, 'rb') as file:
        magic = file.read(2)
    if magic != b'\x1f\x8b':
        with open(path, 'rb') as file:
            return file.read(_HEADER_BYTES), path.stat().st_size
    head, length = b'', 0
    try:
        with gzip.open(path, 'rb') as file:
            while chunk := file.read(_CHUNK):
                head = head or chunk[:_HEADER_BYTES]
                length += len(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f'{path}: found a truncated or damaged gzip file, expected a complete image') from error
    return head, length


def _nifti_fields(head: bytes) -> tuple[str | None, tuple]:
    """Byte order, and (dim, pixdim, bitpix, vox_offset) of a NIfTI-1 or NIfTI-2 header."""
    # size of the header, then format and offset of each field
    layouts = {
        348: (('8h', 40), ('8f', 76), ('h', 72), ('f', 108)),
        540: (('8q', 16), ('8d', 104), ('h', 14), ('q', 168)),
    }
    for order in '<>':
        for size, layout in layouts.items():
            if len(head) >= size and struct.unpack_from(order + 'i', head)[0] == size:
                dim, pixdim, bitpix, offset = (struct.unpack_from(order + code, head, at) for code, at in layout)
                return order, (dim, pixdim, bitpix[0], offset[0])
    return None, ()


def _check_meta(path: Path) -> None:
    with open(path, 'rb') as file:
        head = file.read(4096)
    match = re.search(rb'^ElementSpacing\s*=\s*(.+?)\s*$', head.split(b'ElementDataFile')[0], re.MULTILINE)
    if not match:
        return
    try:
        spacing = tuple(float(s) for s in match[1].split())
    except ValueError as error:
        raise DataError(f'{path}: found an ElementSpacing that is not numbers, expected positive numbers') from error
    if not all(s > 0 for s in spacing):
        raise DataError(f'{path}: found a voxel spacing of {spacing} mm, expected positive numbers')
