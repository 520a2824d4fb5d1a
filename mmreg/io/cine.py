"""Cine files: the frames of a 4-D image that an ``Info.cfg`` beside it names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mmreg.errors import MISFIT, DataError
from mmreg.utils.text_files import read_text

from .dicom import is_dicom_file
from .formats import read_header
from .image_file import ImageFile

#: Which phase of the heart is which image of a pair, where a file of all frames is given for both.
PHASE_OF = {'fixed': 'ED', 'moving': 'ES'}


def phases(info: str | Path) -> dict[str, int]:
    """Frame numbers of ED and ES, counted from 1, in an ``Info.cfg`` of ACDC.

    Raises:
        DataError: it names no such frames.
    """
    path = Path(info)
    lines = read_text(path, 'an Info.cfg').splitlines() if path.is_file() else []
    values = dict(line.split(':', 1) for line in lines if ':' in line)
    try:
        return {phase: int(values[phase]) for phase in ('ED', 'ES')}
    except MISFIT as error:
        raise DataError(f'{path}: found no frame numbers of ED and ES, expected lines such as "ED: 1".') from error


def chosen_frame(file: ImageFile, role: str) -> ImageFile:
    """The file with the frame that is meant as ``role`` (``'fixed'``, ``'moving'``), where it is a series.

    A file that names its frame, or takes all as channels, stays as it is; else the ``Info.cfg`` in its folder says: ED
    is fixed, ES moving. Where there is none the file stays as it is, too.

    Raises:
        DataError: the ``Info.cfg`` names no frames.
    """
    path = Path(file)
    info = path.parent / 'Info.cfg'
    if (
        file.frame is not None
        or file.channels
        or role not in PHASE_OF
        or not info.is_file()
        or path.is_dir()
        or is_dicom_file(path)
    ):
        return file
    return replace(file, frame=phases(info)[PHASE_OF[role]]) if read_header(path).frames > 1 else file
