"""Options that the commands about transforms share."""

from __future__ import annotations

import argparse

ORDER = (
    'Order: the first transform meets the fixed point first, as in antsApplyTransforms (-t 1Warp.nii.gz -t '
    '0GenericAffine.mat). A transform is an ITK or ANTs file (.h5 .tfm .txt .mat .xfm), a displacement image (.nii.gz '
    '.nii .nrrd .mha), a text file with a 4x4 matrix (RAS mm), the folder of a registration, or the prefix of the '
    "outputs of ANTs; '[FILE,1]' is its inverse."
)


def add_reference(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--reference``."""
    parser.add_argument('--reference', '-r', metavar='FILE', help=text)


def add_out(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--out`` for a file, required."""
    parser.add_argument('--out', '-o', metavar='FILE', required=True, help=text)
