"""FreeSurfer's images and label maps (.mgz, .mgh)."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io.deflate import broken_stream
from mmreg.io.files import check_room, warn

from . import build, payload

ENDINGS = ('.mgz', '.mgh', '.mgh.gz')
_HEADER = 284
_TYPES = {0: '>u1', 1: '>i4', 3: '>f4', 4: '>i2', 10: '>u2'}


def is_mgh(path: Path) -> bool:
    """Whether a file is read here, by its ending."""
    return path.name.lower().endswith(ENDINGS)


def read_mgh_header(path: Path) -> tuple[tuple[int, ...], np.dtype, np.ndarray, float]:
    """Sizes (i, j, k, frames), type, (4, 4) voxel -> RAS mm, and the repetition time in ms.

    Raises:
        DataError: not such a file.
    """
    from nibabel.freesurfer.mghformat import MGHHeader

    encoding = payload.packing(path)
    try:
        with open(path, 'rb') as file, payload.unpacked(file, encoding) as stream:
            block = stream.read(_HEADER)
    except broken_stream() as error:
        raise payload.damaged(path, encoding) from error
    if len(block) < _HEADER or struct.unpack_from('>i', block)[0] != 1:
        raise DataError(f'{path}: found something that is not a readable image, expected a file of FreeSurfer')
    *sizes, kind = struct.unpack_from('>5i', block, 4)
    if min(sizes) < 1 or kind not in _TYPES:
        raise DataError(
            f'{path}: found the sizes {tuple(sizes)} of type {kind}, expected positive sizes and a known type'
        )
    header = MGHHeader(block, check=False)
    if int(header['goodRASFlag']) != 1:
        warn(f'{path}: the header has no orientation; that of FreeSurfer was assumed (coronal slices)')
    return tuple(sizes), np.dtype(_TYPES[kind]), np.asarray(header.get_affine(), dtype=np.float64), float(header['tr'])


def read_mgh(path: Path) -> sitk.Image:
    """Read an image; several frames are a fourth axis.

    Raises:
        DataError: damaged, truncated, too large, or without a usable geometry.
    """
    sizes, dtype, affine, step = read_mgh_header(path)
    encoding, wanted = payload.packing(path), math.prod(sizes) * dtype.itemsize
    payload.check_claim(path, encoding, wanted, max(0, path.stat().st_size - (_HEADER if encoding == 'raw' else 0)))
    if encoding == 'gzip' and payload.is_suspicious(wanted, path.stat().st_size):
        payload.verify(path, encoding, wanted, skip=_HEADER)
    check_room(path, 3 * wanted)
    parts, length = [], -_HEADER
    for chunk in payload.chunks(path, encoding):
        parts.append(chunk if length + len(chunk) <= wanted else chunk[: max(0, wanted - length)])
        length += len(chunk)
        payload.check_tail(path, length, wanted)
    payload.check_length(path, length, wanted)
    flat = np.frombuffer(b''.join(parts)[_HEADER:], dtype)
    array = flat.astype(dtype.newbyteorder('=')).reshape(sizes if sizes[3] > 1 else sizes[:3], order='F')
    facts = {build.TIME_STEP: str(step), build.TIME_UNIT: 'msec'} if sizes[3] > 1 else {}
    return build.itk_image(array, affine, False, path, facts, step / 1000 if step > 0 else 1.0)
