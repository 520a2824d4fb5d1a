"""Options of the commands that register groups of scans: how pairs are registered, who does it, and the bar."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmreg.errors import ConfigError
from mmreg.registration.options import RunOptions
from mmreg.utils import console

from .options import add_common, add_described
from .run_options import run_options
from .run_progress import RateColumn

ENGINES = ('local', 'torchrun', 'dask', 'slurm')
#: Of a registration, what makes sense for all of a group.
_SHARED = ('preset', 'model', 'checkpoint', 'refine', 'smoothness', 'device', 'seed')


def add_group(parser: argparse.ArgumentParser) -> None:
    """The folder, how pairs are registered, the engine, and what every command has."""
    parser.add_argument('--out', '-o', metavar='DIR', required=True, help='folder for the results; a rerun goes on')
    add_described(parser.add_argument_group('how each pair is registered'), RunOptions, _SHARED)
    add_engine(parser)
    add_common(parser)


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Who registers the pairs."""
    group = parser.add_argument_group('who does it')
    group.add_argument(
        '--engine', choices=ENGINES, default=None,
        help='this process, those that torchrun started, workers of Dask, or an array of Slurm jobs (default: '
        'torchrun where it started us, else local)',
    )  # fmt: skip
    group.add_argument('--dask-scheduler', metavar='ADDRESS',
                       help='with --engine dask: tcp://host:8786 (default: a cluster of this machine)')  # fmt: skip
    group.add_argument('--workers', type=int, default=2, metavar='N',
                       help='processes of such a cluster (default: 2), or jobs of the Slurm array')  # fmt: skip
    group.add_argument('--slurm-options', default='', metavar='TEXT', help="of sbatch: '--partition=gpu --mem=8G'")


def engine_of(args: argparse.Namespace) -> Any:
    """The engine that was asked for.

    Raises:
        ConfigError: options that do not fit.
    """
    from mmreg.registration.cohort.engines.base import LocalEngine
    from mmreg.registration.cohort.engines.torchrun import TorchrunEngine
    from mmreg.registration.cohort.shards import Shard

    name = args.engine or ('torchrun' if Shard.from_environment().world > 1 else 'local')
    if args.dask_scheduler and name != 'dask':
        raise ConfigError('--dask-scheduler was given without --engine dask, expected both.')
    if args.slurm_options and name != 'slurm':
        raise ConfigError('--slurm-options was given without --engine slurm, expected both.')
    if args.workers < 1:
        raise ConfigError(f'--workers is {args.workers}, expected 1 or more.')
    if name == 'dask':
        from mmreg.registration.cohort.engines.dask import DaskEngine

        return DaskEngine(args.dask_scheduler, args.workers)
    if name == 'slurm':
        from mmreg.registration.cohort.engines.slurm import SlurmEngine

        return SlurmEngine(args.workers, args.slurm_options)
    return TorchrunEngine() if name == 'torchrun' else LocalEngine()


def group_options(args: argparse.Namespace) -> RunOptions:
    """How pairs are registered, checked.

    Raises:
        ConfigError: options that contradict each other, or a folder that cannot be one.
    """
    out = Path(args.out)
    if out.exists() and not out.is_dir():
        raise ConfigError(f'{out}: found a file, expected the name of a folder for the results.')
    options = run_options(args)
    options.check()
    return options


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
