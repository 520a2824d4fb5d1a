"""Which cases of a folder are finished: one file for all of them, so that a long list goes on at once."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmreg.errors import MISFIT, InputError
from mmreg.io.plain import json_text
from mmreg.utils.text_files import read_text

from .cases import CohortCase
from .outcome import COLUMNS, TEXTS, Outcome, names_of_files

#: The file, beside the tables.
DONE = 'done.jsonl'


@dataclass
class DoneIndex:
    """What ``done.jsonl`` says: a line per finished case, of which the last one counts; whoever finishes one adds it.

    It is a shortcut only: a line holds as long as the folder of its case is as old as when it was written; otherwise
    the case's own plan is read. A torn line, or one that is not ours, is none.

    Attributes:
        folder: Where the results are.
    """

    folder: Path
    _lines: dict[str, dict[str, Any]] | None = field(default=None, repr=False)
    _current: set[str] = field(default_factory=set, repr=False)
    _usable: bool = field(default=True, repr=False)

    def find(self, case: CohortCase, request: str, place: Path) -> Outcome | None:
        """The case as a finished one, if its line says that its result is current.

        Args:
            case: Which one.
            request: Digest of its files and settings.
            place: Where its result is.
        """
        line = self._known().pop(case.case_id, None)  # it is asked for once: memory holds each line once
        if line is None or line['request'] != request or line['stamp'] != stamp(place):
            return None
        self._current.add(case.case_id)
        return Outcome(case, 'skipped', line['line'], files=names_of_files(line['files']), request=request)

    def add(self, outcome: Outcome, place: Path) -> None:
        """Add a finished case, unless its line is there."""
        found = None if outcome.case.case_id in self._current else stamp(place)
        self._known()
        if found is None or not self._usable:
            return
        line = {
            'case': outcome.case.case_id, 'request': outcome.request, 'stamp': found, 'line': outcome.line,
            'files': sorted(outcome.files),
        }  # fmt: skip
        with suppress(OSError), open(self.folder / DONE, 'ab+') as file:  # who writes results tells of a full disk
            if file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b'\n':  # a torn line
                file.write(b'\n')
            file.write(json_text(line, indent=None, keep_nan=True).encode('utf-8', 'surrogateescape'))

    def _known(self) -> dict[str, dict[str, Any]]:
        if self._lines is None:
            self._lines = {}
            path = self.folder / DONE
            if os.path.lexists(path):
                try:
                    self._lines = read_done(path)
                except InputError:
                    self._usable = False
        return self._lines


def read_done(path: str | Path) -> dict[str, dict[str, Any]]:
    """The lines of a ``done.jsonl`` by their case; of several, the last one, and none that is not ours.

    Raises:
        DataError: no file, or no text.
    """
    found = (_parsed(line) for line in read_text(path).splitlines() if line)
    return {line['case']: line for line in found if line is not None}


def stamp(place: Path) -> int | None:
    """When something last came to or left a folder, ns; None: there is none."""
    try:
        return place.stat().st_mtime_ns
    except (OSError, ValueError):
        return None


def _parsed(text: str) -> dict[str, Any] | None:
    """A line of ours, None where it is not one."""
    try:
        line = json.loads(text)
        kinds = {'case': str, 'request': str, 'stamp': int, 'line': dict, 'files': list}
        whole = all(isinstance(line[name], kind) for name, kind in kinds.items())
        fits = all(_fits(name, value) for name, value in line['line'].items())
        return line if whole and fits and all(isinstance(name, str) for name in line['files']) else None
    except MISFIT:
        return None


def _fits(name: str, value: Any) -> bool:
    """Whether a column of ``results.csv`` holds such values, which are numbers that a float can be, or texts."""
    if name not in COLUMNS or value is None:
        return name in COLUMNS
    if name in TEXTS:
        return isinstance(value, str)
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 1000)
