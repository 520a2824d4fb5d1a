"""Options that the commands share which register files: what belongs to a pair, lists, results."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from mmreg.errors import ConfigError
from mmreg.registration.files import PairFiles
from mmreg.registration.options import LAYOUT_NAMES, OUTPUT_NAMES, RunOptions

from .engine_options import add_engine
from .file_options import check_reading
from .options import add_described, check_folder

#: How a run tells where it is.
PROGRESS = ('bar', 'json')


def add_pair_files(group: argparse._ArgumentGroup) -> None:
    """What may come with one pair."""
    add_described(group, PairFiles, PairFiles.optional(), metavar='FILE')


def add_weights(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Published weights instead of a config and a checkpoint."""
    parser.add_argument(
        '--weights',
        metavar='NAME',
        help='published weights by name, with their config and what they need: mmreg weights',
    )


def check_weights(args: argparse.Namespace, config: str) -> None:
    """Weights or a config named ``config``, one of them; the affine that the weights need where none was asked for.

    Raises:
        ConfigError: both, none, or an unknown name.
    """
    if not args.weights:
        if getattr(args, config) is None and not args.checkpoint and not args.fast:
            raise ConfigError(f'found neither a {config} nor --weights nor --checkpoint, expected one of them.')
        return
    if getattr(args, config) is not None or args.checkpoint:
        raise ConfigError(f'--weights was given with a {config} or a checkpoint, expected one of them.')
    from mmreg.zoo.store import affine_of

    needed = affine_of(args.weights)
    if args.affine is None:
        args.affine = needed


def add_list(parser: argparse.ArgumentParser) -> None:
    """A list of pairs and how it is worked through."""
    many = parser.add_argument_group('many pairs', 'start the command with torchrun to share a list among processes')
    many.add_argument('--pairs', metavar='LIST', help='CSV or JSON of pairs, or a Learn2Reg/LUMIR JSON')
    many.add_argument('--data-root', metavar='DIR', help='folder the paths are below (default: that of the list)')
    many.add_argument('--split', choices=['training', 'validation', 'test'], help='list of a challenge JSON')
    many.add_argument(
        '--layout', choices=LAYOUT_NAMES, default='files',
        help='challenge layouts write only disp_<fixed>_<moving>; lumir reads the mounts of the challenge container '
        'unless told otherwise',
    )  # fmt: skip
    many.add_argument('--overwrite', action='store_true', help='register finished cases again')
    many.add_argument(
        '--shard', metavar='I/N',
        help='do the I-th of N shares only, from 1; the command without it gathers when all are done',
    )  # fmt: skip
    add_engine(many)
    many.add_argument(
        '--batch-size', type=int, default=1, metavar='N', help='so many pairs of equal grids at once (default: 1)'
    )


def add_run(parser: argparse.ArgumentParser, affine: str | None) -> None:
    """How it is done and what is written.

    Args:
        parser: Gets the options.
        affine: Default of ``--affine``.
    """
    parser.add_argument('--out', '-o', metavar='DIR', help='folder for the results')
    names = RunOptions.names(but=('model', 'checkpoint', 'cfg_options'))
    add_described(parser, RunOptions, names, defaults={'affine': affine})
    parser.add_argument(
        '--also', nargs='+', action='extend', default=[], metavar='FILE',
        help='more of the moving image: images and label maps (told apart by their voxels) are brought to the fixed '
        'image, landmarks and meshes to their places in it',
    )  # fmt: skip
    parser.add_argument(
        '--progress', choices=PROGRESS, default='bar',
        help='json: one JSON document per step on stdout, for other programs (default: a bar on a terminal)',
    )  # fmt: skip
    parser.add_argument(
        '--outputs', nargs='+', metavar='NAME', help=f'only these: {" ".join(OUTPUT_NAMES)} (plan.json always)'
    )


def add_network(parser: argparse._ActionsContainer, names: Sequence[str]) -> None:
    """Which network: ``model``, ``checkpoint``."""
    add_described(parser, RunOptions, names)


def pair_files(args: argparse.Namespace) -> dict[str, str]:
    """The files of a pair that were given."""
    found = {name: getattr(args, name, None) for name in PairFiles.names()}
    return {name: path for name, path in found.items() if path}


def run_options(args: argparse.Namespace, **changes: Any) -> RunOptions:
    """The options of a run as one value; ``changes`` count more."""
    found = {name: getattr(args, name) for name in RunOptions.names() if hasattr(args, name)}
    return RunOptions(**{**found, **changes})


def check_run(args: argparse.Namespace) -> None:
    """Refuse options that cannot work or contradict each other, before anything is read."""
    given = list(pair_files(args))
    if args.pairs and given:
        raise ConfigError(f'--pairs and {_spelled(args, given[0])} were given, expected one pair or a list of pairs.')
    if not args.pairs and not (args.fixed and args.moving):
        names = ' and '.join(_spelled(args, name) for name in ('fixed', 'moving'))
        raise ConfigError(f'{names} are missing, expected both of them or --pairs LIST.')
    if not args.out:
        raise ConfigError('--out is missing, expected a folder for the results.')
    check_folder(args.out, 'out')
    if not args.pairs and args.layout != 'files':
        raise ConfigError(f'--layout {args.layout} was given for one pair, expected --pairs LIST with it.')
    if not args.pairs and (args.shard or args.engine):
        raise ConfigError('--shard or --engine was given for one pair, expected --pairs LIST with it.')
    if args.shard and args.engine not in (None, 'local'):
        raise ConfigError(f'--shard and --engine {args.engine} were given, expected one of them.')
    if args.pairs and args.also:
        raise ConfigError('--also was given with --pairs, expected it for one pair; see mmreg apply.')
    if args.batch_size < 1:
        raise ConfigError(f'--batch-size is {args.batch_size}, expected 1 or more.')
    if args.refine < 0:
        raise ConfigError(f'--refine is {args.refine}, expected a number of iterations, 0 or more.')
    check_reading(args)
    _check_outputs(args.outputs)


def _spelled(args: argparse.Namespace, name: str) -> str:
    """How an argument is written: the two images may be positional."""
    if name in ('fixed', 'moving') and getattr(args, 'positional', False):
        return name.upper()
    return f'--{name.replace("_", "-")}'


def _check_outputs(names: Sequence[str] | None) -> None:
    unknown = [name for name in names or () if name not in OUTPUT_NAMES]
    if unknown:
        raise ConfigError(f'--outputs {unknown[0]} is unknown, expected some of {", ".join(OUTPUT_NAMES)}.')
