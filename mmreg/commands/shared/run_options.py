"""Options that the commands share which register files: what belongs to a pair, lists, results."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmreg.errors import ConfigError

#: Files of one pair besides the two images.
PAIR_FILES = (
    *('fixed_labels', 'moving_labels', 'fixed_mask', 'moving_mask', 'fixed_prompt'),
    *('fixed_landmarks', 'moving_landmarks'),
)
LAYOUTS = ('files', 'lumir', 'learn2reg', 'oasis')


def add_pair_files(group: argparse._ArgumentGroup) -> None:
    """What may come with one pair."""
    group.add_argument('--fixed-labels', metavar='FILE', help='label map of the fixed image, for scores')
    group.add_argument('--moving-labels', metavar='FILE', help='label map of the moving image: warped, and scored')
    group.add_argument('--fixed-mask', metavar='FILE', help='where the similarity counts in the fixed image')
    group.add_argument('--moving-mask', metavar='FILE', help='the same in the moving image')
    group.add_argument('--fixed-prompt', metavar='FILE', help='label map of the fixed image for prompted models')
    group.add_argument(
        '--fixed-landmarks', metavar='FILE', help='landmarks: CSV (voxel, or mm with header x,y,z) or Slicer'
    )
    group.add_argument('--moving-landmarks', metavar='FILE', help='their partners in the moving image')
    add_frame(group)


def add_frame(group: argparse._ArgumentGroup) -> None:
    """Which frames of 4-D files are meant."""
    group.add_argument(
        '--frame', nargs=2, type=int, metavar=('FIXED', 'MOVING'),
        help='frames of 4-D files, counted from 1 (default: ED and ES as an Info.cfg beside the file says)',
    )  # fmt: skip


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
        if getattr(args, config) is None:
            raise ConfigError(f'found neither a {config} nor --weights, expected one of them.')
        return
    if getattr(args, config) is not None or args.checkpoint:
        raise ConfigError(f'--weights was given with a {config} or a checkpoint, expected one of them.')
    from mmreg.zoo.store import find

    entry = find(args.weights)
    if args.affine is None and entry.needs.affine != 'none':
        args.affine = entry.needs.affine


def add_list(parser: argparse.ArgumentParser) -> None:
    """A list of pairs and how it is worked through."""
    many = parser.add_argument_group('many pairs', 'start the command with torchrun to share a list among processes')
    many.add_argument('--pairs', metavar='LIST', help='CSV or JSON of pairs, or a Learn2Reg/LUMIR JSON')
    many.add_argument('--data-root', metavar='DIR', help='folder the paths are below (default: that of the list)')
    many.add_argument('--split', choices=['training', 'validation', 'test'], help='list of a challenge JSON')
    many.add_argument(
        '--layout', choices=LAYOUTS, default='files',
        help='challenge layouts write only disp_<fixed>_<moving>; lumir reads the mounts of the challenge container '
        'unless told otherwise',
    )  # fmt: skip
    many.add_argument('--overwrite', action='store_true', help='register finished cases again')
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
    parser.add_argument('--device', help='cpu, cuda, cuda:N (default: the GPU where there is one)')
    parser.add_argument(
        '--affine', metavar='HOW', default=affine,
        help='before the deformation: auto (as the preset says), affine, similarity, rigid, translation, centres, '
        'none, or FILE (ITK transform or 4x4 text matrix in RAS mm, fixed -> moving); '
        f'default: {affine or "none"}',
    )  # fmt: skip
    parser.add_argument(
        '--refine', type=int, default=0, metavar='N',
        help='iterations of an optimisation that starts from what the network found',
    )  # fmt: skip
    parser.add_argument(
        '--preset', metavar='NAME',
        help='a preset by name, or a config file of your own; with --refine: whose losses, "network" for those of '
        'the network (default: chosen by what is in the images)',
    )  # fmt: skip
    parser.add_argument('--seed', type=int, default=0, help='of everything that is drawn (default: 0)')
    parser.add_argument(
        '--label-sets', choices=['equal', 'overlap'], default='equal', help='what label maps must share'
    )
    parser.add_argument('--labels', nargs='+', type=int, metavar='N', help='label values to score (default: all but 0)')
    parser.add_argument(
        '--landmark-frame',
        choices=['voxel', 'ras', 'lps'],
        help='frame of landmark CSVs (default: told by their header)',
    )
    parser.add_argument(
        '--outputs', nargs='+', metavar='NAME',
        help='only these: warped displacement transforms labels landmarks metrics rigidity overview report '
        '(plan.json always)',
    )  # fmt: skip


def check_run(args: argparse.Namespace) -> None:
    """Refuse options that cannot work or contradict each other, before anything is read."""
    given = [name for name in ('fixed', 'moving', *PAIR_FILES) if getattr(args, name, None)]
    if args.pairs and given:
        raise ConfigError(f'--pairs and {_spelled(args, given[0])} were given, expected one pair or a list of pairs.')
    if not args.pairs and not (args.fixed and args.moving):
        names = ' and '.join(_spelled(args, name) for name in ('fixed', 'moving'))
        raise ConfigError(f'{names} are missing, expected both of them or --pairs LIST.')
    if not args.out:
        raise ConfigError('--out is missing, expected a folder for the results.')
    if Path(args.out).exists() and not Path(args.out).is_dir():
        raise ConfigError(f'{args.out}: found a file, expected the name of a folder for the results.')
    if not args.pairs and args.layout != 'files':
        raise ConfigError(f'--layout {args.layout} was given for one pair, expected --pairs LIST with it.')
    if args.pairs and args.frame:
        raise ConfigError(
            '--frame was given with --pairs, expected it for one pair; an Info.cfg beside the files says it.'
        )
    if args.batch_size < 1:
        raise ConfigError(f'--batch-size is {args.batch_size}, expected 1 or more.')
    if args.refine < 0:
        raise ConfigError(f'--refine is {args.refine}, expected a number of iterations, 0 or more.')
    _check_outputs(args.outputs)


def _spelled(args: argparse.Namespace, name: str) -> str:
    """How an argument is written: the two images may be positional."""
    if name in ('fixed', 'moving') and getattr(args, 'positional', False):
        return name.upper()
    return f'--{name.replace("_", "-")}'


def _check_outputs(names: Sequence[str] | None) -> None:
    if names is None:
        return
    from mmreg.registration.results.outputs import OUTPUTS

    unknown = [name for name in names if name not in OUTPUTS]
    if unknown:
        raise ConfigError(f'--outputs {unknown[0]} is unknown, expected some of {", ".join(OUTPUTS)}.')
