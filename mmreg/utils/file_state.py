"""What tells whether a file is still the one that a result was made from."""

from __future__ import annotations

import os
from pathlib import Path


def file_state(path: str | os.PathLike[str] | None) -> list[str | int | None]:
    """Name, size in bytes and time of the last change in ns; the latter two are None where there is no file.

    Example:
        >>> file_state('nothing.nii')
        ['nothing.nii', None, None]
    """
    found = Path(path) if path is not None else None
    stat = found.stat() if found is not None and found.exists() else None
    return [str(path), stat.st_size if stat else None, stat.st_mtime_ns if stat else None]
