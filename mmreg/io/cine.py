"""Cine files: one frame of a 4-D image, and the frames that an ``Info.cfg`` beside it names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mmreg.errors import DataError

from .checks import check_image
from .geometry import Geometry
from .volumes import Volume, read_sitk

#: Which phase of the heart is which image of a pair, where a file of all frames is given for both.
PHASE_OF = {'fixed': 'ED', 'moving': 'ES'}


class Frame(str):
    """The path of a 4-D image with the number of one of its frames, counted from 1 as in ``Info.cfg``."""

    number: int

    def __new__(cls, path: str | Path, number: int) -> Frame:
        self = super().__new__(cls, path)
        self.number = int(number)
        return self


def phases(info: str | Path) -> dict[str, int]:
    """Frame numbers of ED and ES, counted from 1, in an ``Info.cfg`` of ACDC.

    Raises:
        DataError: it names no such frames.
    """
    path = Path(info)
    lines = path.read_text(encoding='utf-8', errors='replace').splitlines() if path.is_file() else []
    values = dict(line.split(':', 1) for line in lines if ':' in line)
    try:
        return {phase: int(values[phase]) for phase in ('ED', 'ES')}
    except (KeyError, ValueError) as error:
        raise DataError(f'{path}: found no frame numbers of ED and ES, expected lines such as "ED: 1".') from error


def frame_count(path: str | Path) -> int:
    """Number of frames of a file, 1 where it is no series; only the header is read."""
    path = Path(path)
    if not path.is_file():
        return 1
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return 1  # whoever reads the voxels says what is wrong
    return int(reader.GetSize()[3]) if reader.GetDimension() == 4 else 1


def chosen_frame(path: str | Path, role: str) -> Frame | None:
    """The frame of a 4-D file that is meant as ``role`` (``'fixed'``, ``'moving'``); None where it is no series.

    A :class:`Frame` says it itself; else the ``Info.cfg`` in its folder does: ED is fixed, ES moving.

    Raises:
        DataError: nothing says which, or there is no frame of that number.
    """
    count = frame_count(path)
    number = getattr(path, 'number', None)
    if count == 1:
        if number not in (None, 1):
            raise DataError(
                f'{path}: found a single image, expected a file of frames, of which number {number} is wanted'
            )
        return None
    if number is None:
        info = Path(path).parent / 'Info.cfg'
        if not info.is_file() or role not in PHASE_OF:
            raise DataError(
                f'{path}: found {count} frames, expected a single image; choose with --frame FIXED MOVING, counted '
                'from 1, or put an Info.cfg with ED and ES beside it'
            )
        number = phases(info)[PHASE_OF[role]]
    if not 1 <= number <= count:
        raise DataError(f'{path}: found {count} frames, expected a number from 1 to {count} instead of {number}')
    return Frame(path, number)


def read_frame(path: str | Path, number: int) -> Volume:
    """Frame ``number`` (from 1) of a 4-D image as float32 on the grid of its three spatial axes."""
    image = read_sitk(path)
    if image.GetDimension() == 4:
        image = image[:, :, :, number - 1]
    try:
        geometry = Geometry.from_sitk(image)
    except DataError as error:
        raise DataError(f'{path}: {error}') from error
    array = np.ascontiguousarray(sitk.GetArrayViewFromImage(image).transpose().astype(np.float32))
    check_image(array, f'{path}, frame {number}')
    return Volume(array, geometry)
