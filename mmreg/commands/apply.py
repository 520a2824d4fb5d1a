"""`mmreg apply`: images, label maps, landmarks and meshes moved by a transform."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mmreg.errors import ConfigError, DataError
from mmreg.io import Geometry, Transform
from mmreg.io.landmark_files import FRAMES
from mmreg.io.meshes import is_mesh_file
from mmreg.io.transform_parts import own_grid
from mmreg.io.voxel_type import OUTPUT_TYPES
from mmreg.transforms.apply import IMAGE_MODES, LABEL_MODES
from mmreg.transforms.files import Reading, load_chain, load_transform
from mmreg.transforms.outputs import Application, Moved, is_landmark_file, write_moved
from mmreg.transforms.reference import as_grid, reference_grid
from mmreg.utils import console

from .shared.file_options import add_position
from .shared.options import add_debug
from .shared.running import stopping_on_sigterm
from .shared.transform_options import ORDER, add_reading, add_reference


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg apply`."""
    parser = argparse.ArgumentParser(
        prog='mmreg apply',
        usage='mmreg apply TRANSFORM INPUT [INPUT ...] -o DIR [-t TRANSFORM ...] [options]',
        description='Resample images and label maps once through a transform, and move landmarks and meshes with it.',
        epilog=ORDER,
    )
    parser.add_argument('arguments', nargs='*', metavar='TRANSFORM INPUT',
                        help='the transform, then images and label maps (told apart by their voxels) and meshes of '
                        'the moving image')  # fmt: skip
    parser.add_argument('--transform', '-t', action='append', default=[], metavar='TRANSFORM',
                        help='one more, behind TRANSFORM, which is left out where -t gives them all')  # fmt: skip
    parser.add_argument('--out', '-o', metavar='DIR', help='folder for the results; its other files stay')
    add_reference(parser, 'image whose grid the results get (default: the grid of the displacement)')
    parser.add_argument('--inverse', '-i', action='store_true',
                        help='bring images from fixed to moving space; --reference: the moving image')  # fmt: skip
    _add_inputs(parser)
    parser.add_argument('--interpolation', choices=IMAGE_MODES, default='linear', help='for images')
    parser.add_argument('--label-interpolation', choices=LABEL_MODES, default='nearest',
                        help='for label maps; label: the one with the largest linear weight (slow)')  # fmt: skip
    parser.add_argument('--fill', type=float, metavar='VALUE',
                        help='of images outside (default: what suits each: air of CT, no value where an image has such '
                        'voxels, else 0)')  # fmt: skip
    parser.add_argument('--output-type', choices=OUTPUT_TYPES, metavar='TYPE',
                        help=f'of the voxels of images: {", ".join(OUTPUT_TYPES)}; input: that of the file (default: '
                        'that of the file where rounding does not show, else float32)')  # fmt: skip
    add_position(parser)
    add_reading(parser, moving=False)
    add_debug(parser)
    return parser


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('inputs by kind; each may be given several times')
    for name, text in (
        ('image', 'an image, whatever its voxels look like'),
        ('labels', 'a label map, whatever its voxels look like'),
        ('fixed-landmarks', 'points of the fixed image -> their places in the moving image, NAME_in_moving.csv'),
        ('moving-landmarks', 'points of the moving image -> their places in the fixed image, NAME_in_fixed.csv'),
        ('fixed-mesh', 'mesh (VTK, STL, PLY, GIFTI ...) of the fixed image -> NAME_in_moving, same topology'),
        ('moving-mesh', 'mesh of the moving image -> NAME_in_fixed'),
    ):
        group.add_argument(f'--{name}', action='append', default=[], metavar='FILE', help=text)
    group.add_argument('--mesh-frame', choices=('ras', 'lps'),
                       help='of meshes that do not tell (default: ras; 3D Slicer writes SPACE=LPS)')  # fmt: skip
    group.add_argument('--landmark-frame', choices=FRAMES,
                       help='frame of landmark CSVs (default: told by their header)')  # fmt: skip
    group.add_argument('--moving', metavar='FILE',
                       help='moving image, for landmarks in its voxels (default: the first INPUT)')  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg apply`; returns the exit code."""
    args = build_parser().parse_intermixed_args(argv)
    return console.run(lambda: _apply(args), debug=args.debug)


def _apply(args: argparse.Namespace) -> None:
    transforms, inputs = _split(args)
    kinds = [(path, 'auto') for path in inputs if not is_mesh_file(path)]
    kinds += [(path, 'image') for path in args.image] + [(path, 'labels') for path in args.labels]
    points = [(path, 'fixed_to_moving') for path in args.fixed_landmarks]
    points += [(path, 'moving_to_fixed') for path in args.moving_landmarks]
    usual = 'fixed_to_moving' if args.inverse else 'moving_to_fixed'
    meshes = [(path, usual) for path in inputs if is_mesh_file(path)]
    meshes += [(path, 'fixed_to_moving') for path in args.fixed_mesh]
    meshes += [(path, 'moving_to_fixed') for path in args.moving_mesh]
    _check(args, kinds, points + meshes)
    images = [path for path, _ in kinds]
    application = _application(args, load_chain(transforms, _reading(args, images)), images)
    jobs = [(path, partial(application.image, path, kind)) for path, kind in kinds]
    jobs += [(path, partial(application.landmarks, path, direction)) for path, direction in points]
    jobs += [(path, partial(application.mesh, path, direction)) for path, direction in meshes]
    with stopping_on_sigterm():
        moved = write_moved(args.out, jobs)
    _tell(moved, args.out)


def _split(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Transforms and inputs; with ``-t`` the first argument may be either."""
    first, rest = args.arguments[:1], args.arguments[1:]
    if not first and not args.transform:
        raise ConfigError('TRANSFORM is missing, expected a transform and at least one input.')
    if args.transform and not (first and _is_transform(first[0], args)):
        return args.transform, args.arguments
    return first + args.transform, rest


def _reading(args: argparse.Namespace, images: Sequence[str]) -> Reading:
    """What is known of transforms that count in voxels: the two images."""
    named = (*args.transform, *args.arguments[:1])
    needs = args.format in ('fsl', 'afni') or any(name.startswith(('fsl:', 'afni:')) for name in named)
    needs = needs or any('.aff12.1' in name for name in named)
    if not needs:
        return Reading(args.format, frame=args.frame)
    there = as_grid(args.reference) if args.reference else None
    given = args.moving or (images[0] if images else None)
    here = as_grid(given) if given else None
    fixed, moving = (here, there) if args.inverse and not args.moving else (there, here)
    return Reading(args.format, fixed, moving, args.frame)


def _is_transform(name: str, args: argparse.Namespace) -> bool:
    try:
        load_transform(name, _reading(args, args.arguments[1:]))
    except DataError:
        return False
    return True


def _check(args: argparse.Namespace, kinds: Sequence[tuple[str, str]], points: Sequence[tuple[str, str]]) -> None:
    if not kinds and not points:
        raise ConfigError('INPUT is missing, expected at least one image, label map, mesh or list of landmarks.')
    if not args.out:
        raise ConfigError('--out is missing, expected a folder for the results.')
    for path, _ in kinds:
        if is_landmark_file(path):
            raise ConfigError(
                f'{path}: found landmarks without their image, expected --fixed-landmarks (points of the fixed image '
                '-> moving) or --moving-landmarks (points of the moving image -> fixed) in front of them.'
            )


def _application(args: argparse.Namespace, chain: Transform, images: Sequence[str]) -> Application:
    pull = _inverse(chain, args.reference) if args.inverse else chain
    reference: Geometry | None = None
    if images:
        reference = reference_grid(pull, args.reference)
    elif args.reference:
        reference = as_grid(args.reference)
    wanted = bool(images and (args.fixed_landmarks or args.moving_landmarks))
    source = as_grid(images[0]) if wanted and not args.moving else None
    fixed, moving = (source, reference) if args.inverse else (reference or own_grid(chain), source)
    return Application(
        chain,
        pull,
        reference,
        fixed_grid=fixed,
        moving_grid=as_grid(args.moving) if args.moving else moving,
        image_mode=args.interpolation,
        label_mode=args.label_interpolation,
        fill=args.fill,
        output_type=args.output_type,
        position=args.position,
        frame=args.landmark_frame,
        mesh_frame=args.mesh_frame,
    )


def _inverse(chain: Transform, reference: str | None) -> Transform:
    """The inverse of the chain; where it has to be computed, its residual is told."""
    try:
        return chain.inverse()
    except DataError:
        from mmreg.transforms.algebra import invert_transform

        result = invert_transform(chain, reference)
    console.say(f'inverse computed, residual {result.residual.mean:.3g} mm (mean), {result.residual.max:.3g} mm (max)')
    return result.transform


def _tell(moved: Sequence[Moved], out: str) -> None:
    for item in moved:
        console.say(f'{item.source} -> {", ".join(str(Path(out) / name) for name in item.files)}   ({item.remark})')
        if item.warning:
            console.say(f'warning: {item.warning}')
