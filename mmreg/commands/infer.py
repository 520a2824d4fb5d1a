"""`mmreg infer`: register image files with a trained model, one pair or a list of pairs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmreg.errors import ConfigError
from mmreg.utils import console

from .shared.file_options import add_reading
from .shared.options import CONFIG_HELP, Parser, add_common
from .shared.run_options import (
    add_list,
    add_network,
    add_pair_files,
    add_run,
    add_weights,
    check_run,
    check_weights,
    pair_files,
)
from .shared.running import run

#: Where the launcher of a challenge container mounts things: list, images, results; 2024 and 2025.
LUMIR_MOUNTS = {'pairs': '/LUMIR_dataset.json', 'data_root': '/input', 'out': '/output'}
LUMIR25_MOUNTS = {'pairs': '/app/LUMIR25_dataset.json', 'data_root': '/app/input', 'out': '/app/output'}


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg infer`."""
    parser = Parser(
        prog='mmreg infer',
        description='Register image files of any size, spacing and orientation with a trained model.',
    )
    parser.add_argument('config', nargs='?', help=CONFIG_HELP)
    add_network(parser, ['checkpoint'])
    add_weights(parser)
    add_run(parser, affine=None)
    pair = parser.add_argument_group('one pair')
    pair.add_argument('--fixed', '-f', metavar='FILE', help='fixed image: NIfTI, NRRD, MHA or a DICOM folder')
    pair.add_argument('--moving', '-m', metavar='FILE', help='moving image')
    add_pair_files(pair)
    add_reading(parser)
    add_list(parser)
    add_common(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg infer` and tools/inference.py; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _infer(args), debug=args.debug)


def _infer(args: argparse.Namespace) -> int:
    check_weights(args, 'config')
    _complete(args)
    check_run(args)
    if args.preset and not args.refine:
        raise ConfigError('--preset was given without --refine, expected the number of iterations with it.')
    return run(args, model=args.weights or args.config)


def _complete(args: argparse.Namespace) -> None:
    """The mounts of the challenge container where nothing else was given: those of the year whose list is there."""
    if args.layout != 'lumir' or pair_files(args):
        return
    newer = not Path(LUMIR_MOUNTS['pairs']).exists() and Path(LUMIR25_MOUNTS['pairs']).exists()
    mounts = LUMIR25_MOUNTS if newer else LUMIR_MOUNTS
    for name, value in mounts.items():
        if getattr(args, name) is None and not (name == 'data_root' and args.pairs != mounts['pairs']):
            setattr(args, name, value)


if __name__ == '__main__':
    sys.exit(main())
