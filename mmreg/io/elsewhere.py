"""Files whose reader may end the process on damage are read in another process first."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from mmreg.errors import DataError

#: How every HDF5 file begins, behind a block of the user's own of 0, 512, 1024 ... bytes.
_HDF5 = b'\x89HDF\r\n\x1a\n'
_DEATHS = tuple(getattr(signal, name, None) for name in ('SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGABRT'))
_TRANSFORM = 'import SimpleITK; SimpleITK.ReadTransform(sys.argv[1])'
_SECONDS = 60


def is_hdf5(path: str | Path) -> bool:
    """Whether a file is HDF5 by its content."""
    with open(path, 'rb') as file:
        head = file.read(8192)
    return any(head.startswith(_HDF5, place) for place in (0, 512, 1024, 2048, 4096))


def try_transform(path: str | Path) -> None:
    """Read a transform in a process of its own, for HDF5 (0.2 s): its library dies of some damaged files.

    Raises:
        DataError: the other process died, or did not end.
    """
    if is_hdf5(path) and not survives(path, _TRANSFORM):
        raise DataError(f'{path}: found damaged data, expected a whole ITK transform file')


def survives(path: str | Path, code: str) -> bool:
    """Whether a process of its own that runs ``code`` on a file ends, well or with an error, but by no signal.

    Args:
        path: The file; the code finds its name in ``sys.argv[1]``.
        code: Python of ours that reads it; the packages of this process can be imported.
    """
    if not sys.executable:
        return True
    command = [sys.executable, '-I', '-c', f'import sys; sys.path[:] = sys.argv[2:]; {code}', str(path), *sys.path]
    try:
        ended = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_SECONDS).returncode
    except subprocess.TimeoutExpired:
        return False
    except OSError:  # no process can be started: it is read as it is
        return True
    return -ended not in _DEATHS
