"""Options that say how image files are read: which volume of a series, which DICOM series, which position."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mmreg.errors import ConfigError

if TYPE_CHECKING:
    from mmreg.io import ImageFile
    from mmreg.registration.cohort.cases import CohortCase

ROLES = ('fixed', 'moving')
POSITIONS = ('sform', 'qform')


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add ``--frame``, ``--series``, each also for one image alone, ``--position`` and ``--channels``."""
    group = parser.add_argument_group('how files are read')
    group.add_argument(
        '--frame', nargs='+', type=int, metavar='N',
        help='volume of 4-D files, counted from 1: one number for both images, or two, fixed and moving (default: ED '
        'and ES as an Info.cfg beside the file says); behind the files',
    )  # fmt: skip
    group.add_argument(
        '--series', metavar='ID',
        help="DICOM series of a folder, by its UID or by the scanner's number (an error lists what is there)",
    )  # fmt: skip
    for role in ROLES:
        group.add_argument(f'--{role}-frame', type=int, metavar='N', help=f'the same for the {role} image')
        group.add_argument(f'--{role}-series', metavar='ID', help=f'the same for the {role} image')
    add_position(group)
    group.add_argument(
        '--channels', action='store_true', help='volumes of 4-D files, or two numbers per voxel, are channels'
    )


def add_position(group: Any) -> None:
    """Add ``--position``."""
    group.add_argument(
        '--position', choices=POSITIONS,
        help='which position of NIfTI headers counts (default: sform where it is set, else qform)',
    )  # fmt: skip


def check_reading(args: argparse.Namespace) -> None:
    """Refuse what no file can hold, before one is opened."""
    if args.frame is not None and len(args.frame) > 2:
        raise ConfigError(f'--frame has {len(args.frame)} numbers, expected one, or two: fixed and moving.')
    numbers = [*(args.frame or []), *(n for n in (args.fixed_frame, args.moving_frame) if n is not None)]
    if any(number < 1 for number in numbers):
        raise ConfigError(f'--frame is {min(numbers)}, expected the number of a volume, counted from 1.')
    if args.channels and numbers:
        raise ConfigError('--channels and --frame were given, expected one of them.')


def as_file(args: argparse.Namespace, name: str, path: str | None) -> str | ImageFile | None:
    """What to read for an argument named ``fixed``, ``moving_labels`` ...: the path, with what the options say."""
    known = how(args, name.split('_')[0])
    if path is None or name.endswith('landmarks') or not known:
        return path
    from mmreg.io import ImageFile

    return ImageFile(path, **known)


def how(args: argparse.Namespace, role: str) -> dict[str, Any]:
    """Keyword arguments of :class:`mmreg.io.ImageFile` that the options give for one of the two images."""
    found: dict[str, Any] = {}
    frames = (args.frame or [None]) * 2
    general = {'frame': frames[ROLES.index(role)], 'series': args.series}
    for name, value in general.items():
        own = getattr(args, f'{role}_{name}')
        if (value if own is None else own) is not None:
            found[name] = value if own is None else own
    if args.position:
        found['position'] = args.position
    if args.channels:
        found['channels'] = True
    return found


def with_reading(args: argparse.Namespace, cases: Sequence[CohortCase]) -> list[CohortCase]:
    """Cases of a list with what the options say wherever the list itself says nothing."""
    known = {role: how(args, role) for role in ROLES}
    if not any(known.values()):
        return list(cases)
    return [
        replace(case, **{role: {**known[role], **getattr(case, role)} for role in ROLES})  # type: ignore[arg-type]
        for case in cases
    ]
