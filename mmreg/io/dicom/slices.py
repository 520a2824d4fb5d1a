"""Files with one slice each: their headers, and the volumes that they make."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import DataError

# Slice positions in headers are decimal strings; a tenth of the gap is far above their rounding, far below a slice.
GAP_TOLERANCE = 0.1
TILT_TOLERANCE = 0.02
_TAGS = (
    'SeriesInstanceUID', 'SeriesNumber', 'SeriesDescription', 'ImageType', 'NumberOfFrames', 'ImagePositionPatient',
    'ImageOrientationPatient', 'TemporalPositionIdentifier', 'TriggerTime', 'AcquisitionNumber', 'AcquisitionTime',
    'ContentTime', 'InstanceNumber', 'RepetitionTime', 'EchoTime',
)  # fmt: skip
#: What tells the volumes of a series apart, the first of them that differs between files of one place.
_ORDER = ('TemporalPositionIdentifier', 'TriggerTime', 'EchoTime', 'AcquisitionNumber', 'AcquisitionTime',
          'ContentTime', 'InstanceNumber')  # fmt: skip


@dataclass(frozen=True, eq=False)
class Slice:
    """What the header of one file says.

    Attributes:
        path: The file.
        series: Its series' UID.
        number: Of the series in its study; 0 where it is not told.
        description: Of the series.
        kind: Words of the image type.
        frames: How many it holds.
        position: (3,) LPS mm of its first voxel; None where it has no place.
        axes: (6,) direction of rows and columns; None where it has none.
        order: What tells it from others at its place.
        repetition_time: In ms; 0 where it is not told.
    """

    path: str
    series: str
    number: int
    description: str
    kind: tuple[str, ...]
    frames: int
    position: np.ndarray | None
    axes: np.ndarray | None
    order: tuple[float, ...]
    repetition_time: float


def read_header(path: str, tags: Sequence[str] | None = None) -> Any:
    """A header by pydicom, without its voxels.

    Raises:
        DataError: not readable.
    """
    from pydicom import dcmread

    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            return dcmread(
                path, stop_before_pixels=True, force=True, specific_tags=None if tags is None else list(tags)
            )
    except Exception as error:  # pydicom lets errors of every kind through
        raise DataError(f'{path}: found a DICOM header that cannot be read, expected a slice') from error


def read_slice_headers(files: Sequence[str]) -> list[Slice]:
    """The headers of files, in their order."""
    return [_slice(path, read_header(path, _TAGS)) for path in files]


def numbers(header: Any, key: str, count: int, path: str) -> np.ndarray | None:
    """A field of several numbers; None where it is missing.

    Raises:
        DataError: something else is in it.
    """
    try:
        value = getattr(header, key, None)
        found = None if value is None or value == '' else np.array([float(v) for v in value])
    except (TypeError, ValueError) as error:
        raise DataError(f'{path}: found {key} that is not numbers in the DICOM header, expected {count}') from error
    if found is not None and (found.shape != (count,) or not np.isfinite(found).all()):
        raise DataError(f'{path}: found {key} {found.tolist()} in the DICOM header, expected {count} numbers')
    return found


def grouped(source: Path, headers: Sequence[Slice]) -> list[list[Slice]]:
    """The volumes of a series, each with its slices in order; one where every place is taken once.

    Raises:
        DataError: slices of different orientation, uneven gaps, steps that are not along the normal, or places that are
            not taken equally often.
    """
    if len(headers) < 2 or any(header.position is None or header.axes is None for header in headers):
        return [list(headers)]
    axes = np.array([header.axes for header in headers])
    if np.abs(axes - axes[0]).max() > 1e-3:
        raise DataError(f'{source}: found slices of different orientation in one series, expected parallel slices')
    position = np.array([header.position for header in headers])
    normal = np.cross(axes[0, :3], axes[0, 3:])
    along = np.round(position @ normal, 3)
    places = sorted(set(along.tolist()))
    counts = set(Counter(along.tolist()).values())
    if counts == {1}:
        check_places(source, position, normal)
        return [list(headers)]
    if len(counts) > 1:
        raise DataError(
            f'{source}: found slice gaps from 0 to {np.diff(places).max(initial=0):.4g} mm in one DICOM series '
            f'({min(counts)} to {max(counts)} files at one place), expected even spacing (is a slice missing or '
            'doubled?)'
        )
    at = {place: sorted((h for h, a in zip(headers, along.tolist()) if a == place), key=_when) for place in places}
    if along[0] > along[-1]:
        places.reverse()
    volumes = [[at[place][n] for place in places] for n in range(counts.pop())]
    for volume in volumes:
        check_places(source, np.array([header.position for header in volume]), normal)
    return volumes


def check_places(source: Path, position: np.ndarray, normal: np.ndarray) -> None:
    """Refuse uneven gaps and steps that are not along the normal.

    Args:
        source: for errors.
        position: (P, 3) LPS mm of slices in order.
        normal: (3,) of length one.
    """
    if len(position) < 2:
        return
    steps = np.diff(position, axis=0)
    gaps = steps @ normal
    typical = float(np.median(gaps))
    if np.abs(gaps - typical).max() > GAP_TOLERANCE * abs(typical) or typical == 0:
        odd = int(np.abs(gaps - typical).argmax())
        raise DataError(
            f'{source}: found slice gaps from {gaps.min():.4g} to {gaps.max():.4g} mm in one DICOM series '
            f'({gaps[odd]:.4g} mm behind slice {odd + 1} of {len(position)}), expected even spacing (is a slice '
            'missing or doubled?)'
        )
    sideways = float(np.linalg.norm(steps - gaps[:, None] * normal, axis=1).max())
    if sideways > TILT_TOLERANCE * abs(typical):
        raise DataError(
            f'{source}: found slices shifted sideways by {sideways:.3g} mm per step (a tilted gantry?), '
            'expected a grid with perpendicular axes'
        )


def _slice(path: str, header: Any) -> Slice:
    kind = getattr(header, 'ImageType', None) or ()
    return Slice(
        path,
        str(getattr(header, 'SeriesInstanceUID', '')),
        max(0, int(_number(header, 'SeriesNumber', 0))),
        str(getattr(header, 'SeriesDescription', '') or '').strip(),
        tuple(str(word).upper() for word in ([kind] if isinstance(kind, str) else kind)),
        max(1, int(_number(header, 'NumberOfFrames', 1))),
        numbers(header, 'ImagePositionPatient', 3, path),
        numbers(header, 'ImageOrientationPatient', 6, path),
        tuple(_number(header, key, 0.0) for key in _ORDER),
        _number(header, 'RepetitionTime', 0.0),
    )


def _number(header: Any, key: str, otherwise: float) -> float:
    try:
        return float(getattr(header, key))
    except (AttributeError, TypeError, ValueError):
        return otherwise


def _when(header: Slice) -> tuple[float, ...]:
    return header.order
