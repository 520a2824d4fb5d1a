"""Siemens' mosaics: all slices of a volume tiled into one picture, one file per time point."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io.files import warn
from mmreg.io.itk import itk_errors

from .slices import Slice, grouped, numbers, read_header

_WAY_OUT = 'dcm2niix turns it into NIfTI'
#: Two directions are one where their cosine is above this.
_ALONG = 0.999


def is_mosaic(header: Slice) -> bool:
    """Whether the image type of a file names a mosaic."""
    return 'MOSAIC' in header.kind


def read_mosaics(source: Path, headers: Sequence[Slice]) -> list[sitk.Image]:
    """The volumes of a series of mosaics, in the order of their times.

    Raises:
        DataError: files of another kind among them, mosaics at several places, or one that does not say what it holds.
    """
    if not all(is_mosaic(header) for header in headers):
        raise DataError(f'{source}: found mosaics and other files in one series, expected mosaics only')
    volumes = grouped(source, headers)
    if any(len(volume) > 1 for volume in volumes):
        raise DataError(f'{source}: found mosaics at several places in one series, expected one place')
    return [_read(source, volume[0].path) for volume in volumes]


def _read(source: Path, path: str) -> sitk.Image:
    header = read_header(path)
    told = _siemens(header)
    count = _count(header, told, source)
    with itk_errors(source, quiet=True):
        array = np.squeeze(sitk.GetArrayFromImage(sitk.ReadImage(path)))
    side = math.ceil(math.sqrt(count))
    if array.ndim != 2 or array.shape[0] % side or array.shape[1] % side:
        raise DataError(
            f'{source}: found a mosaic of {count} slices in a picture of {array.shape} pixels, expected '
            f'{side} x {side} tiles; {_WAY_OUT}'
        )
    rows, columns = array.shape[0] // side, array.shape[1] // side
    tiles = array.reshape(side, rows, side, columns).swapaxes(1, 2).reshape(side * side, rows, columns)[:count]
    axes = _needed(header, 'ImageOrientationPatient', 6, source).reshape(2, 3)
    step = _needed(header, 'PixelSpacing', 2, source)  # between rows, between columns
    corner = _needed(header, 'ImagePositionPatient', 3, source)
    # The header's corner is that of a picture as large as the mosaic around the middle of the slice.
    corner = (
        corner + axes[0] * step[1] * (array.shape[1] - columns) / 2 + axes[1] * step[0] * (array.shape[0] - rows) / 2
    )
    image = sitk.GetImageFromArray(np.ascontiguousarray(tiles))
    image.SetSpacing((float(step[1]), float(step[0]), _thickness(header, source)))
    image.SetOrigin(corner.tolist())
    image.SetDirection(np.stack([*axes, _normal(axes, told, source)], axis=1).ravel().tolist())
    return image


def _siemens(header: Any) -> Mapping[str, Any]:
    """The fields of Siemens' own header of an image; empty where it has none that can be read."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of nibabel, that its readers of DICOM are young
        from nibabel.nicom.csareader import get_csa_header

        try:
            found = get_csa_header(header, 'image')
        except Exception:  # bytes of any kind may stand there
            return {}
    return {} if found is None else found.get('tags', {})


def _values(told: Mapping[str, Any], name: str) -> list[float]:
    items = (told.get(name) or {}).get('items') or []
    try:
        return [float(item) for item in items]
    except (TypeError, ValueError):
        return []


def _count(header: Any, told: Mapping[str, Any], source: Path) -> int:
    """How many slices there are: by Siemens' header, or by the tag that newer files have."""
    found = _values(told, 'NumberOfImagesInMosaic')
    if not found and (0x0019, 0x100A) in header:
        try:
            found = [float(header[0x0019, 0x100A].value)]
        except (TypeError, ValueError):
            found = []
    if not found or not 1 <= found[0] <= 10_000 or found[0] != int(found[0]):
        raise DataError(
            f'{source}: found a mosaic of Siemens that does not say how many slices it holds, expected '
            f'NumberOfImagesInMosaic; {_WAY_OUT}'
        )
    return int(found[0])


def _needed(header: Any, key: str, count: int, source: Path) -> np.ndarray:
    found = numbers(header, key, count, str(source))
    if found is None:
        raise DataError(f'{source}: found a mosaic without {key}, expected its place; {_WAY_OUT}')
    return found


def _thickness(header: Any, source: Path) -> float:
    for key in ('SpacingBetweenSlices', 'SliceThickness'):
        try:
            value = float(getattr(header, key))
        except (AttributeError, TypeError, ValueError):
            continue
        if math.isfinite(value) and value > 0:
            if key == 'SliceThickness':
                warn(f'{source}: the mosaic does not say how far its slices are apart; their thickness was taken.')
            return value
    raise DataError(f'{source}: found a mosaic without SpacingBetweenSlices, expected it; {_WAY_OUT}')


def _normal(axes: np.ndarray, told: Mapping[str, Any], source: Path) -> np.ndarray:
    """The direction in which the slices follow each other; Siemens' header says which of both senses it is."""
    plain = np.cross(*axes)
    plain = plain / np.linalg.norm(plain)
    given = np.array(_values(told, 'SliceNormalVector'))
    if given.shape != (3,):
        warn(f'{source}: the mosaic does not say in which direction its slices go; rows x columns was taken.')
        return plain
    cosine = float(given @ plain) / max(float(np.linalg.norm(given)), 1e-12)
    if not abs(cosine) >= _ALONG:
        raise DataError(
            f'{source}: found a mosaic whose slices go along {given.tolist()}, expected the normal of their plane'
        )
    if any(number > 0 for number in _values(told, 'ProtocolSliceNumber')):
        warn(f'{source}: the scanner numbered the slices of the mosaic backwards; look whether it is upside down.')
    return plain * math.copysign(1.0, cosine)
