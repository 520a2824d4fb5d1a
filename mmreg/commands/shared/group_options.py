"""Options of the commands that register groups of scans: how pairs are registered, who does it, and the bar."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from mmreg.registration.options import RunOptions
from mmreg.utils import console
from mmreg.utils.described import descriptions

from .engine_options import add_engine
from .options import add_common, add_described, check_folder
from .rate import RateColumn
from .run_options import run_options

_Settings = TypeVar('_Settings')
#: Of a registration, what makes sense for all of a group.
_SHARED = ('preset', 'model', 'checkpoint', 'refine', 'smoothness', 'device', 'seed')
#: What only the page and tables of the group look at.
_SHOWN = ('label_names',)


def add_group(parser: argparse.ArgumentParser) -> None:
    """The folder, how pairs are registered, the engine, and what every command has."""
    parser.add_argument('--out', '-o', metavar='DIR', required=True, help='folder for the results; a rerun goes on')
    add_described(parser.add_argument_group('how each pair is registered'), RunOptions, _SHARED)
    add_described(parser.add_argument_group('the page'), RunOptions, _SHOWN)
    add_engine(parser.add_argument_group('who does it'))
    add_common(parser)


def group_options(args: argparse.Namespace) -> RunOptions:
    """How pairs are registered, checked.

    Raises:
        ConfigError: options that contradict each other, or a folder that cannot be one.
    """
    check_folder(args.out, 'out')
    options = run_options(args, label_names=None)
    options.check()
    if args.plugin:  # before anything is written
        from mmreg.plugins import register_all_modules

        register_all_modules(args.plugin)
    return options


def settings_of(kind: type[_Settings], args: argparse.Namespace) -> _Settings:
    """The settings of a group from options of the same names."""
    return kind(**{field.name: getattr(args, field.name) for field, _ in descriptions(kind)})


def names_of(args: argparse.Namespace) -> Mapping[int, str]:
    """Value -> name of the labels, by ``--label-names``; empty without.

    Raises:
        DataError: a table that cannot be read.
    """
    from mmreg.io.label_tables import read_label_names

    return {} if args.label_names is None else read_label_names(args.label_names)


def in_few_words(files: Sequence[str]) -> str:
    """Files in few words, to be said while the libraries are loaded: the name of one, the number of more."""
    return (Path(files[0]).name or files[0]) if len(files) == 1 else f'{len(files)} files'


class StepProgress:
    """Context manager around work of several steps: a bar with remaining time for each of them."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=console.console(stderr=True),
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> StepProgress:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._tasks:
            self._bar.stop()

    def tell(self, what: str, done: int, of: int) -> None:
        """So much of a step is done; nothing is shown before the first time, so that an error there stands alone."""
        if not self._tasks:
            self._bar.start()
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=of)
        self._bar.update(self._tasks[what], completed=done)


class GroupProgress:
    """Context manager around a group's registrations: a bar with rate and remaining time, a line per failure.

    Args:
        total: Number of registrations.
        debug: Print the stack trace of each failure.
    """

    def __init__(self, total: int, debug: bool = False):
        self._debug = debug
        self._bar = Progress(
            TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), RateColumn(), TimeRemainingColumn(),
            console=console.console(stderr=True),
        )  # fmt: skip
        self._task = self._bar.add_task('registering', total=total)

    def __enter__(self) -> GroupProgress:
        self._bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None and not self._bar.tasks[0].completed:  # an error that is told at the start stands alone
            self._bar.live.transient = True
            self._bar.live.stop()
        else:
            self._bar.stop()

    def advance(self, what: str, outcome: Any) -> None:
        """One more is done.

        Args:
            what: Where in the work that was.
            outcome: Of the case, an :class:`~mmreg.registration.cohort.outcome.Outcome`.
        """
        if outcome.status == 'skipped':
            self._bar.update(self._task, total=(self._bar.tasks[0].total or 1) - 1, description=what)
        else:
            self._bar.update(self._task, advance=1, description=what)
        if outcome.status == 'failed':
            self._bar.console.print(f'{what}: {outcome.case.case_id} failed: {outcome.reason}', markup=False)
            if self._debug and outcome.trace:
                self._bar.console.print(outcome.trace, markup=False)
