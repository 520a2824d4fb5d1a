"""Which series of a folder is meant, and how its files become an image.

GDCM sorts slices along the normal of the first one and assumes even spacing; a missing slice, a tilted gantry or
several volumes in one series only make it warn. A registration would then measure wrong millimetres.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from mmreg.errors import DataError
from mmreg.io.files import named, regular_file
from mmreg.io.itk import captured_stderr, itk_errors

from .deflated import refuse_bomb
from .frames import read_frames
from .mosaic import is_mosaic, read_mosaics
from .slices import Slice, grouped, read_slice_headers

#: More folders than this below a given one are no study.
_MOST_FOLDERS = 5000
_NOTHING = 'found a folder without a DICOM series, expected an image file or a DICOM folder'


def is_dicom_file(path: str | Path) -> bool:
    """Whether a regular file begins as DICOM does: 128 bytes, then ``DICM``."""
    try:
        if not Path(path).is_file():  # a pipe would be waited for
            return False
        with open(path, 'rb') as file:
            return file.read(132)[128:] == b'DICM'
    except (OSError, ValueError):
        return False


def list_dicom_series(folder: str | Path) -> dict[str, list[str]]:
    """The files of every DICOM series of a folder by series UID, in slice order.

    Where the folder itself holds none, those of all folders below it.

    Raises:
        DataError: something in it is no regular file, and would be waited for.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     list_dicom_series(folder)
        {}
    """
    found = _of_folder(Path(folder))
    if found:
        return found
    for below in _folders_below(Path(folder)):
        for uid, files in _of_folder(below).items():
            found.setdefault(uid, []).extend(files)
    return found


def read_dicom_series(folder: str | Path, series: str | None = None) -> sitk.Image:
    """Read the series of a folder, or the one that ``series`` names by its UID or number.

    Returns:
        A 3-D image, or a 4-D one where the series holds several volumes.

    Raises:
        DataError: no series, several and none chosen, or slices that are missing, uneven or sheared.

    Example:
        >>> import tempfile
        >>> writer = sitk.ImageFileWriter()
        >>> writer.KeepOriginalImageUIDOn()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for number in range(2):
        ...         one = sitk.Image(4, 3, sitk.sitkInt16)
        ...         one.SetMetaData('0020|000e', '1.2.3')  # the series
        ...         one.SetMetaData('0020|0032', chr(92).join(['0', '0', str(number)]))  # where the slice lies
        ...         writer.SetFileName(f'{folder}/{number}.dcm')
        ...         writer.Execute(one)
        ...     read_dicom_series(folder).GetSize()
        (4, 3, 2)
    """
    folder = named(folder, 'a DICOM folder')
    return _read(folder, series_files(folder, series))


def series_files(folder: Path, series: str | None = None) -> list[str]:
    """The files of the series of a folder, or of the one that ``series`` names: its UID, or its number.

    Numbers are the scanner's where each series has one of its own, else places in the list of an error.

    Raises:
        DataError: no series, or several and none chosen.
    """
    return _choose(folder, list_dicom_series(folder), series)


def read_dicom_file(path: str | Path) -> sitk.Image:
    """Read the series that a file belongs to: its frames where it has many, else all files beside it of that series."""
    path = regular_file(path, 'an image')
    refuse_bomb(path)
    header = read_slice_headers([str(path)])[0]
    if header.frames > 1:
        return _read(path, [str(path)])
    beside = _of_folder(path.parent)
    files = beside.get(header.series) or next(
        (files for uid, files in beside.items() if header.series and uid.startswith(header.series)), [str(path)]
    )
    return _read(path, files)


def _read(source: Path, files: list[str]) -> sitk.Image:
    headers = read_slice_headers(files)
    if any(is_mosaic(header) for header in headers):
        return _joined(source, read_mosaics(source, headers), headers)
    if any(header.frames > 1 for header in headers):
        if len(headers) > 1:
            raise DataError(
                f'{source}: found {len(headers)} files with several frames each in one series, expected one such file'
            )
        return read_frames(source, headers[0])
    volumes = grouped(source, headers)
    return _joined(source, [_volume(source, [header.path for header in volume]) for volume in volumes], headers)


def _joined(source: Path, images: list[sitk.Image], headers: list[Slice]) -> sitk.Image:
    """One volume, or several along a fourth axis with their time between them."""
    if len(images) == 1:
        return images[0]
    for image in images:
        if image.GetSize() != images[0].GetSize() or not image.IsSameImageGeometryAs(images[0], 1e-3, 1e-3):
            raise DataError(f'{source}: found volumes on different grids in one series, expected one grid for all')
        image.CopyInformation(images[0])
    image = sitk.JoinSeries(images)
    if headers[0].repetition_time > 0:
        image.SetSpacing((*image.GetSpacing()[:3], headers[0].repetition_time / 1000))
    return image


def _volume(source: Path, files: list[str]) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    with itk_errors(source, quiet=True):
        return reader.Execute()


def _of_folder(folder: Path) -> dict[str, list[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            mode = entry.stat().st_mode if os.path.exists(entry.path) else 0  # 0: a link to nowhere
            if mode and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise DataError(f'{entry.path}: found no regular file in a folder of DICOM, expected slices')
            if stat.S_ISREG(mode):
                refuse_bomb(Path(entry.path))
    with captured_stderr():
        uids = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
        return {uid: list(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)) for uid in uids}


def _folders_below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for root, names, _ in os.walk(folder):
        names.sort()
        found += [Path(root) / name for name in names]
        if len(found) > _MOST_FOLDERS:
            raise DataError(
                f'{folder}: found more than {_MOST_FOLDERS} folders in it, expected that of a study or series'
            )
    return found


def _choose(folder: Path, found: dict[str, list[str]], series: str | None) -> list[str]:
    if not found:
        raise DataError(f'{folder}: {_NOTHING}')
    if series is not None:
        uid = series if series in found else _numbers(found).get(series)
        if uid is None:
            raise DataError(f"{folder}: found no series '{series}', expected one of: {_listed(found)}")
        return found[uid]
    if len(found) > 1:
        raise DataError(
            f'{folder}: found {len(found)} DICOM series, expected one or a choice among them (--series, by UID or '
            f'number): {_listed(found)}'
        )
    return next(iter(found.values()))


def _numbers(found: dict[str, list[str]]) -> dict[str, str]:
    """Number -> UID: the scanner's numbers where each series has one of its own, else their places in the list."""
    told = {uid: read_slice_headers(files[:1])[0].number for uid, files in sorted(found.items())}
    if 0 in told.values() or len(set(told.values())) < len(told):
        return {str(place): uid for place, uid in enumerate(told, 1)}
    return {str(told[uid]): uid for uid in sorted(told, key=lambda uid: told[uid])}


def _listed(found: dict[str, list[str]]) -> str:
    return '; '.join(f'{number}: {uid} ({_describe(found[uid])})' for number, uid in _numbers(found).items())


def _describe(files: list[str]) -> str:
    header: Any = read_slice_headers(files[:1])[0]
    many = f'{len(files)} files' if header.frames <= 1 else f'{header.frames} frames'
    return f"'{header.description}', {many}" if header.description else many
