"""`mmreg infer`: register image files with a trained model, one pair or a list of pairs."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from mmreg.errors import ConfigError, DataError
from mmreg.utils import console
from mmreg.utils.cli_options import add_common

#: Where the launcher of a challenge container mounts things: list, images, results.
LUMIR_MOUNTS = {'pairs': '/LUMIR_dataset.json', 'data_root': '/input', 'out': '/output'}
_ONE_PAIR = (
    *('fixed', 'moving', 'fixed_labels', 'moving_labels', 'fixed_prompt'),
    *('fixed_landmarks', 'moving_landmarks'),
)


def build_parser() -> argparse.ArgumentParser:
    """Options of `mmreg infer`."""
    parser = argparse.ArgumentParser(
        prog='mmreg infer',
        description='Register image files of any size, spacing and orientation with a trained model.',
    )
    parser.add_argument('config', help='config file of the model; it is Python and is executed')
    parser.add_argument('--checkpoint', '-c', help='weights of the model')
    parser.add_argument('--out', '-o', metavar='DIR', help='folder for the results')
    parser.add_argument('--device', help='cpu, cuda, cuda:N (default: the GPU where there is one)')
    _add_pair(parser)
    _add_list(parser)
    parser.add_argument(
        '--affine', metavar='FILE', help='ITK transform or 4x4 text matrix (RAS mm), fixed -> moving; or "centres"'
    )
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
        help='only these: warped displacement transforms labels landmarks metrics rigidity overview (plan.json always)',
    )  # fmt: skip
    add_common(parser)
    return parser


def _add_pair(parser: argparse.ArgumentParser) -> None:
    pair = parser.add_argument_group('one pair')
    pair.add_argument('--fixed', '-f', metavar='FILE', help='fixed image: NIfTI, NRRD, MHA or a DICOM folder')
    pair.add_argument('--moving', '-m', metavar='FILE', help='moving image')
    pair.add_argument('--fixed-labels', metavar='FILE', help='label map of the fixed image')
    pair.add_argument('--moving-labels', metavar='FILE', help='label map of the moving image')
    pair.add_argument('--fixed-prompt', metavar='FILE', help='label map of the fixed image for prompted models')
    pair.add_argument(
        '--fixed-landmarks', metavar='FILE', help='landmarks: CSV (voxel, or mm with header x,y,z) or Slicer'
    )
    pair.add_argument('--moving-landmarks', metavar='FILE', help='their partners in the moving image')


def _add_list(parser: argparse.ArgumentParser) -> None:
    many = parser.add_argument_group('many pairs')
    many.add_argument('--pairs', metavar='LIST', help='CSV or JSON of pairs, or a Learn2Reg/LUMIR JSON')
    many.add_argument('--data-root', metavar='DIR', help='folder the paths are below (default: that of the list)')
    many.add_argument('--split', choices=['training', 'validation', 'test'], help='list of a challenge JSON')
    many.add_argument(
        '--layout', choices=['files', 'lumir', 'learn2reg', 'oasis'], default='files',
        help='challenge layouts write only disp_<fixed>_<moving>; lumir reads the mounts of the challenge container '
        'unless told otherwise',
    )  # fmt: skip
    many.add_argument('--overwrite', action='store_true', help='register finished cases again')


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `mmreg infer` and tools/inference.py; returns the exit code."""
    args = build_parser().parse_args(argv)
    return console.run(lambda: _infer(args), debug=args.debug)


def _infer(args: argparse.Namespace) -> int:
    _check(args)
    with _stopping_on_sigterm():
        return _register(args)


def _register(args: argparse.Namespace) -> int:
    # Files are looked at before torch and the model are loaded: a typo is told at once.
    cases = _cases(args) if args.pairs else None
    affine = _affine(args.affine)

    from .inferencer import RegistrationInferencer

    if args.plugin:
        from mmreg.utils.plugins import register_all_modules

        register_all_modules(args.plugin)
    inferencer = RegistrationInferencer(
        args.config, args.checkpoint, args.device, args.cfg_options, label_sets=args.label_sets, labels=args.labels
    )
    if cases is None:
        return _one(args, inferencer, affine)
    return _many(args, inferencer, cases, affine)


def _check(args: argparse.Namespace) -> None:
    """Complete and refuse options before anything is read."""
    given = [name for name in _ONE_PAIR if getattr(args, name)]
    if args.layout == 'lumir' and not given:
        for name, value in LUMIR_MOUNTS.items():
            if getattr(args, name) is None and not (name == 'data_root' and args.pairs != LUMIR_MOUNTS['pairs']):
                setattr(args, name, value)
    if args.pairs and given:
        raise ConfigError(
            f'--pairs and --{given[0].replace("_", "-")} were given, expected one pair or a list of pairs.'
        )
    if not args.pairs and not (args.fixed and args.moving):
        raise ConfigError('--fixed and --moving are missing, expected both of them or --pairs LIST.')
    if not args.out:
        raise ConfigError('--out is missing, expected a folder for the results.')
    if not args.pairs and args.layout != 'files':
        raise ConfigError(f'--layout {args.layout} was given for one pair, expected --pairs LIST with it.')
    _check_outputs(args.outputs)


def _check_outputs(names: Sequence[str] | None) -> None:
    if names is None:
        return
    from .outputs import OUTPUTS

    unknown = [name for name in names if name not in OUTPUTS]
    if unknown:
        raise ConfigError(f'--outputs {unknown[0]} is unknown, expected some of {", ".join(OUTPUTS)}.')


def _cases(args: argparse.Namespace) -> list:
    from mmreg.utils.plugins import register_all_modules

    from .cases import read_cases

    register_all_modules()
    return read_cases(args.pairs, args.data_root, args.split)


def _affine(source: str | None) -> np.ndarray | str | None:
    """A matrix from an ITK transform or a text file; ``'centres'`` is left to each pair."""
    if source is None or source == 'centres':
        return source
    from mmreg.io import read_transform

    path = Path(source)
    if path.suffix in ('.txt', '.csv') and path.is_file():
        with suppress(ValueError):  # an ITK transform, which may end in .txt, too
            return np.loadtxt(path, delimiter=',' if path.suffix == '.csv' else None, ndmin=2)
    matrix = read_transform(path).affine
    if matrix is None:
        raise DataError(f'{path}: found a transform that is not linear, expected an affine')
    return matrix


def _one(args: argparse.Namespace, inferencer: Any, affine: Any) -> int:
    from .outputs import headline

    result = inferencer(
        **{name: getattr(args, name) for name in _ONE_PAIR}, affine=affine, landmark_frame=args.landmark_frame
    )
    result.save(args.out, outputs=args.outputs)
    console.say(f'{headline(result)}   {result.timings["total"]:.1f} s')
    for warning in result.warnings:
        console.say(f'warning: {warning}')
    console.say(f'written to {args.out}')
    return 0


def _many(args: argparse.Namespace, inferencer: Any, cases: Sequence[Any], affine: Any) -> int:
    from .cohort import Cohort
    from .progress import CohortProgress

    cohort = Cohort(
        inferencer, cases, Path(args.out), args.layout, args.overwrite, args.outputs, affine, args.landmark_frame
    )
    with CohortProgress(len(cases), debug=args.debug) as progress:
        outcomes = cohort.run(progress.advance)
    return progress.summary(outcomes, args.out)


@contextmanager
def _stopping_on_sigterm() -> Iterator[None]:
    """SIGTERM ends the command like Ctrl-C: nothing half-written stays."""
    if threading.current_thread() is not threading.main_thread():
        yield  # whoever started us handles signals
        return

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


if __name__ == '__main__':
    sys.exit(main())
