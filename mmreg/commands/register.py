"""`mmreg register`: two images, or a list of pairs, registered without training, or by a network of one's own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmreg.errors import ConfigError
from mmreg.utils import console

from .shared.file_options import add_reading
from .shared.options import Parser, add_common
from .shared.run_options import (
    add_list,
    add_network,
    add_pair_files,
    add_run,
    add_weights,
    check_run,
    check_weights,
)
from .shared.running import run

EXAMPLES = """examples:
  mmreg register fixed.nii.gz moving.nii.gz -o out
  mmreg register fixed.nii.gz moving_dicom_folder -o out --preset lung_ct --moving-labels labels.nii.gz
  mmreg register fixed.nii.gz moving.nii.gz -o out --model config.py --checkpoint weights.pth --refine 50
  mmreg register fixed.nii.gz moving.nii.gz -o out --weights symnet_oasis --refine 50
  mmreg register fixed.nii.gz moving.nii.gz -o out --fast
  mmreg register fixed.nii.gz moving.nii.gz -o out --only rigid
  mmreg register --pairs pairs.csv -o out
  torchrun --nproc-per-node 4 -m mmreg.cli register --pairs pairs.csv -o out
"""


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg register`."""
    parser = Parser(
        prog='mmreg register',
        description='Register two images of any size, spacing and orientation. No training is needed: a preset, '
        'chosen by what is in the files unless you name one, is fitted to the pair.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(positional=True)
    parser.add_argument('fixed', metavar='FIXED', nargs='?', help='NIfTI, NRRD, MHA or a DICOM folder: stays')
    parser.add_argument('moving', metavar='MOVING', nargs='?', help='is brought to the fixed image')
    parser.add_argument('--list-presets', action='store_true', help='explain every preset and stop')
    add_run(parser, affine='auto')
    add_pair_files(parser.add_argument_group('what may come with the two images'))
    network = parser.add_argument_group('with a trained network')
    add_network(network, ['model', 'checkpoint'])
    add_weights(network)
    add_reading(parser)
    add_list(parser)
    add_common(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg register`; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _register(args), debug=args.debug)


def _register(args: argparse.Namespace) -> int:
    if args.list_presets:
        return _list_presets()
    if args.weights:
        check_weights(args, 'model')
        args.model = args.weights
    check_run(args)
    if args.refine and not (args.model or args.checkpoint or args.fast):
        raise ConfigError('--refine was given without --model, expected the config of a network with it.')
    if args.model and args.preset and not args.refine:
        raise ConfigError('--model and --preset were given, expected one of them, or --refine N too.')
    return run(args)


def _list_presets() -> int:
    from mmreg.registration.presets.preset import list_presets

    for preset in list_presets():
        console.say(f'{preset.name}: {preset.summary}')
        if preset.suits:
            console.say(f'  suits: {preset.suits}')
        for key, text in preset.main_settings().items():
            console.say(f'  {key}: {text}')
        console.say(f'  file: {preset.path}\n')
    console.say(
        'A preset is a config: copy one, or inherit from it (_base_), change it, and give its path to --preset.'
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())
