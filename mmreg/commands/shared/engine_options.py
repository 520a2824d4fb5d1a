"""Options that say who registers the pairs of a list or group."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mmreg.errors import ConfigError

if TYPE_CHECKING:
    from mmreg.registration.cohort.engines.base import Engine

ENGINES = ('local', 'torchrun', 'dask', 'slurm')


def add_engine(group: argparse._ActionsContainer) -> None:
    """Who registers the pairs."""
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


def engine_of(args: argparse.Namespace) -> Engine:
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
