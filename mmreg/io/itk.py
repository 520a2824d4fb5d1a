"""Calling ITK quietly: its messages become part of our sentence, or one line of warning, instead of lines on stderr."""

from __future__ import annotations

import atexit
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import SimpleITK as sitk

from mmreg.errors import DataError

from . import files

sitk.ProcessObject.GlobalWarningDisplayOff()

_lock = threading.RLock()
# What ITK says, and what a user needs to know. The first match wins.
_SENTENCES = (
    ('Unable to determine ImageIO', 'found something that is not a readable image, expected NIfTI, NRRD, MHA or DICOM'),
    ('orthonormal direction', 'found a geometry that is sheared or not invertible, expected perpendicular axes'),
    ('Zero-valued spacing', 'found a voxel spacing of zero, expected positive numbers'),
    ('determinant is 0', 'found a geometry that is not invertible, expected perpendicular axes'),
    ('does not exist', 'found no such file, expected an image'),
)
#: Bytes of address space that a thread takes: its stack, and what it allocates first.
_STACK = 16 << 20
#: The object that speaks, in front of what it says.
_ORIGIN = re.compile(r'^\w+ \(0x[0-9a-f]+\): ')
#: What says nothing about the image.
_HARMLESS = re.compile(r'deprecated|MetaDataDictionary', re.IGNORECASE)


def fit_threads(result: int) -> None:
    """Keep ITK to one thread where its others may not begin: it waits for ever for a thread that did not.

    Args:
        result: Bytes that the filter makes.
    """
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    if threads > 1 and files.room_of_process() < 2 * result + threads * _STACK:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


class _Captured:
    """Text that C and C++ code wrote to stderr inside :func:`captured_stderr`."""

    text = ''


@contextmanager
def captured_stderr() -> Iterator[_Captured]:
    """Catch what libraries below Python print to file descriptor 2 (MetaIO and GDCM do so past ITK's logger)."""
    captured = _Captured()
    with _lock, tempfile.TemporaryFile() as sink:
        sys.stderr.flush()
        try:
            saved = os.dup(2)
        except OSError:  # a program without stderr has nothing to protect
            yield captured
            return
        os.dup2(sink.fileno(), 2)
        try:
            yield captured
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            sink.seek(0)
            captured.text = sink.read().decode('utf-8', 'replace')


#: After a damaged one the HDF5 library complains about itself when the program ends.
_HDF5 = ('.h5', '.hdf5', '.hdf')


@cache
def _quiet_end() -> None:
    sys.stderr.flush()
    with open(os.devnull, 'w') as nowhere:
        os.dup2(nowhere.fileno(), 2)


#: Names and addresses of ITK's objects, in front of what they say.
_INTERNALS = re.compile(r'(?:(?:ITK|sitk::|itk::) ?ERROR: )|\b\w+(?:<[^>]*>)?\(0x[0-9a-f]+\):? ?|\bat 0x[0-9a-f]+')


def itk_sentence(error: Exception | str, printed: str = '', expected: str = 'a readable image') -> str:
    """Shorten an ITK exception and what was printed with it to 'found ..., expected ...'."""
    text = str(error)
    for needle, clause in _SENTENCES:
        if needle in text:
            return clause
    if 'ideal =' in printed or 'but received' in text or 'fread got only' in text:
        return 'found fewer voxels than the header promises (a truncated file?), expected a complete image'
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    useful = [line for line in lines if 'Exception thrown' not in line] or lines
    detail = _INTERNALS.sub('', useful[0])[:200].rstrip('.:')
    return f'found what ITK refuses ({detail}), expected {expected}'


def itk_warning(printed: str) -> str:
    """What ITK and its readers printed, in one line; '' where they printed nothing of interest."""
    lines = [_ORIGIN.sub('', line.strip()) for line in printed.splitlines()]
    useful = [line for line in lines if line and not line.startswith('WARNING: In ') and not _HARMLESS.search(line)]
    return '; '.join(dict.fromkeys(useful))[:300].rstrip(' .;')


@contextmanager
def itk_errors(
    path: str | Path, quiet: bool = False, expected: str = 'a readable image', warn: bool = False
) -> Iterator[None]:
    """Turn ITK's exceptions into a DataError that names ``path``.

    Args:
        path: What is read or written.
        quiet: Keep what ITK prints off the terminal.
        expected: What the file should be.
        warn: Say in one line what ITK and its readers printed while they read the file.
    """
    captured = _Captured()
    try:
        if quiet:
            with captured_stderr() as captured:
                if warn:
                    sitk.ProcessObject.GlobalWarningDisplayOn()
                try:
                    yield
                finally:
                    sitk.ProcessObject.GlobalWarningDisplayOff()
        else:
            yield
    except (RuntimeError, UnicodeDecodeError) as error:  # the second where ITK cites bytes of the file
        if str(path).lower().endswith(_HDF5):
            atexit.register(_quiet_end)
        reason = 'unreadable bytes' if isinstance(error, UnicodeDecodeError) else error
        raise DataError(f'{path}: {itk_sentence(reason, captured.text, expected)}') from error
    if warn and (text := itk_warning(captured.text)):
        files.warn(f'{path}: the reader says: {text}')
