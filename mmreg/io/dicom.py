"""A folder with one DICOM series as a SimpleITK image.

GDCM sorts the slices along the normal of the first one and assumes even spacing; a missing slice or a tilted gantry
only makes it warn. A registration would then measure wrong millimetres, so both are refused here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mmreg.errors import DataError

from .itk import captured_stderr, itk_errors

_POSITION, _ORIENTATION = '0020|0032', '0020|0037'
_DESCRIPTION = '0008|103e'
# Slice positions in headers are decimal strings; a tenth of the gap is far above their rounding, far below a slice.
_GAP_TOLERANCE = 0.1
_TILT_TOLERANCE = 0.02


def list_dicom_series(folder: str | Path) -> dict[str, list[str]]:
    """Return the files of every DICOM series of a folder (not of its sub-folders), by series UID, in slice order."""
    with captured_stderr():
        uids = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
        return {uid: list(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)) for uid in uids}


def read_dicom_series(folder: str | Path, series: str | None = None) -> sitk.Image:
    """Read the series of a folder, or the one whose UID is ``series``.

    Raises:
        DataError: no series, several and none chosen, or slices that are missing, uneven or sheared.
    """
    found = list_dicom_series(folder)
    files = _choose(Path(folder), found, series)
    _check_slices(Path(folder), files)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    with itk_errors(folder, quiet=True):
        return reader.Execute()


def _choose(folder: Path, found: dict[str, list[str]], series: str | None) -> list[str]:
    if not found:
        raise DataError(f'{folder}: found a folder without a DICOM series, expected an image file or a DICOM folder')
    if series is not None:
        if series not in found:
            raise DataError(f"{folder}: found no series '{series}', expected one of {', '.join(sorted(found))}")
        return found[series]
    if len(found) > 1:
        listed = '; '.join(f'{uid} ({_describe(files)})' for uid, files in sorted(found.items()))
        raise DataError(f'{folder}: found {len(found)} DICOM series, expected one or a choice among them: {listed}')
    return next(iter(found.values()))


def _header(file: str) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetFileName(file)
    reader.SetImageIO('GDCMImageIO')
    with itk_errors(file, quiet=True):
        reader.ReadImageInformation()
    return reader


def _describe(files: list[str]) -> str:
    reader = _header(files[0])
    text = reader.GetMetaData(_DESCRIPTION).strip() if reader.HasMetaDataKey(_DESCRIPTION) else ''
    return f"'{text}', {len(files)} files" if text else f'{len(files)} files'


def _check_slices(folder: Path, files: list[str]) -> None:
    """Refuse slices of different orientation, uneven gaps, and steps that are not along the slice normal."""
    headers = [_header(file) for file in files]
    if len(files) < 2 or not all(h.HasMetaDataKey(_POSITION) and h.HasMetaDataKey(_ORIENTATION) for h in headers):
        return
    position = np.array([_numbers(h, _POSITION, folder) for h in headers])
    axes = np.array([_numbers(h, _ORIENTATION, folder) for h in headers])
    if np.abs(axes - axes[0]).max() > 1e-3:
        raise DataError(f'{folder}: found slices of different orientation in one series, expected parallel slices')
    normal = np.cross(axes[0, :3], axes[0, 3:])
    steps = np.diff(position, axis=0)
    gaps = steps @ normal
    typical = float(np.median(gaps))
    if np.abs(gaps - typical).max() > _GAP_TOLERANCE * abs(typical) or typical == 0:
        raise DataError(
            f'{folder}: found slice gaps from {gaps.min():.4g} to {gaps.max():.4g} mm in one DICOM series, '
            'expected even spacing (is a slice missing or doubled?)'
        )
    sideways = float(np.linalg.norm(steps - gaps[:, None] * normal, axis=1).max())
    if sideways > _TILT_TOLERANCE * abs(typical):
        raise DataError(
            f'{folder}: found slices shifted sideways by {sideways:.3g} mm per step (a tilted gantry?), '
            'expected a grid with perpendicular axes'
        )


def _numbers(header: sitk.ImageFileReader, key: str, folder: Path) -> list[float]:
    text = header.GetMetaData(key)
    try:
        numbers = [float(part) for part in text.split('\\')]
    except ValueError:
        numbers = []
    count = 3 if key == _POSITION else 6
    if len(numbers) != count:
        raise DataError(f"{folder}: found '{text}' in the DICOM field {key}, expected {count} numbers")
    return numbers
