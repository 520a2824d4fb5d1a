"""Temporary files and folders whose names say whose they are, so that what killed processes left can be removed."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

#: Nothing that is being written is left alone for longer, seconds: this is asked where no process can be.
_OLD = 24 * 3600.0
#: The process, the machine and the thread; older versions wrote no machine, and not always the thread.
_OWNER = re.compile(r'(?P<pid>\d+)(?:\.(?P<machine>[0-9a-f]{8})\.|-)\d+')
_TEMPORARY = re.compile(r'\.(?P<pid>\d+)(?:\.(?P<machine>[0-9a-f]{8}))?(?:\.\d+)?\.tmp\..+', re.DOTALL)
_WAITING = re.compile(r'\..+\.tmp', re.DOTALL)


def own_name() -> str:
    """A name that no other thread of any machine has: what begins with it is ours."""
    return f'{os.getpid()}.{_machine()}.{threading.get_ident()}'


def temporary_name(name: str) -> str:
    """A hidden name for what will be called ``name``; it ends as ``name`` does."""
    return f'.{own_name()}.tmp.{name}'


def waiting_name(name: str) -> str:
    """Name of a hidden folder for all temporary folders of one target, each called :func:`own_name`."""
    return f'.{name}.tmp'


@contextmanager
def temporary_folder(parent: str | Path, name: str) -> Iterator[Path]:
    """A folder in ``parent`` for the time of a block; what killed processes left in ``parent`` is removed before."""
    tidy(parent)
    folder = Path(parent) / temporary_name(name)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tidy(folder: str | Path) -> None:
    """:func:`remove_leftovers`, the first time that this process writes into a folder."""
    _tidied(os.path.abspath(folder), os.getpid())


@lru_cache(maxsize=256)
def _tidied(folder: str, pid: int) -> None:
    remove_leftovers(folder)


def remove_leftovers(folder: str | Path) -> None:
    """Delete temporary files and folders that killed processes left in ``folder``; those of living ones stay.

    Of a process on another machine it cannot be told whether it lives: what it left goes when it is a day old.
    """
    for entry in _entries(folder):
        if _TEMPORARY.fullmatch(entry.name):
            _remove_if_stale(entry, _TEMPORARY)
        elif _WAITING.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
            remove_waiting(entry.path)


def remove_waiting(folder: str | Path) -> None:
    """The same in a folder of :func:`waiting_name`, and the folder itself where nothing else is in it."""
    for entry in _entries(folder):
        if _OWNER.fullmatch(entry.name):
            _remove_if_stale(entry, _OWNER)
    with suppress(OSError):  # it holds what others write, or there is none
        os.rmdir(folder)


def is_alive(pid: int) -> bool:
    """Whether a process of that number runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (OSError, ValueError):
        return []


def _remove_if_stale(entry: os.DirEntry[str], kind: re.Pattern[str]) -> None:
    owner = kind.fullmatch(entry.name)
    assert owner is not None
    with suppress(OSError):
        ours = owner['machine'] in (None, _machine())
        old = time.time() - entry.stat(follow_symlinks=False).st_mtime > _OLD
        if old or (ours and not is_alive(int(owner['pid']))):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)


@lru_cache(maxsize=1)
def _machine() -> str:
    """Tells machines apart, and on one of them the containers that count their processes from 1."""
    space = ''
    with suppress(OSError):
        space = os.readlink('/proc/self/ns/pid')
    return hashlib.blake2b(f'{platform.node()} {space}'.encode(), digest_size=4).hexdigest()
