"""A folder of results that appears whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mmreg.errors import DataError

#: The file that says a folder of results is complete, and which files it consists of.
MARKER = 'plan.json'


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
    if target.exists() and not target.is_dir():
        raise DataError(f'{target}: found a file, expected the name of a folder for the results')
    made = _missing_parents(target)
    temporary = target.parent / f'.{target.name}.{os.getpid()}-{threading.get_ident()}.tmp'
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
        temporary.mkdir()
    except OSError as error:
        raise DataError(f'{target}: the folder cannot be made ({error.strerror})') from error
    done = False
    try:
        yield temporary
        with _uninterrupted():
            _move_into_place(temporary, target, earlier)
        done = True
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if not done:
            for parent in made:
                with suppress(OSError):
                    parent.rmdir()


def read_marker(folder: str | Path) -> dict[str, Any] | None:
    """The plan of a complete folder of results, None where there is none."""
    try:
        content = json.loads((Path(folder) / MARKER).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _missing_parents(target: Path) -> list[Path]:
    """Parents that do not exist yet, innermost first."""
    return [parent for parent in target.parents if not parent.exists()]


def _move_into_place(temporary: Path, target: Path, earlier: bool) -> None:
    if not target.exists():
        os.replace(temporary, target)
        return
    new = sorted(path.relative_to(temporary) for path in temporary.rglob('*') if path.is_file())
    old = (read_marker(target) or {}).get('files', []) if earlier else []
    if earlier:
        (target / MARKER).unlink(missing_ok=True)
    for name in sorted(new, key=lambda path: path.name == MARKER):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary / name, target / name)
    for outdated in {str(name) for name in old} - {str(name) for name in new}:
        path = target / outdated
        if path.resolve().is_relative_to(target.resolve()):
            path.unlink(missing_ok=True)


def _remove_leftovers(target: Path) -> None:
    """Temporary folders of processes that were killed."""
    for folder in target.parent.glob(f'.{target.name}.*-*.tmp'):
        owner = folder.name.removesuffix('.tmp').rpartition('.')[2].partition('-')[0]
        if owner.isdigit() and not _is_alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


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
