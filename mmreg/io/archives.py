"""Zip archives of others, read within limits: what an archive claims is looked at before anything is unpacked."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmreg.errors import DataError, InputError

from .files import check_room, regular_file

#: No challenge has so many cases, no archive of arrays so many arrays.
MOST_MEMBERS = 20_000
_KNOWN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


@contextmanager
def open_archive(path: str | Path, expected: str = 'a whole zip archive') -> Iterator[zipfile.ZipFile]:
    """A zip file whose directory makes sense; whatever is wrong inside the block with it is one sentence.

    Args:
        path: The archive.
        expected: What the sentence asks for.

    Raises:
        DataError: no regular file, no archive, damaged, encrypted, too many members, or content that does not fit into
            memory.
    """
    path = regular_file(path, expected)
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive, path)
            yield archive
    except InputError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or ' '.join(str(error).split())
        raise DataError(f'{path}: found something that is not {expected} ({reason[:120]})') from error


def member_bytes(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The content of a member of at most ``most`` bytes; what it claims is not trusted.

    Raises:
        DataError: it is larger, encrypted, or packed by an unknown method.
    """
    entry = archive.getinfo(name)
    _check_entry(entry, name)
    if entry.file_size > most:
        raise DataError(f'{name}: found {entry.file_size} bytes unpacked, expected at most {most}')
    with archive.open(entry) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise DataError(f'{name}: found more than {most} bytes unpacked, expected fewer')
    return data


def _check(archive: zipfile.ZipFile, path: Path) -> None:
    entries = archive.infolist()
    if len(entries) > MOST_MEMBERS:
        raise DataError(f'{path}: found {len(entries)} members, expected at most {MOST_MEMBERS}')
    twice = len(entries) - len({entry.filename for entry in entries})
    if twice:
        raise DataError(f'{path}: found {twice} names of members twice, expected each once')
    for entry in entries:
        _check_entry(entry, f'{path}: {entry.filename}')
    check_room(path, sum(entry.file_size for entry in entries), 'what it unpacks to')


def _check_entry(entry: zipfile.ZipInfo, where: str) -> None:
    if entry.flag_bits & 0x1:
        raise DataError(f'{where}: found an encrypted member, expected one that can be read')
    if entry.compress_type not in _KNOWN:
        raise DataError(f'{where}: found the compression method {entry.compress_type}, expected a usual one')
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise DataError(f'{where}: found a link, expected a file')
