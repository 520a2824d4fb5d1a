"""NIfTI files that keep what ITK's writer drops: the code of the world, repetition time and unit, colours."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import SimpleITK as sitk

from mmreg.io.deflate import gzip_writer
from mmreg.io.geometry import lps_flip

from .build import COLOUR, INTENT_NAME, INTENT_PARAMETERS, SPACE, TIME_STEP, TIME_UNIT, fact
from .nifti_header import TIME_UNITS

#: The code of a world that is not named: ITK writes this one.
_SCANNER = 1


def serves(image: sitk.Image) -> bool:
    """Whether :func:`write_nifti` says all that there is to say of an image: a fourth axis needs its time step."""
    return image.GetDimension() < 4 or any(fact(image, key) for key in (SPACE, TIME_STEP, COLOUR, INTENT_NAME))


def write_nifti(path: Path, image: sitk.Image) -> None:
    """Write an image with two or three spatial axes and perhaps one of time; vectors as ITK does, or as colours."""
    view = sitk.GetArrayViewFromImage(image)
    count = image.GetNumberOfComponentsPerPixel()
    colour = fact(image, COLOUR) is not None and count in (3, 4) and view.dtype == np.uint8
    vector = count > 1 and not colour
    dtype = np.dtype([(name, 'u1') for name in 'RGBA'[:count]]) if colour else view.dtype
    geometry = image.GetSpacing(), image.GetOrigin(), image.GetDirection()
    header = _header(image.GetSize(), dtype, geometry, int(fact(image, SPACE) or _SCANNER), count if vector else 0)
    _describe(header, image, vector)
    # The voxels of a file, the first axis fastest, are those of ITK; only components come last, not first.
    _write(path, header, [view[..., c] for c in range(count)] if vector else [view])


def write_vectors(
    path: Path, geometry: tuple[Any, ...], space: int | None, count: int, components: Iterable[np.ndarray]
) -> None:
    """Write a vector image as :func:`write_nifti` does, without that there is an image.

    Args:
        path: The file.
        geometry: Size, spacing, origin and direction, as ITK has them.
        space: Code of the world.
        count: How many components there are.
        components: Each as float32 ``(k, j, i)``.
    """
    size, *rest = geometry
    header = _header(size, np.dtype(np.float32), tuple(rest), space or _SCANNER, count)
    header['xyzt_units'] = 2
    header.set_intent('vector', name='')
    _write(path, header, components)


def _header(size: Sequence[int], dtype: np.dtype, geometry: tuple[Any, ...], space: int, components: int) -> Any:
    """A header of nibabel; ``components`` 0 for what is no vector image."""
    from nibabel import Nifti1Image

    shape = (*size, *(1,) * (4 - len(size)), components) if components else tuple(size)
    affine = _affine(*geometry)
    made = Nifti1Image(np.broadcast_to(np.zeros((), dtype), shape), affine, dtype=dtype)
    made.set_sform(affine, space)
    made.set_qform(affine, space, strip_shears=True)
    made.update_header()
    header = made.header
    header.set_slope_inter(1.0, 0.0)
    return header


def _write(path: Path, header: Any, parts: Iterable[np.ndarray]) -> None:
    """Header, and arrays in the order of their bytes; a disk that is full raises here, and nothing passes it over."""
    block = io.BytesIO()
    header.write_to(block)
    with open(path, 'wb') as file:
        if path.name.lower().endswith('.gz'):
            with gzip_writer(file) as packed:
                _fill(packed, block.getvalue().ljust(header.get_data_offset(), b'\0'), parts)
        else:
            _fill(file, block.getvalue().ljust(header.get_data_offset(), b'\0'), parts)


def _fill(file: BinaryIO, block: bytes, parts: Iterable[np.ndarray]) -> None:
    file.write(block)
    for part in parts:
        for piece in _pieces(part):
            file.write(piece)


def _pieces(part: np.ndarray) -> Iterator[Any]:
    """The bytes of an array, slice by slice."""
    for piece in part:
        yield np.ascontiguousarray(piece).data.cast('B')


def _affine(spacing: Sequence[float], origin: Sequence[float], direction: Sequence[float]) -> np.ndarray:
    """(4, 4) voxel -> RAS mm of the first three axes."""
    ndim = len(spacing)
    spatial = min(3, ndim)
    affine = np.eye(4)
    cosines = np.reshape(direction, (ndim, ndim))[:spatial, :spatial]
    affine[:spatial, :spatial] = cosines * np.asarray(spacing[:spatial])
    affine[:spatial, 3] = origin[:spatial]
    return lps_flip(3) @ affine + 0.0


def _describe(header: Any, image: sitk.Image, vector: bool) -> None:
    unit = fact(image, TIME_UNIT) or ''
    header['xyzt_units'] = 2 + next((code for code, name in TIME_UNITS.items() if name == unit), 0)
    if fact(image, TIME_STEP) is not None and image.GetDimension() == 4:
        header['pixdim'][4] = float(fact(image, TIME_STEP) or 0)
    if vector:
        first = [float(p) for p in (fact(image, INTENT_PARAMETERS) or '0 0 0').split()]
        header.set_intent('vector', name=fact(image, INTENT_NAME) or '')
        header['intent_p1'], header['intent_p2'], header['intent_p3'] = first
