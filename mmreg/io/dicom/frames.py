"""One file with many frames (enhanced objects): each frame has a place, and perhaps a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io.files import warn
from mmreg.io.itk import itk_errors

from .slices import Slice, check_places, numbers, read_header

_EXPECTED = 'frames with places'


def read_frames(source: Path, header: Slice) -> sitk.Image:
    """Read a file with many frames: a volume, or a 4-D image where each place is taken several times.

    Raises:
        DataError: frames of different orientation, uneven places, or places that are not taken equally often.
    """
    with itk_errors(source, quiet=True):
        image = sitk.ReadImage(header.path)
    full = read_header(header.path)
    groups = getattr(full, 'PerFrameFunctionalGroupsSequence', None)
    if groups is None:
        warn(
            f'{source}: {header.frames} frames without places were taken for slices; check that they are no time points'
        )
        return image
    array = sitk.GetArrayFromImage(image)
    if len(groups) != header.frames or array.shape[0] != header.frames or array.ndim != 3:
        raise DataError(
            f'{source}: found {len(groups)} places for {header.frames} frames of shape {array.shape[1:]}, expected one '
            'for each'
        )
    shared = _first(full, 'SharedFunctionalGroupsSequence')
    position = np.array([_field(g, shared, 'PlanePositionSequence', 'ImagePositionPatient', 3, source) for g in groups])
    axes = np.array(
        [_field(g, shared, 'PlaneOrientationSequence', 'ImageOrientationPatient', 6, source) for g in groups]
    )
    if np.abs(axes - axes[0]).max() > 1e-3:
        raise DataError(f'{source}: found frames of different orientation in one file, expected parallel ones')
    normal = np.cross(axes[0, :3], axes[0, 3:])
    order, count = _order(source, np.round(position @ normal, 3), [_when(g) for g in groups])
    places = position[order.reshape(-1, count)[0]]
    check_places(source, places, normal)
    spacing = _field(groups[0], shared, 'PixelMeasuresSequence', 'PixelSpacing', 2, source)
    thickness = float(np.linalg.norm(places[1] - places[0])) if count > 1 else _thickness(groups[0], shared)
    direction = np.stack([axes[0, :3], axes[0, 3:], normal], axis=1)
    parts = [
        _part(array[frames], (spacing[1], spacing[0], thickness), places[0], direction)
        for frames in order.reshape(-1, count)
    ]
    if len(parts) == 1:
        return parts[0]
    joined = sitk.JoinSeries(parts)
    if header.repetition_time > 0:
        joined.SetSpacing((*joined.GetSpacing()[:3], header.repetition_time / 1000))
    return joined


def _order(source: Path, along: np.ndarray, when: list[tuple[int, ...]]) -> tuple[np.ndarray, int]:
    """Numbers of the frames, volume by volume and place by place; and how many places there are."""
    places = sorted(set(along.tolist()))
    at = [sorted(np.flatnonzero(along == place).tolist(), key=lambda n: (when[n], n)) for place in places]
    counts = {len(frames) for frames in at}
    if len(counts) > 1:
        raise DataError(
            f'{source}: found {min(counts)} to {max(counts)} frames at one place, expected as many at each (is a frame '
            'missing?)'
        )
    return np.array(at).T.ravel(), len(places)


def _when(group: Any) -> tuple[int, ...]:
    """Temporal index of a frame, then whatever else its file counts."""
    content = _first(group, 'FrameContentSequence')
    if content is None:
        return ()
    time = getattr(content, 'TemporalPositionIndex', 0) or 0
    acquired = getattr(content, 'FrameAcquisitionNumber', 0) or 0
    others = getattr(content, 'DimensionIndexValues', None) or []
    return (int(time), int(acquired), *(int(v) for v in (others if not isinstance(others, int) else [others])))


def _first(group: Any, name: str) -> Any:
    sequence = getattr(group, name, None)
    return sequence[0] if sequence else None


def _macros(group: Any, shared: Any, name: str) -> Iterator[Any]:
    for holder in (group, shared):
        found = None if holder is None else _first(holder, name)
        if found is not None:
            yield found


def _field(group: Any, shared: Any, name: str, key: str, count: int, source: Path) -> np.ndarray:
    for macro in _macros(group, shared, name):
        found = numbers(macro, key, count, str(source))
        if found is not None:
            return found
    raise DataError(f'{source}: found a frame without {key}, expected {_EXPECTED}')


def _thickness(group: Any, shared: Any) -> float:
    for macro in _macros(group, shared, 'PixelMeasuresSequence'):
        for key in ('SpacingBetweenSlices', 'SliceThickness'):
            if getattr(macro, key, None):
                return float(getattr(macro, key))
    return 1.0


def _part(array: np.ndarray, spacing: tuple[float, ...], origin: np.ndarray, direction: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing([float(s) for s in spacing])
    image.SetOrigin(origin.tolist())
    image.SetDirection(direction.ravel().tolist())
    return image
