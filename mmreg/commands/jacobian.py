"""`mmreg jacobian`: how a transform changes volumes, as a map and in numbers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from mmreg.errors import DataError
from mmreg.io import read_mask, write_volume
from mmreg.transforms.files import load_chain
from mmreg.transforms.jacobian import LOG_FLOOR, jacobian_map
from mmreg.transforms.reference import reference_grid
from mmreg.utils import console

from .shared.options import add_debug
from .shared.transform_options import ORDER, add_out, add_reading, add_reference, reading_of


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg jacobian`."""
    parser = argparse.ArgumentParser(
        prog='mmreg jacobian',
        description='Map of the Jacobian determinant of a transform in world mm, affine included: 1 keeps volumes, '
        'above 1 tissue is larger in the moving image, 0 and below are folds.',
        epilog=ORDER,
    )
    parser.add_argument('transform', nargs='+', metavar='TRANSFORM', help='one, or several that are chained')
    add_out(parser, 'image (.nii.gz .nii .nrrd .mha), float32')
    add_reference(parser, 'image whose grid the map gets (default: the grid of the displacement)')
    parser.add_argument('--log', action='store_true',
                        help=f'natural logarithm of the determinant, of {LOG_FLOOR:g} at least')  # fmt: skip
    parser.add_argument('--mask', metavar='FILE', help='on the same grid: count only voxels that are not zero')
    add_reading(parser)
    add_debug(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg jacobian`; returns the exit code."""
    args = build_parser().parse_intermixed_args(argv)
    return console.run(lambda: _jacobian(args), debug=args.debug)


def _jacobian(args: argparse.Namespace) -> None:
    chain = load_chain(args.transform, reading_of(args))
    grid = reference_grid(chain, args.reference)
    mask: np.ndarray | None = None
    if args.mask:
        volume = read_mask(args.mask)
        if not volume.geometry.same_grid(grid):
            raise DataError(f'{args.mask}: found another grid than that of the map, expected the same')
        mask = volume.array
    result = jacobian_map(chain, grid, log=args.log, mask=mask)
    write_volume(args.out, result.volume)
    numbers = (result.minimum, result.maximum, result.mean, result.folds_percent, result.sdlogj)
    console.table(('min', 'max', 'mean', 'folds %', 'SDlogJ'), [[f'{value:.6g}' for value in numbers]])
    console.say(f'wrote {args.out}, {"log of the " if args.log else ""}determinant')
