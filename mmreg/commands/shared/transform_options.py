"""Options that the commands about transforms share."""

from __future__ import annotations

import argparse

from mmreg.io import Transform
from mmreg.io.foreign import FORMATS, Spaces, write_as
from mmreg.io.transform_parts import own_grid
from mmreg.transforms.files import Reading
from mmreg.transforms.outputs import write_any
from mmreg.transforms.reference import as_grid

ORDER = (
    'Order: the first transform meets the fixed point first, as in antsApplyTransforms (-t 1Warp.nii.gz -t '
    '0GenericAffine.mat). A transform is an ITK or ANTs file (.h5 .tfm .txt .mat .xfm), a displacement image (.nii.gz '
    '.nii .nrrd .mha), a text file with a 4x4 matrix (RAS mm), the folder of a registration, or the prefix of the '
    "outputs of ANTs; '[FILE,1]' is its inverse. Matrices and fields of FSL, FreeSurfer (.lta), AFNI, SPM, NiftyReg "
    'and elastix are read as well; --format says whose a file is where it does not tell itself.'
)


def add_reference(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--reference``."""
    parser.add_argument('--reference', '-r', metavar='FILE', help=text)


def add_out(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--out`` for a file, required."""
    parser.add_argument('--out', '-o', metavar='FILE', required=True, help=text)


def add_reading(parser: argparse.ArgumentParser, moving: bool = True) -> None:
    """Add ``--format``, ``--frame`` and, where the command has no moving image already, ``--moving``."""
    group = parser.add_argument_group('transforms of other programs')
    group.add_argument(
        '--format', choices=tuple(FORMATS),
        help='whose the files are that do not tell it (for one of several: fsl:FILE); fsl needs both images',
    )  # fmt: skip
    group.add_argument('--frame', type=int, metavar='N', help='which one of a file with one transform per time point')
    if moving:
        group.add_argument('--moving', metavar='FILE', help='moving image, for fsl (the fixed one: --reference)')


def add_writing(parser: argparse.ArgumentParser) -> None:
    """Add ``--to``."""
    parser.add_argument(
        '--to', choices=tuple(name for name in FORMATS if name != 'itk'), metavar='FORMAT',
        help=f'write for another program ({", ".join(name for name in FORMATS if name != "itk")}): a field where FILE '
        'ends as an image does, else a matrix',
    )  # fmt: skip


def reading_of(args: argparse.Namespace) -> Reading:
    """What the options say of how transforms are read."""
    fixed, moving = (as_grid(path) if path else None for path in (args.reference, args.moving))
    return Reading(args.format, fixed, moving, args.frame)


def write(args: argparse.Namespace, transform: Transform, inverse: bool = False) -> None:
    """Write a transform to ``--out``, for the program that ``--to`` names; an inverse leads from moving to fixed."""
    reference = as_grid(args.reference) if args.reference else None
    if args.to is None:
        write_any(args.out, transform, reference)
        return
    moving = as_grid(args.moving) if args.moving else None
    if inverse:
        reference, moving = moving, reference
    write_as(args.out, transform, args.to, Spaces(own_grid(transform) if reference is None else reference, moving))
