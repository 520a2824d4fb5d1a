"""Files that exist whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path in the folder of ``path`` that takes its place when the block ends without an error.

    The data are on the disk (``fsync``) before the name changes, so a kill or a power cut leaves the old file or the
    new one. After an error the temporary file is removed and ``path`` is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays: writers that choose a format by it (NIfTI, PNG) must see the same one.
    temporary = path.with_name(f'.{os.getpid()}.tmp.{path.name}')
    try:
        yield temporary
        with open(temporary, 'rb') as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, UTF-8."""
    write_bytes(path, text.encode('utf-8'))


def remove_leftovers(folder: str | Path) -> None:
    """Delete temporary files that killed processes left in ``folder``; those of living processes stay."""
    for file in Path(folder).glob('.*.tmp.*'):
        owner = file.name.split('.')[1]
        if owner.isdigit() and not _is_alive(int(owner)):
            with suppress(OSError):
                file.unlink()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable, where the platform can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
