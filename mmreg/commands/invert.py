"""`mmreg invert`: a transform from the moving to the fixed image out of one from fixed to moving."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmreg.transforms.algebra import invert_transform
from mmreg.transforms.files import load_chain
from mmreg.transforms.reference import as_grid
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
    """Options of `mmreg invert`."""
    parser = argparse.ArgumentParser(
        prog='mmreg invert',
        description='Invert a transform: affines exactly, displacements by iteration, with the residual in mm.',
        epilog=ORDER,
    )
    parser.add_argument('transform', nargs='+', metavar='TRANSFORM', help='one, or several that are chained')
    add_out(parser, 'ITK transform (.h5 .tfm .txt, .mat for an affine) or displacement image (.nii.gz .nii .nrrd .mha)')
    add_reference(
        parser, 'grid of a displacement image (default: that of the displacement), and to invert B-splines on'
    )
    add_reading(parser)
    add_writing(parser)
    add_debug(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg invert`; returns the exit code."""
    args = build_parser().parse_intermixed_args(argv)
    return console.run(lambda: _invert(args), debug=args.debug)


def _invert(args: argparse.Namespace) -> None:
    reference = as_grid(args.reference) if args.reference else None
    inverse, residual = invert_transform(load_chain(args.transform, reading_of(args)), reference)
    write(args, inverse, inverse=True)
    if residual.max == 0:
        console.say(f'wrote {args.out}, exact')
        return
    console.say(f'wrote {args.out}, residual {residual.mean:.3g} mm (mean), {residual.max:.3g} mm (max)')
