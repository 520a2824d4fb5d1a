"""Checks on the raw bytes of image files, for what ITK passes over in silence.

A truncated ``.nii.gz`` becomes an image whose missing part is zero; NaN and infinity in NIfTI become zero; a zero
``pixdim`` is ignored and a negative spacing folded into the direction. For a registration all of these are wrong voxels
or wrong millimetres, so they are refused here.
"""

from __future__ import annotations

import gzip
import io
import math
import re
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmreg.errors import DataError

_CHUNK = 1 << 20
_GZIP_MAGIC = b'\x1f\x8b'
# Size of the header (NIfTI-1 and 2), then format and offset of dim, pixdim, datatype, bitpix and vox_offset.
_LAYOUTS = {
    348: (('8h', 40), ('8f', 76), ('h', 70), ('h', 72), ('f', 108)),
    540: (('8q', 16), ('8d', 104), ('h', 12), ('h', 14), ('q', 168)),
}
_FLOATS = {16: 'f4', 64: 'f8'}


class _Nifti(NamedTuple):
    order: str
    dim: tuple[int, ...]
    pixdim: tuple[float, ...]
    datatype: int
    voxel_bytes: int
    offset: int

    @property
    def data_bytes(self) -> int:
        """Length of the voxels as promised by the header."""
        return self.voxel_bytes * math.prod(max(1, n) for n in self.dim[1 : 1 + max(1, min(7, self.dim[0]))])


def check_file(path: Path, voxels: bool = True) -> None:
    """Refuse a damaged NIfTI (plain or gz) or MetaImage by its own header and bytes; other formats pass.

    With ``voxels=False`` only the header is looked at.

    Raises:
        DataError: truncated or damaged, a spacing that is zero or negative, or voxels that are NaN or infinite.
    """
    name = path.name.lower()
    if name.endswith(('.nii', '.nii.gz')):
        _check_nifti(path, voxels)
    elif name.endswith(('.mha', '.mhd')):
        _check_meta(path)


def _check_nifti(path: Path, voxels: bool) -> None:
    with open(path, 'rb') as file:
        packed = file.read(2) == _GZIP_MAGIC
    try:
        with open(path, 'rb', buffering=0) as file:
            raw: Any = gzip.GzipFile(fileobj=file) if packed else file
            with io.BufferedReader(raw, _CHUNK) as stream:  # its read() always fills the wanted length
                _check_nifti_stream(stream, path, voxels)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f'{path}: found a truncated or damaged gzip file, expected a complete image') from error


def _check_nifti_stream(stream: io.BufferedReader, path: Path, voxels: bool) -> None:
    head = stream.read(max(_LAYOUTS))
    header = _parse_nifti(head)
    if header is None:
        raise DataError(f'{path}: found something that is not a readable image, expected a NIfTI file')
    spacing = header.pixdim[1 : 1 + max(1, min(3, header.dim[0]))]
    if not all(0 < s < float('inf') for s in spacing):
        raise DataError(f'{path}: found a voxel spacing of {spacing} mm, expected positive numbers')
    if not voxels:
        return
    # The voxels may begin inside what was read for the header.
    start = head[header.offset :]
    stream.read(max(0, header.offset - len(head)))
    length, bad = _scan_voxels(stream, start, header)
    if length < header.data_bytes:
        raise DataError(
            f'{path}: found {length} bytes of voxels of {header.data_bytes} (a truncated file?), '
            'expected a complete image'
        )
    if bad:
        raise DataError(f'{path}: found {bad} voxels that are NaN or infinite, expected finite numbers only')


def _scan_voxels(stream: io.BufferedReader, start: bytes, header: _Nifti) -> tuple[int, int]:
    """Read to the end (which verifies a gzip checksum); return the bytes and the count of NaN and infinite voxels."""
    kind = _FLOATS.get(header.datatype)
    length = bad = 0
    chunk = start + stream.read(_CHUNK - len(start))
    while chunk:
        inside = chunk[: max(0, header.data_bytes - length)]
        if kind:
            values = np.frombuffer(
                inside[: len(inside) // header.voxel_bytes * header.voxel_bytes], header.order + kind
            )
            bad += int(values.size - np.count_nonzero(np.isfinite(values)))
        length += len(chunk)
        chunk = stream.read(_CHUNK)
    return length, bad


def _parse_nifti(head: bytes) -> _Nifti | None:
    for order in '<>':
        for size, layout in _LAYOUTS.items():
            if len(head) >= size and struct.unpack_from(order + 'i', head)[0] == size:
                dim, pixdim, *rest = (struct.unpack_from(order + code, head, at) for code, at in layout)
                datatype, bits, offset = (int(values[0]) for values in rest)
                return _Nifti(order, dim, pixdim, datatype, max(1, bits // 8), max(size, offset))
    return None


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
