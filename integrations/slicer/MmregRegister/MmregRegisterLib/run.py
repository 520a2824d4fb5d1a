"""mmreg in its own Python environment, by its command line: the command, its progress, its result.

Nothing here imports 3D Slicer or mmreg: Slicer's Python has neither torch nor the versions that mmreg needs.
"""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: What is written: all that is loaded, and the report.
OUTPUTS = ('warped', 'transforms', 'metrics', 'report')
#: Variables by which Slicer's own Python would be forced upon the other one.
_OWN = ('PYTHONHOME', 'PYTHONPATH', 'PYTHONNOUSERSITE', 'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH')
#: Where each step ends on a bar from 0 to 1; those that are not named stand still.
_ENDS = {
    'start': 0.02, 'read': 0.05, 'method': 0.08, 'affine': 0.3, 'network': 0.7, 'optimisation': 0.85, 'outputs': 0.88,
    'inverse': 0.92, 'metrics': 0.95, 'writing': 0.99, 'done': 1.0,
}  # fmt: skip
_PRESET = re.compile(r'^(\w+): \S')


class RegistrationFailed(Exception):
    """mmreg ended without a result; the text is its own sentence."""


@dataclass(frozen=True)
class Step:
    """Where a registration is: a name, more in words, and a share of the whole."""

    name: str
    detail: str
    done: float


@dataclass(frozen=True)
class Registered:
    """What came out: the folder, and what the numbers and warnings say."""

    folder: Path
    metrics: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    seconds: float = 0.0

    @property
    def warped(self) -> Path:
        """The moving image on the fixed grid."""
        return self.folder / 'warped.nii.gz'

    @property
    def transform(self) -> Path:
        """The transform that resamples the moving image; in Slicer the moving volume is put under it."""
        return self.folder / 'transform.h5'

    @property
    def report(self) -> Path:
        """The page that says whether the result can be trusted."""
        return self.folder / 'report.html'


def find_command(place: str = '', environment: Mapping[str, str] | None = None) -> list[str]:
    """The command that starts mmreg.

    Args:
        place: Folder of a Python environment, or the program itself; empty to look on the path.
        environment: Where the path is; that of this process by default.

    Raises:
        RegistrationFailed: there is none.
    """
    path = Path(place).expanduser()
    if place and path.is_file():
        return [str(path)]
    folders = [path, path / 'bin', path / 'Scripts'] if place else []
    for folder in folders:
        for name in ('mmreg', 'mmreg.exe'):
            if (folder / name).is_file():
                return [str(folder / name)]
    found = None if place else shutil.which('mmreg', path=(environment or os.environ).get('PATH'))
    if found is None:
        where = f'in {place}' if place else 'on the path'
        raise RegistrationFailed(
            f'There is no mmreg {where}; install it in a Python environment of its own and name it.'
        )
    return [found]


def outside(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what Slicer sets for its own Python."""
    return {name: value for name, value in environment.items() if name not in _OWN}


def arguments(
    fixed: str | Path, moving: str | Path, out: str | Path, preset: str = '', only: str = '', more: Sequence[str] = ()
) -> list[str]:
    """What follows the command.

    Args:
        fixed: The volume that stays, as a file.
        moving: The other one.
        out: Folder for the results.
        preset: A name, or empty for a choice by the images.
        only: ``rigid``, ``similarity``, ``affine``, or empty to deform as well.
        more: Further arguments.
    """
    words = ['register', str(fixed), str(moving), '-o', str(out), '--progress', 'json', '--outputs', *OUTPUTS]
    words += ['--preset', preset] if preset else []
    words += ['--only', only] if only else []
    return [*words, *more]


def presets(command: Sequence[str], environment: Mapping[str, str] | None = None) -> list[str]:
    """Names of the presets that this mmreg has; none where it cannot be asked."""
    try:
        told = subprocess.run(
            [*command, 'register', '--list-presets'], capture_output=True, text=True, timeout=120,
            env=outside(environment or os.environ),
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return []
    return [found[1] for line in told.stdout.splitlines() if (found := _PRESET.match(line))]


class Run:
    """One registration in a process of its own.

    Args:
        command: What :func:`find_command` returns.
        words: What :func:`arguments` returns.
        environment: Of the process.
    """

    def __init__(self, command: Sequence[str], words: Sequence[str], environment: Mapping[str, str] | None = None):
        self._process = subprocess.Popen(
            [*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            encoding='utf-8', errors='replace', env=outside(environment or os.environ),
        )  # fmt: skip
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._errors: list[str] = []
        self._last: dict[str, Any] = {}
        self._cancelled = False
        self._reach = 0.0
        for stream, take in ((self._process.stdout, self._lines.put), (self._process.stderr, self._errors.append)):
            threading.Thread(target=self._listen, args=(stream, take), daemon=True).start()

    def _listen(self, stream: Any, take: Callable[[str], None]) -> None:
        with stream:
            for line in stream:
                take(line)
        if stream is self._process.stdout:
            self._lines.put(None)

    def steps(self, idle: Callable[[], None] = lambda: None, patience: float = 0.05) -> Iterator[Step]:
        """What mmreg tells, until it ends; ``idle`` is called while it says nothing, to keep a window alive."""
        while True:
            try:
                line = self._lines.get(timeout=patience)
            except queue.Empty:
                idle()
                continue
            if line is None:
                return
            step = self._read(line)
            if step is not None:
                yield step

    def _read(self, line: str) -> Step | None:
        try:
            content = json.loads(line)
        except ValueError:
            return None  # a line of something else
        if not isinstance(content, dict) or 'step' not in content:
            return None
        self._last = content
        name = str(content['step'])
        end = _ENDS.get(name, self._reach)
        starts = [share for share in _ENDS.values() if share < end]
        share = content.get('fraction')
        begin = max(starts, default=0.0)
        at = end if share is None else begin + (end - begin) * min(max(float(share), 0.0), 1.0)
        self._reach = max(self._reach, at)
        return Step(name, str(content.get('detail') or ''), self._reach)

    def cancel(self) -> None:
        """Stop it; it leaves nothing behind."""
        self._cancelled = True
        if self._process.poll() is None:
            self._process.terminate()

    def result(self) -> Registered:
        """What came out, after :meth:`steps` ended.

        Raises:
            RegistrationFailed: it was stopped, or ended with an error.
        """
        code = self._process.wait()
        if self._cancelled:
            raise RegistrationFailed('The registration was stopped.')
        if code or self._last.get('step') != 'done':
            told = self._last.get('message') or ' '.join(''.join(self._errors[-3:]).split())
            raise RegistrationFailed(str(told) or f'mmreg ended with the code {code} and said nothing.')
        content = self._last
        return Registered(
            Path(content['out']), content.get('metrics') or {}, tuple(content.get('warnings') or ()),
            float(content.get('seconds') or 0.0),
        )  # fmt: skip
