"""What is asked of any file before a reader sees it: that it is one, that its name can be told, that it fits."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmreg.errors import DataError, DataWarning
from mmreg.utils import text_files

#: Without a figure from the system, so much memory is taken to be there.
_UNKNOWN = sys.maxsize
#: Limit, use, and what of the use is copies of files that give way, in both versions of control groups.
_CGROUPS = (
    ('/sys/fs/cgroup', 'memory.max', 'memory.current', 'file '),
    ('/sys/fs/cgroup/memory', 'memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_cache '),
)


def warn(text: str) -> None:
    """Say something about a file that was read; the commands show it in one line, Python as :class:`DataWarning`."""
    warnings.warn(text, DataWarning, stacklevel=3)


@contextmanager
def noted() -> Iterator[list[str]]:
    """Collect what :func:`warn` says inside the block, each sentence once, instead of showing it."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always', DataWarning)
        try:
            yield told
        finally:
            ours = [str(w.message) for w in caught if issubclass(w.category, DataWarning)]
            told += dict.fromkeys(ours)
    for other in caught:
        if not issubclass(other.category, DataWarning):
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)


def regular_file(path: str | Path, expected: str) -> Path:
    """Return ``path``, a regular file whose name is text; nothing is opened, so that nothing waits.

    Args:
        path: What was given.
        expected: What it should be, 'an image'.

    Raises:
        DataError: missing, a folder, a pipe, a device or a socket, or a name that is no text.
    """
    return text_files.regular_file(named(path, expected), expected)


def named(path: str | Path, expected: str) -> Path:
    """Return ``path`` where its name is text that libraries in C can be handed.

    Raises:
        DataError: bytes that are no UTF-8, or a null character.
    """
    text = os.fspath(path)
    if '\0' in text:
        raise DataError(f'{text!r}: found a null character in a file name, expected the name of {expected}')
    try:
        text.encode('utf-8')
    except UnicodeEncodeError as error:
        shown = os.fsencode(text).decode('utf-8', 'backslashreplace')
        raise DataError(
            f'{shown}: found a file name that is no UTF-8 text, expected {expected} of another name'
        ) from error
    return Path(path)


def check_room(path: str | Path, wanted: int, what: str = 'its voxels') -> None:
    """Refuse what cannot fit into memory, before anything is allocated.

    Args:
        path: The file.
        wanted: Bytes.
        what: What they are for.

    Raises:
        DataError: more than is free.
    """
    free = free_memory()
    if wanted > free:
        raise DataError(
            f'{path}: found a header that asks for {in_words(wanted)} of memory for {what}, expected no more than the '
            f'{in_words(free)} that are free here; crop the image or resample it to larger voxels'
        )


def free_memory() -> int:
    """Bytes that this process may still allocate: by the machine, its control group and its own limit."""
    return min(_of_machine(), _of_cgroup(), room_of_process())


def in_words(size: int) -> str:
    """A number of bytes for people.

    Example:
        >>> in_words(3_400_000)
        '3.4 MB'
    """
    value = float(size)
    for unit in ('bytes', 'kB', 'MB', 'GB', 'TB', 'PB'):
        if value < 1000 or unit == 'PB':
            return f'{value:.3g} {unit}'
        value /= 1000
    raise AssertionError


def _of_machine() -> int:
    try:
        for line in Path('/proc/meminfo').read_text().splitlines():
            if line.startswith('MemAvailable:'):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return _UNKNOWN


def _of_cgroup() -> int:
    for folder, limit, used, cache in _CGROUPS:
        try:
            most, now = (int(Path(folder, name).read_text()) for name in (limit, used))
            lines = Path(folder, 'memory.stat').read_text().splitlines()
        except (OSError, ValueError):  # 'max', or no such control group
            continue
        cached = sum(int(line.split()[1]) for line in lines if line.startswith(cache))
        return max(0, most - now + cached)
    return _UNKNOWN


def room_of_process() -> int:
    """Bytes that the limit of this process (``ulimit -v``) leaves; very many where there is none."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError, ValueError):
        return _UNKNOWN
    return _UNKNOWN if limit == resource.RLIM_INFINITY else max(0, limit - used)
