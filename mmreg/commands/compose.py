"""`mmreg compose`: several transforms as one file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmreg.transforms.algebra import compose_transforms
from mmreg.transforms.files import load_chain
from mmreg.utils import console

from .shared.options import add_debug
from .shared.transform_options import (
    ORDER,
    add_out,
    add_reading,
    add_reference,
    add_writing,
    reading_of,
    write,
)


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg compose`."""
    parser = argparse.ArgumentParser(
        prog='mmreg compose',
        description='Chain transforms. As ITK transform nothing is sampled, and affines side by side become one '
        'matrix; as displacement image the chain is sampled on one grid.',
        epilog=ORDER,
    )
    parser.add_argument('transforms', nargs='+', metavar='TRANSFORM', help='in order')
    add_out(parser, 'ITK transform (.h5 .tfm .txt, .mat for an affine) or displacement image (.nii.gz .nii .nrrd .mha)')
    add_reference(parser, 'grid of a displacement image (default: that of the first transform)')
    add_reading(parser)
    add_writing(parser)
    add_debug(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg compose`; returns the exit code."""
    args = build_parser().parse_intermixed_args(argv)
    return console.run(lambda: _compose(args), debug=args.debug)


def _compose(args: argparse.Namespace) -> None:
    chain = compose_transforms([load_chain(args.transforms, reading_of(args))])
    write(args, chain)
    console.say(f'wrote {args.out}: {", then ".join(args.transforms)}')
