"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmreg.errors import DataError
from mmreg.utils.atomic import replacing

# Endings that writers choose their format by and that pathlib would cut in two.
_DOUBLE_SUFFIXES = ('.nii.gz', '.mrk.json')


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
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name in the same folder and with the same ending; rename it to ``path`` when all went well.

    The folder is made when it is missing. When the block raises, or is interrupted, the temporary file is removed and
    an older file of that name stays as it was.

    Raises:
        DataError: the folder cannot be made or written.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f'{target.parent}: the folder cannot be made ({error.strerror})') from error
    if target.is_dir():
        raise DataError(f'{target}: found a folder, expected the name of a file to write')
    try:
        with replacing(target) as temporary:
            yield temporary
    except OSError as error:
        raise DataError(f'{target}: cannot be written ({error.strerror or error})') from error


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding='utf-8')
