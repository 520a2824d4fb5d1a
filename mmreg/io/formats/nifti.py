"""NIfTI-1, NIfTI-2 and Analyze 7.5, in one file or two, packed or not: read whole, checked on the way.

ITK reads NaN as zero, a truncated ``.nii.gz`` as an image whose missing part is zero, and prefers the qform; here the
voxels come as they are, every byte is accounted for, and :mod:`.nifti_header` says where they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io.deflate import broken_stream
from mmreg.io.files import check_room, regular_file

from . import build, payload
from .nifti_header import SECONDS, NiftiHeader, parse

ENDINGS = ('.nii', '.nii.gz', '.hdr', '.img', '.hdr.gz', '.img.gz')
_NOT_ONE = 'found something that is not a readable image, expected a NIfTI file'


def is_nifti(path: Path) -> bool:
    """Whether a file is read here, by its ending."""
    return path.name.lower().endswith(ENDINGS)


def read_nifti_header(path: Path) -> NiftiHeader:
    """The header of a NIfTI or Analyze file.

    Raises:
        DataError: not such a file, or damaged.
    """
    path = _header_file(path)
    encoding = payload.packing(path)
    try:
        with open(path, 'rb') as file, payload.unpacked(file, encoding) as stream:
            block = stream.read(540)
    except broken_stream() as error:
        raise payload.damaged(path, encoding) from error
    header = parse(block, path)
    single = path.name.lower().endswith(('.nii', '.nii.gz'))
    if header is None or (single and header.kind == 'analyze' and block[344:348].strip(b'\0')):
        raise DataError(f'{path}: {_NOT_ONE}')
    return header if not single or header.kind == 'single' else NiftiHeader(path, header.fields, header.order, 'single')


def read_nifti(path: Path, position: str | None = None) -> sitk.Image:
    """Read a file with the position of its header that is ``wanted``; see :meth:`.NiftiHeader.position`.

    Returns:
        An image with two or three spatial axes, then one of time where the file has several volumes; vectors where it
        holds vectors or colours.

    Raises:
        DataError: damaged, truncated, too large for the memory, or without a usable geometry.
    """
    header = read_nifti_header(path)
    affine, space = header.position(position)
    array = _scaled(_voxels(header), header)
    if header.intent == 1006 and header.components == header.ndim:  # RAS, where images of ITK hold LPS
        array[..., :2] *= -1
    step, _ = header.time or (1.0, '')
    return build.itk_image(array, affine, header.components > 1, path, _facts(header, space), _seconds(header, step))


def _facts(header: NiftiHeader, space: int | None) -> dict[str, str]:
    facts = {build.INTENT: str(header.intent), build.INTENT_NAME: header.intent_name}
    if header.kind != 'analyze':
        facts[build.INTENT_PARAMETERS] = ' '.join(str(float(header.fields[f'intent_p{n}'])) for n in (1, 2, 3))
    if space is not None:
        facts[build.SPACE] = str(space)
    if header.time is not None:
        facts[build.TIME_STEP], facts[build.TIME_UNIT] = str(header.time[0]), header.time[1]
    if header.colour:
        facts[build.COLOUR] = str(header.colour)
    return facts


def _seconds(header: NiftiHeader, step: float) -> float:
    scaled = step * SECONDS.get(header.time[1] if header.time else '', 1.0)
    return scaled if scaled > 0 else 1.0


def _voxels(header: NiftiHeader) -> np.ndarray:
    """The stored numbers as (i, j[, k][, t][, c])."""
    file = header.path if header.kind == 'single' else _data_file(header.path)
    encoding, wanted = payload.packing(file), header.data_bytes
    there = max(0, file.stat().st_size - (header.offset if encoding == 'raw' else 0))
    payload.check_claim(file, encoding, wanted, there)
    if encoding == 'gzip' and payload.is_suspicious(wanted, there):
        payload.verify(file, 'gzip', wanted, skip=header.offset)
    check_room(header.path, 3 * wanted)  # as stored, as an image, and as an array
    flat = _stored(file, encoding, header.offset, wanted).view(header.dtype.base)
    colour = header.colour
    sizes = (*header.axes, *((header.components,) if header.components > 1 else ()))
    if colour:
        return np.moveaxis(flat.reshape((colour, *header.axes), order='F'), 0, -1)
    return flat.reshape(sizes, order='F')


def _stored(file: Path, encoding: str, offset: int, wanted: int) -> np.ndarray:
    """So many bytes from an offset; a packed stream is read to its end, which verifies its checksum."""
    data = np.empty(wanted, np.uint8)
    view, length = memoryview(data.data), 0
    try:
        with open(file, 'rb') as raw, payload.unpacked(raw, encoding) as stream:
            _skip(stream, offset)
            while length < wanted and (found := stream.readinto(view[length : length + payload.CHUNK])):
                length += found
            tail = wanted
            while encoding != 'raw' and (more := stream.read(payload.CHUNK)):
                tail += len(more)
                payload.check_tail(file, tail, wanted)
    except broken_stream() as error:
        raise payload.damaged(file, encoding) from error
    payload.check_length(file, length, wanted)
    return data


def _skip(stream: Any, offset: int) -> None:
    while offset > 0 and (passed := len(stream.read(min(offset, payload.CHUNK)))):
        offset -= passed


def _scaled(array: np.ndarray, header: NiftiHeader) -> np.ndarray:
    """Numbers in native byte order and a type that SimpleITK has, with slope and intercept applied."""
    slope, intercept = header.scaling
    dtype = array.dtype.newbyteorder('=')
    if dtype.kind == 'c':
        raise DataError(f'{header.path}: found complex voxels, expected real numbers')
    if dtype.itemsize > 8:
        dtype = np.dtype(np.float64)
    array = array.astype(dtype, copy=False)
    if (slope, intercept) == (1.0, 0.0):
        return array
    kind = dtype if dtype.kind == 'f' else np.dtype(np.float32)
    with np.errstate(over='ignore', invalid='ignore'):
        return (array.astype(np.float64) * slope + intercept).astype(kind)


def _header_file(path: Path) -> Path:
    """The file with the header: the ``.hdr`` beside an ``.img``."""
    return _beside(path, '.img', '.hdr')


def _data_file(path: Path) -> Path:
    """The file with the voxels: the ``.img`` beside a ``.hdr``."""
    return _beside(path, '.hdr', '.img')


def _beside(path: Path, ending: str, wanted: str) -> Path:
    name = path.name
    stem = name[:-3] if name.lower().endswith('.gz') else name
    if not stem.lower().endswith(ending):
        return path
    base = stem[: -len(ending)]
    names = [f'{base}{form}{packed}' for form in (wanted, wanted.upper()) for packed in ('', '.gz')]
    found = next((path.with_name(n) for n in names if path.with_name(n).exists()), path.with_name(base + wanted))
    return regular_file(found, f'the {"header" if wanted == ".hdr" else "voxels"} of {path}')
