"""A folder of results that appears whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mmreg.errors import DataError, InputError
from mmreg.utils.atomic import missing_folders, refuse_occupied, remove_folders, told_error
from mmreg.utils.leftovers import own_name, remove_waiting, tidy, waiting_name
from mmreg.utils.text_files import read_json

#: The file that says a folder of results is complete, and which files it consists of.
MARKER = 'plan.json'
#: Of files that a result may consist of: a plan that lists others does not have them removed.
_ENDINGS = ('.nii.gz', '.nii', '.tfm', '.h5', '.json', '.csv', '.html', '.png', '.mha', '.nrrd', '.npz')


@contextmanager
def replacing_folder(target: str | Path, earlier: bool = True) -> Iterator[Path]:
    """A temporary folder beside ``target`` whose files take their places in it when the block ends without an error.

    After an error or an interruption the temporary folder is gone and ``target`` is as it was. Files of an earlier
    result (listed in its ``plan.json``) that the new one does not have are removed; other files are left alone. The
    marker goes first and comes last, so a folder with a marker is complete.

    Args:
        target: The folder.
        earlier: False leaves an earlier result as it is, with its marker: the new files are added to it.

    Raises:
        DataError: the place is a file or cannot be written.
    """
    target = Path(target)
    if os.path.lexists(target) and not target.is_dir():
        kind = 'a link that leads nowhere' if target.is_symlink() and not target.exists() else 'a file'
        raise DataError(f'{target}: found {kind}, expected the name of a folder for the results')
    made = missing_folders(target)
    waiting = target.parent / waiting_name(_short(target.name))
    temporary = waiting / own_name()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        tidy(target.parent)
        remove_waiting(waiting)  # also what another worker left a moment ago, which gave its work to this one
        _make(temporary)
    except (OSError, ValueError) as error:
        remove_folders(made)
        raise DataError(f'{target}: the folder cannot be made ({getattr(error, "strerror", error)})') from error
    done = False
    try:
        yield temporary
        with _uninterrupted(), _alone(target.parent):
            _move_into_place(temporary, target, earlier)
        done = True
    except Exception as error:
        told = told_error(error, target, temporary)
        if told is error:
            raise
        raise told from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):  # another process writes the same
            waiting.rmdir()
        if not done:
            remove_folders(made)


def read_marker(folder: str | Path) -> dict[str, Any] | None:
    """The plan of a complete folder of results, None where there is none or it is not one of ours.

    The files that it lists are there; its tables hold what :mod:`mmreg.registration.results` writes.
    """
    folder = Path(folder)
    try:
        content = read_json(folder / MARKER)
    except InputError:
        return None
    if not isinstance(content, dict) or not isinstance(content.get('files'), list):
        return None
    kinds = {'metrics': dict, 'timings': dict, 'preset': dict, 'warnings': list, 'request': str}
    if any(content.get(key) is not None and not isinstance(content[key], kind) for key, kind in kinds.items()):
        return None
    whole = all(isinstance(name, str) and _is_there(folder / name) for name in content['files'])
    return content if whole else None


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _short(name: str) -> str:
    """A name that can be lengthened within what file systems take."""
    return name if len(os.fsencode(name)) <= 200 else hashlib.blake2b(os.fsencode(name), digest_size=8).hexdigest()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process moves results into a folder below ``folder`` meanwhile, where the system has such locks."""
    handle = None
    with suppress(OSError, ImportError):
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _move_into_place(temporary: Path, target: Path, earlier: bool) -> None:
    if not target.exists():
        os.replace(temporary, target)
        return
    new = sorted(path.relative_to(temporary) for path in temporary.rglob('*') if path.is_file())
    for name in new:  # before the first one is moved: all or none
        refuse_occupied(target / name)
    old = _listed(target) if earlier else []
    if earlier:
        (target / MARKER).unlink(missing_ok=True)
    for name in sorted(new, key=lambda path: path.name == MARKER):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary / name, target / name)
    for outdated in set(old) - {str(name) for name in new}:
        (target / outdated).unlink(missing_ok=True)


def _listed(target: Path) -> list[str]:
    """Files of an earlier result, by its plan: such as lie in the folder itself and end as results do."""
    try:
        content = read_json(target / MARKER)
        names = [name for name in content.get('files', []) if Path(name).name == name and _is_there(target / name)]
        return [name for name in names if '.' not in name or name.endswith(_ENDINGS)]
    except (InputError, AttributeError, TypeError):
        return []


def _make(temporary: Path) -> None:
    """Make it, also where another process, which is done with the same target, removes the folder around it."""
    for _ in range(100):
        with suppress(FileNotFoundError):
            temporary.parent.mkdir(exist_ok=True)
            temporary.mkdir()
            return
    temporary.mkdir()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the files are in their places (main thread only; others never see it)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    saved = {
        number: signal.signal(number, lambda n, _: waiting.append(n)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)
    if waiting:
        signal.raise_signal(waiting[0])
