"""Files that exist whole or not at all: the one writer, and the one text for what can go wrong with it."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mmreg.errors import DataError, InputError

from .leftovers import temporary_name, tidy

# Endings that writers choose their format by and that pathlib would cut in two.
_DOUBLE_SUFFIXES = ('.nii.gz', '.mrk.json')
#: Below so many free bytes a disk is full: libraries that write images pass over the last, missing part in silence.
_FULL = 64 << 10
#: File systems take names of 255 bytes; ours begin with the number of the process.
_LONGEST = 200


def split_suffix(path: str | Path) -> tuple[str, str]:
    """Split a file name into stem and ending, keeping double endings whole.

    Example:
        >>> split_suffix('out/brain.v2.nii.gz')
        ('brain.v2', '.nii.gz')
    """
    name = Path(path).name
    for suffix in _DOUBLE_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)], name[-len(suffix) :]
    return Path(name).stem, Path(name).suffix


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path in the folder of ``path`` that takes its place when the block ends without an error.

    The folder is made when it is missing. The data are on the disk (``fsync``) before the name changes, so a kill or a
    power cut leaves the old file or the new one. After an error, or an interruption, the temporary file is removed and
    ``path`` and its folders are as they were; what a killed process left in the folder is removed with the next write.

    Raises:
        DataError: the folder cannot be made, or the file not be written: the disk is full, or not ours.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(f'{folder}/a.txt') as temporary:
        ...         _ = temporary.write_text('whole')
        ...     (Path(folder) / 'a.txt').read_text()
        'whole'
    """
    path = Path(path)
    made = missing_folders(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        remove_folders(made)
        raise DataError(f'{path.parent}: the folder cannot be made ({_words(error)})') from error
    refuse_occupied(path)
    tidy(path.parent)
    # The suffix stays: writers that choose a format by it (NIfTI, PNG) must see the same one.
    temporary = path.with_name(temporary_name(_short(path)))
    try:
        yield temporary
        if _is_full(path.parent):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with open(temporary, 'rb') as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        told = told_error(error, path, temporary)
        with suppress(OSError):
            temporary.unlink()
        remove_folders(made)
        if told is error:
            raise
        raise told from error
    _sync_folder(path.parent)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, UTF-8.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_text(f'{folder}/new/a.txt', 'whole')
        ...     (Path(folder) / 'new' / 'a.txt').read_text()
        'whole'
    """
    write_bytes(path, text.encode('utf-8', 'surrogateescape'))


def told_error(error: BaseException, path: Path, temporary: Path) -> BaseException:
    """What went wrong while ``path`` was written, told about it and not about ``temporary``; else ``error`` itself."""
    if not isinstance(error, Exception):
        return error
    if _is_full(path.parent):
        return DataError(f'{path}: cannot be written, the disk is full')
    if isinstance(error, OSError):
        return DataError(f'{path}: cannot be written ({_words(error)})')
    if isinstance(error, InputError) and str(temporary) in str(error):
        return type(error)(str(error).replace(str(temporary), str(path)))
    if isinstance(error, RuntimeError) and not os.access(path.parent, os.W_OK):
        return DataError(f'{path}: cannot be written (the folder is gone or may not be written)')
    return error


def refuse_occupied(path: Path) -> None:
    """Refuse a target that exists and is no file: replacing a device would take it away from everybody.

    Raises:
        DataError: a folder, a device, a pipe, or a name that cannot be looked up.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise DataError(f'{path}: cannot be written ({_words(error)})') from error
    if stat.S_ISDIR(mode):
        raise DataError(f'{path}: found a folder, expected the name of a file to write')
    if not stat.S_ISREG(mode):
        raise DataError(f'{path}: found a device or a pipe, expected the name of a file to write')


def missing_folders(path: Path) -> list[Path]:
    """Parents of ``path`` that do not exist yet, innermost first."""
    return [parent for parent in path.parents if not os.path.lexists(parent)]


def remove_folders(made: Sequence[Path]) -> None:
    """Remove folders that were made for nothing, as far as they are empty."""
    for folder in made:
        with suppress(OSError):
            folder.rmdir()


def _short(path: Path) -> str:
    """The name of ``path``, or where it is too long to be lengthened, a digest with its ending."""
    if len(os.fsencode(path.name)) <= _LONGEST:
        return path.name
    return hashlib.blake2b(os.fsencode(path.name), digest_size=8).hexdigest() + split_suffix(path)[1]


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _FULL
    except OSError:
        return False


def _words(error: Exception) -> str:
    return getattr(error, 'strerror', None) or ' '.join(str(error).split())


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable, where the platform can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
